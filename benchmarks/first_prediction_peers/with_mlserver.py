"""MLServer: dump the model, write two settings files, then `mlserver start`."""

import json
import sys
from pathlib import Path

import joblib
from lead import Lead, fitted, free_port

model, rows = fitted()
expected = model.predict_proba(rows[:1])[0, 1]
ports = {"http_port": free_port(), "grpc_port": free_port(), "metrics_port": free_port()}

lead = Lead("mlserver")
lead.step("joblib.dump(model, 'model.joblib')")
joblib.dump(model, "model.joblib")
lead.write("settings.json", json.dumps({"host": "127.0.0.1", **ports}))
settings = {"name": "delay", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "model.joblib"}}
lead.write("model-settings.json", json.dumps(settings))
lead.serve([str(Path(sys.executable).parent / "mlserver"), "start", "."])
inputs = [{"name": "rows", "shape": [1, 10], "datatype": "FP64", "data": rows[0].tolist()}]
asked = {"inputs": inputs, "outputs": [{"name": "predict_proba"}]}
answer = lead.ask(f"http://127.0.0.1:{ports['http_port']}/v2/models/delay/infer", asked)
lead.end(answer["outputs"][0]["data"][1], expected)
