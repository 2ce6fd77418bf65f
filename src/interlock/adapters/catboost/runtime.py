"""Answer with CatBoost itself."""

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

MODEL_FILE = "model.cb"
_SPACES: dict[str, Space] = {
    "CrossEntropy": "log-odds",
    "Logloss": "log-odds",
    "MultiClass": "log-odds",
    "RMSE": "value",
    "MAE": "value",
    "Huber": "value",
    "Quantile": "value",
    "Poisson": "log of the value",
    "Tweedie": "log of the value",
}
"""What the trees of a loss function add up to; of others it is not known."""


class CatboostRuntime(ModelRuntime):
    """Loads `model.cb`.

    Settings: `classes`, a classifier's labels in their order; `prediction_type`, what anything else makes of the raw
    formula, as CatBoost calls it.
    """

    @property
    def engine(self) -> str:
        return "catboost"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        try:
            import catboost
        except ImportError as error:
            raise missing_extra("catboost", extra="catboost", purpose="serving a CatBoost model") from error
        path = folder / MODEL_FILE
        try:
            model = catboost.CatBoost().load_model(blob=path.read_bytes())
        except (OSError, catboost.CatBoostError) as error:
            raise Corrupt(f"cannot load {path}", why=str(error)[-300:], fix="interlock verify") from error
        return CatboostPredictor(model, signature, settings=settings, refusal=catboost.CatBoostError)


class CatboostPredictor(Predictor):
    """One model; columns of texts are its categories."""

    def __init__(
        self, model: Any, signature: Signature, *, settings: Mapping[str, Any], refusal: type[Exception]
    ) -> None:
        classes = settings.get("classes")
        self._model = model
        self._asked = str(settings.get("prediction_type", "RawFormulaVal")) if classes is None else "Probability"
        self._refusals = (refusal, TypeError, ValueError)
        self._names = [column.name for column in signature.outputs]
        self._classes = None if classes is None else np.array(classes)
        categories = set(model.get_cat_feature_indices())
        # what is no number, or is a number that names a category, has to arrive as it is
        is_table = categories or any(column.type == "string" for column in signature.inputs)
        self._kind: Any = object if is_table else np.float32
        self._whole = [at for at, column in enumerate(signature.inputs) if at in categories and column.type != "string"]

    def explain(
        self, columns: Sequence[Any], *, rows: int, background: Sequence[Any], background_rows: int
    ) -> Explanation | None:
        import catboost

        loss = str(self._model.get_all_params().get("loss_function", "")).partition(":")[0]
        outputs = tuple(name for name in self._names if name != "label")
        if loss not in _SPACES:
            return None
        try:
            table = self._table(columns)
            pool = catboost.Pool(table, cat_features=self._model.get_cat_feature_indices())
            found = self._model.get_feature_importance(pool, type="ShapValues", thread_count=1)
            values = self._model.predict(table, prediction_type="RawFormulaVal", thread_count=1).reshape(rows, -1)
        except self._refusals as error:
            raise InvalidInput("the model refused the rows", why=str(error)[-300:]) from error
        found = np.asarray(found, np.float64).reshape(rows, -1, len(columns) + 1)
        if len(outputs) != found.shape[1] or values.shape[1] != found.shape[1]:
            return None
        method = "exact Shapley values of trees (CatBoost's own)"
        return Explanation(outputs, _SPACES[loss], method, found[0, :, -1], values, found[:, :, :-1])

    def _table(self, columns: Sequence[Any]) -> Any:
        if self._whole:
            columns = [
                [int(value) for value in values] if at in self._whole else values for at, values in enumerate(columns)
            ]
        return np.array(columns, self._kind).T

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        try:
            table = self._table(columns)
            # requests run beside each other already; threads within one would only cost
            found = self._model.predict(table, prediction_type=self._asked, thread_count=1)
        except self._refusals as error:
            raise InvalidInput("the model refused the rows", why=str(error)[-300:]) from error
        if self._classes is None:
            return dict(zip(self._names, found.reshape(rows, -1).T.astype(np.float64), strict=True))
        found = found.reshape(rows, -1)
        return class_answers(found[:, 1] if len(self._classes) == 2 else found, self._names, self._classes)
