"""What the `flavors` of an `MLmodel` file say, for the flavors that MLflow itself can load."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

from interlock.registry.packaging import MODEL_ONNX, MODEL_SKOPS, installed

Flavors = dict[str, Mapping[str, Any]]


def sklearn_flavors(untrusted: Sequence[str]) -> Flavors:
    """Return the flavors of an estimator that skops wrote, with the types that its reader must trust."""
    return {
        **python_function("sklearn", model_path=MODEL_SKOPS, predict_fn="predict"),
        "sklearn": {
            "code": None,
            "pickled_model": MODEL_SKOPS,
            "serialization_format": "skops",
            "skops_trusted_types": list(untrusted),
            "sklearn_version": installed("scikit-learn"),
        },
    }


def onnx_flavor() -> Flavors:
    """Return the flavor of an ONNX graph."""
    return {
        "onnx": {
            "code": None,
            "data": MODEL_ONNX,
            "onnx_version": installed("onnx"),
            "providers": ["CPUExecutionProvider"],
        }
    }


def python_function(flavor: str, **fields: Any) -> Flavors:
    """Return the flavor by which MLflow loads any model, here with the loader of one of its own flavors."""
    described = {
        "env": {"virtualenv": "python_env.yaml"},
        "loader_module": f"mlflow.{flavor}",
        "python_version": platform.python_version(),
        **fields,
    }
    return {"python_function": dict(sorted(described.items()))}


def native_flavors(flavor: str, *, data: str, **fields: Any) -> Flavors:
    """Return the flavors of a model that a library wrote in a form of its own."""
    return {**python_function(flavor, data=data), flavor: {"code": None, "data": data, **fields}}
