"""Answer with LightGBM itself, without the frames that its estimators build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interlock.core.class_answers import class_answers
from interlock.core.errors import Corrupt, InvalidInput, missing_extra
from interlock.core.schema import Signature
from interlock.ports.explanation import Explanation, Space
from interlock.ports.model_runtime import ModelRuntime, Predictor

_SPACES: dict[str, Space] = {
    "binary": "log-odds",
    "multiclass": "log-odds",
    "regression": "value",
    "regression_l1": "value",
    "huber": "value",
    "quantile": "value",
    "poisson": "log of the value",
    "gamma": "log of the value",
    "tweedie": "log of the value",
}
"""What the trees of an objective add up to; of others it is not known."""

MODEL_FILE = "model.lgb"


class LightgbmRuntime(ModelRuntime):
    """Loads `model.lgb`.

    Settings: `classes`, a classifier's labels in their order.
    """

    @property
    def engine(self) -> str:
        return "lightgbm"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        try:
            import lightgbm
        except ImportError as error:
            raise missing_extra("lightgbm", extra="lightgbm", purpose="serving a LightGBM model") from error
        path = folder / MODEL_FILE
        try:
            text = path.read_text()
            # LightGBM ends the process at some texts that are cut short
            if not text.startswith("tree\n") or "\nend of trees\n" not in text:
                raise ValueError("it is not whole")
            booster = lightgbm.Booster(model_str=text)
        except (OSError, ValueError, lightgbm.basic.LightGBMError) as error:
            raise Corrupt(f"cannot load {path}", why=str(error)[:300], fix="interlock verify") from error
        return LightgbmPredictor(booster, signature, classes=settings.get("classes"))


class LightgbmPredictor(Predictor):
    """One booster."""

    def __init__(self, booster: Any, signature: Signature, *, classes: Sequence[Any] | None) -> None:
        self._booster = booster
        self._names = [column.name for column in signature.outputs]
        self._classes = None if classes is None else np.array(classes)

    def explain(
        self, columns: Sequence[Any], *, rows: int, background: Sequence[Any], background_rows: int
    ) -> Explanation | None:
        table = np.array(columns, np.float64).T
        objective = str(self._booster.params.get("objective", "")).partition(" ")[0]
        outputs = tuple(name for name in self._names if name != "label")
        if objective not in _SPACES:
            return None
        found = self._booster.predict(table, pred_contrib=True, num_threads=1).reshape(rows, -1, len(columns) + 1)
        values = self._booster.predict(table, raw_score=True, num_threads=1).reshape(rows, -1)
        if len(outputs) != found.shape[1]:
            return None
        method = "exact Shapley values of trees (LightGBM's own)"
        return Explanation(outputs, _SPACES[objective], method, found[0, :, -1], values, found[:, :, :-1])

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        try:
            # requests run beside each other already; threads within one would only cost
            found = self._booster.predict(np.array(columns, np.float64).T, num_threads=1)
        except ValueError as error:
            raise InvalidInput("the model refused the rows", why=str(error)[:300]) from error
        if self._classes is not None:
            return class_answers(found, self._names, self._classes)
        return dict(zip(self._names, found.reshape(rows, -1).T, strict=True))
