"""BentoML: a service with one API over an array, as its documentation has it for scikit-learn."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service
class Served:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["SERVED_MODEL"])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(rows)[:, 1]
