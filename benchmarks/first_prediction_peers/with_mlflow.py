"""MLflow: save the model with its signature, then `mlflow models serve`."""

import sys

import mlflow.sklearn
from lead import Lead, fitted, free_port
from mlflow.models import infer_signature

model, rows = fitted()
expected = model.predict_proba(rows[:1])[0, 1]
port = free_port()

lead = Lead("mlflow")
lead.step("mlflow.sklearn.save_model(model, 'model', signature=infer_signature(X, …))")
signature = infer_signature(rows, model.predict_proba(rows))
mlflow.sklearn.save_model(model, "model", signature=signature, pyfunc_predict_fn="predict_proba")
serve = ["-m", "mlflow", "models", "serve", "-m", "model", "-p", str(port), "--env-manager", "local"]
lead.serve([sys.executable, *serve])
answer = lead.ask(f"http://127.0.0.1:{port}/invocations", {"inputs": rows[:1].tolist()})
lead.end(answer["predictions"][0][1], expected)
