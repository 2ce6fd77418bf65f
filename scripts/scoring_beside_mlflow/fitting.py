"""Fit two models and save them with MLflow, in the environment of MLflow: one of columns, one of a matrix."""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROWS = 400


def main(folder: str) -> None:
    """Save `columns` and `matrix` below a folder."""
    dice = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "wind": dice.normal(size=ROWS) * 10,
            "delay": dice.normal(size=ROWS) * 10,
            "n": dice.integers(0, 5, ROWS),
            "city": dice.choice(["EWR", "JFK", "LGA"], ROWS).astype(object),
        }
    )
    frame.loc[::9, "delay"] = np.nan
    late = ((frame.wind + (frame.city == "EWR") * 8) > 4).astype(int)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer(
        [("numbers", numbers, ["wind", "delay", "n"]), ("city", OneHotEncoder(handle_unknown="ignore"), ["city"])]
    )
    classifier = make_pipeline(columns, LogisticRegression(max_iter=500)).fit(frame, late)
    _save(classifier, Path(folder) / "columns", infer_signature(frame, classifier.predict(frame)))
    matrix = dice.normal(size=(ROWS, 4))
    regression = LinearRegression().fit(matrix, matrix @ [1, 2, 3, 4])
    _save(regression, Path(folder) / "matrix", infer_signature(matrix, regression.predict(matrix)))


def _save(model: object, path: Path, signature: object) -> None:
    mlflow.sklearn.save_model(model, path, signature=signature, skops_trusted_types=["numpy.dtype"])


if __name__ == "__main__":
    main(sys.argv[1])
