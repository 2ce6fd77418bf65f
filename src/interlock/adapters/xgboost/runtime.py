"""Answer with XGBoost itself, without the frames and matrices that its estimators build."""

from __future__ import annotations

import json
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
    "binary:logistic": "log-odds",
    "multi:softprob": "log-odds",
    "reg:squarederror": "value",
    "reg:absoluteerror": "value",
    "reg:pseudohubererror": "value",
    "reg:quantileerror": "value",
    "count:poisson": "log of the value",
    "reg:gamma": "log of the value",
    "reg:tweedie": "log of the value",
}
"""What the trees of an objective add up to; of others it is not known."""

MODEL_FILE = "model.ubj"


class XgboostRuntime(ModelRuntime):
    """Loads `model.ubj`.

    Settings: `classes`, a classifier's labels in their order; `missing`, the number that stands for a missing value
    where that is not NaN.
    """

    @property
    def engine(self) -> str:
        return "xgboost"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        try:
            import xgboost
        except ImportError as error:
            raise missing_extra("xgboost", extra="xgboost", purpose="serving an XGBoost model") from error
        path = folder / MODEL_FILE
        try:
            data = path.read_bytes()
            # cut short or of another kind, the reader of XGBoost would look for an older form and may not come back
            if data[:1] != b"{" or data[-1:] != b"}":
                raise ValueError("it is not UBJ")
            booster = xgboost.Booster(model_file=bytearray(data))
        except (OSError, ValueError, xgboost.core.XGBoostError) as error:
            raise Corrupt(f"cannot load {path}", why=str(error).strip()[-300:], fix="interlock verify") from error
        # requests run beside each other already; threads within one would only cost
        booster.set_param({"nthread": 1})
        return XgboostPredictor(booster, signature, settings=settings)


class XgboostPredictor(Predictor):
    """One booster."""

    def __init__(self, booster: Any, signature: Signature, *, settings: Mapping[str, Any]) -> None:
        classes = settings.get("classes")
        self._booster = booster
        self._names = [column.name for column in signature.outputs]
        self._classes = None if classes is None else np.array(classes)
        self._missing = float(settings.get("missing", "nan"))

    def explain(
        self, columns: Sequence[Any], *, rows: int, background: Sequence[Any], background_rows: int
    ) -> Explanation | None:
        import xgboost

        matrix = xgboost.DMatrix(np.array(columns, np.float32).T, missing=self._missing)
        found = self._booster.predict(matrix, pred_contribs=True, validate_features=False).astype(np.float64)
        values = self._booster.predict(matrix, output_margin=True, validate_features=False).astype(np.float64)
        outputs = tuple(name for name in self._names if name != "label")
        found, values = found.reshape(rows, -1, len(columns) + 1), values.reshape(rows, -1)
        if len(outputs) != found.shape[1]:
            return None
        objective = str(json.loads(self._booster.save_config())["learner"]["objective"]["name"])
        if objective not in _SPACES:
            return None
        method = "exact Shapley values of trees (XGBoost's own)"
        return Explanation(outputs, _SPACES[objective], method, found[0, :, -1], values, found[:, :, :-1])

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        try:
            table = np.array(columns, np.float32).T
            found = self._booster.inplace_predict(table, missing=self._missing, validate_features=False)
        except ValueError as error:
            raise InvalidInput("the model refused the rows", why=str(error).strip()[-300:]) from error
        shares = found.astype(np.float64)
        if self._classes is not None:
            return class_answers(shares, self._names, self._classes)
        return dict(zip(self._names, shares.reshape(rows, -1).T, strict=True))
