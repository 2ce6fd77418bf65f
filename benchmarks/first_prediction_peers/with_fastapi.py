"""FastAPI by hand: dump the model, write an application, then run it with uvicorn."""

import sys

import joblib
from lead import Lead, fitted, free_port

APP = """
from typing import Annotated

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, Field

model = joblib.load("model.joblib")
app = FastAPI()


class Asked(BaseModel):
    rows: list[Annotated[list[float], Field(min_length=10, max_length=10)]]


class Answered(BaseModel):
    probabilities: list[float]


@app.post("/predict")
async def predict(asked: Asked) -> Answered:
    return Answered(probabilities=model.predict_proba(np.array(asked.rows))[:, 1].tolist())
"""

model, rows = fitted()
expected = model.predict_proba(rows[:1])[0, 1]
port = free_port()

lead = Lead("fastapi by hand")
lead.step("joblib.dump(model, 'model.joblib')")
joblib.dump(model, "model.joblib")
lead.write("app.py", APP)
lead.serve([sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)])
answer = lead.ask(f"http://127.0.0.1:{port}/predict", {"rows": rows[:1].tolist()})
lead.end(answer["probabilities"][0], expected)
