"""FastAPI as one writes it by hand: pydantic models in and out, the pipeline asked on the event loop."""

import os
from typing import Annotated

import joblib
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, Field

model = joblib.load(os.environ["SERVED_MODEL"])
app = FastAPI()


class Asked(BaseModel):
    rows: list[Annotated[list[float], Field(min_length=10, max_length=10)]]


class Answered(BaseModel):
    probabilities: list[float]


@app.post("/predict")
async def predict(asked: Asked) -> Answered:
    return Answered(probabilities=model.predict_proba(np.array(asked.rows))[:, 1].tolist())
