"""All kinds of models, in the order in which they are asked whether a model is theirs."""

from __future__ import annotations

from typing import Any

from interlock.core.errors import InvalidInput
from interlock.registry.flavors.catboost import CATBOOST
from interlock.registry.flavors.graphs import GRAPH
from interlock.registry.flavors.keras import KERAS
from interlock.registry.flavors.lightgbm import LIGHTGBM
from interlock.registry.flavors.mlflow import MLFLOW
from interlock.registry.flavors.onnx import ONNX
from interlock.registry.flavors.python import PYTHON
from interlock.registry.flavors.pytorch import PYTORCH
from interlock.registry.flavors.sklearn import SKLEARN
from interlock.registry.flavors.statsmodels import STATSMODELS
from interlock.registry.flavors.xgboost import XGBOOST
from interlock.registry.kinds import ModelKind, first_that_takes

# what wraps others, or subclasses them, comes before them; whatever can be called is a Python function, so that is last
KINDS: tuple[ModelKind, ...] = (
    XGBOOST,
    LIGHTGBM,
    CATBOOST,
    SKLEARN,
    ONNX,
    KERAS,
    PYTORCH,
    STATSMODELS,
    MLFLOW,
    GRAPH,
    PYTHON,
)


def kind_of(model: Any) -> ModelKind:
    """Return the kind of a model.

    Raises:
        InvalidInput: None takes it; what is taken is listed.
    """
    kind = first_that_takes(KINDS, model)
    if kind is None:
        raise InvalidInput(
            f"a {type(model).__name__} is not a model that can be registered",
            why=f"expected one of: {'; '.join(kind.takes for kind in KINDS)}",
        )
    return kind
