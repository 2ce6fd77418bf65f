"""The three pipelines, the rows that are asked, and the Interlock workspaces that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FEATURES = 10
ROWS = 512
TITLES = {
    "logistic": "StandardScaler + LogisticRegression",
    "boosting": "GradientBoosting, 100 trees",
    "forest": "RandomForest, 100 trees",
}


def fit(folder: Path, names: list[str]) -> None:
    """Write `rows.npy`, and for each pipeline `NAME.joblib`, `NAME.onnx` for the floor and `NAME.npy`, its answers."""
    import joblib
    import numpy as np
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.datasets import make_classification

    features, target = make_classification(4_000, FEATURES, n_informative=7, flip_y=0.1, random_state=7)
    # figures as people send them: some lie on a threshold of a tree, where an engine of another precision goes wrong
    features = features.round(4)
    rows = features[-ROWS:]
    np.save(folder / "rows.npy", rows)
    for name in names:
        model = pipeline(name).fit(features[:-ROWS], target[:-ROWS])
        joblib.dump(model, folder / f"{name}.joblib")
        np.save(folder / f"{name}.npy", model.predict_proba(rows)[:, 1])
        kinds = [("X", FloatTensorType([None, FEATURES]))]
        graph = skl2onnx.convert_sklearn(model, initial_types=kinds, options={"zipmap": False})
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
        register(folder / f"{name}.workspace", model, features[:200])


def pipeline(name: str) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if name == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression())
    if name == "boosting":
        return make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=100, random_state=7))
    return make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=100, random_state=7))


def register(folder: Path, model: Any, example: Any) -> None:
    """Put a pipeline into a new workspace as `model:served`."""
    from interlock.workspace import open_workspace

    with open_workspace(folder) as workspace:
        workspace.registry.register("served", model, example=example)


def logged(folder: Path) -> int:
    """Return how many predictions a workspace has in its log."""
    from interlock.workspace import open_workspace

    with open_workspace(folder) as workspace:
        return sum(workspace.stores.predictions.counts("served").values())
