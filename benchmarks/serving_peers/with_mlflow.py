"""Save the pipeline as an MLflow model with its signature: what `mlflow models serve` is then given.

Its default format holds no trees unless their types are vouched for.
"""

import sys

import joblib
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature

source, rows_path, target, kind = sys.argv[1:]
model = joblib.load(source)
rows = np.load(rows_path)
if kind == "columns":
    rows = pd.DataFrame(rows, columns=[f"column_{at}" for at in range(rows.shape[1])])
mlflow.sklearn.save_model(
    model,
    target,
    signature=infer_signature(rows, model.predict_proba(np.asarray(rows))),
    pyfunc_predict_fn="predict_proba",
    skops_trusted_types=["sklearn.tree._tree.Tree", "sklearn._loss.link.LogitLink", "sklearn._loss.link.Interval"],
)
