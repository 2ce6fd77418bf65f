"""BentoML: dump the model, write a service, then `bentoml serve`."""

import sys

import joblib
from lead import Lead, fitted, free_port

SERVICE = """
import bentoml
import joblib
import numpy as np


@bentoml.service
class Delay:
    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(rows)[:, 1]
"""

model, rows = fitted()
expected = model.predict_proba(rows[:1])[0, 1]
port = free_port()

lead = Lead("bentoml")
lead.step("joblib.dump(model, 'model.joblib')")
joblib.dump(model, "model.joblib")
lead.write("service.py", SERVICE)
lead.serve([sys.executable, "-m", "bentoml", "serve", "service:Delay", "--port", str(port)], BENTOML_DO_NOT_TRACK="1")
answer = lead.ask(f"http://127.0.0.1:{port}/predict", {"rows": rows[:1].tolist()})
lead.end(answer[0], expected)
