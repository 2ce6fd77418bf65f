"""Make a workspace with models of several kinds behind endpoints, for a server to be fuzzed on."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

COUNTED = ("delay", "tensors", "guess")
"""Endpoints whose every answered row is counted."""
ASIDE = ("aside", "talker")
"""Endpoints that are asked what has no ids in its answer, or whose answers are not read."""


def prepare(folder: Path) -> None:
    """Fit the models, register them and route an endpoint to each."""
    from interlock.serving.rollout import begin
    from interlock.workspace import open_workspace

    warnings.simplefilter("ignore")
    pipeline, frame = mixed_pipeline()
    graph, arrays = tensor_graph()
    models: dict[str, tuple[Any, Any, str]] = {
        "delay": (pipeline, frame, "delay"),
        "tensors": (graph, arrays, "tensors"),
        "guess": (guessing(), {"amount": [1.0, 2.5], "code": ["a", "b"]}, "guess"),
        "talker": (talking(), {"x": [1.0, 2.0], "word": ["a", "b"]}, "talker"),
        "aside": (None, None, "delay"),
    }
    with open_workspace(folder) as workspace:
        refs: dict[str, str] = {}
        for endpoint, (model, example, name) in models.items():
            if model is not None:
                refs[name] = workspace.registry.register(name, model, example=example).ref
            workspace.stores.deployments.route(endpoint, begin(refs[name]))


def mixed_pipeline() -> tuple[Any, Any]:
    """Return a pipeline of numbers and categories, with gaps, and the rows that it was fitted on."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    dice = np.random.default_rng(0)
    frame = pd.DataFrame({name: dice.normal(size=600) * 10 for name in ("wind", "late", "distance")})
    frame.loc[dice.random(600) < 0.1, "late"] = np.nan
    frame["carrier"] = dice.choice(["AA", "DL", "UA"], size=600)
    frame["origin"] = dice.choice(["EWR", "JFK", "LGA"], size=600)
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["wind", "late", "distance"]),
            ("strings", OneHotEncoder(handle_unknown="ignore"), ["carrier", "origin"]),
        ]
    )
    target = (frame["wind"] + (frame["origin"] == "EWR") * 8 > 4).astype(int)
    return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(frame, target), frame


def tensor_graph() -> tuple[bytes, dict[str, Any]]:
    """Return an ONNX graph of tensors of several datatypes, and arrays that it takes."""
    import numpy as np
    from onnx import TensorProto, helper

    kinds = {
        "image": (TensorProto.FLOAT, ["n", 2, "w"], "float32"),
        "counts": (TensorProto.INT64, ["n", 3], "int64"),
        "bytes": (TensorProto.UINT8, ["n", "b"], "uint8"),
        "flags": (TensorProto.BOOL, ["n", 2], "bool"),
        "words": (TensorProto.STRING, ["n", 2], "object"),
        "half": (TensorProto.FLOAT16, ["n", 1], "float16"),
    }
    nodes, inputs, outputs, arrays = [], [], [], {}
    for name, (kind, shape, dtype) in kinds.items():
        inputs.append(helper.make_tensor_value_info(name, kind, shape))
        outputs.append(helper.make_tensor_value_info(f"{name}_back", kind, shape))
        nodes.append(helper.make_node("Identity", [name], [f"{name}_back"]))
        size = [4, *(3 if isinstance(length, str) else length for length in shape[1:])]
        arrays[name] = np.full(size, "a", object) if dtype == "object" else np.ones(size, dtype)
    graph = helper.make_graph(nodes, "several", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString(), arrays


def guessing() -> Any:
    """Return a model that refuses some rows and fails on others."""

    def guess(rows):  # type: ignore[no-untyped-def]
        made = []
        for amount, code in zip(rows["amount"], rows["code"], strict=True):
            if amount is None or not -50 < amount < 1e4:
                raise ValueError("amounts are small")
            if code == "fail!":
                raise RuntimeError("this model fails here, as it is meant to")
            made.append(float(amount) * 2 + len(code or ""))
        return made

    return guess


def talking() -> Any:
    """Return a model that answers part by part."""

    def talk(row):  # type: ignore[no-untyped-def]
        for at in range(3):
            yield f"{row['x']} {row['word']} {at} "

    return talk
