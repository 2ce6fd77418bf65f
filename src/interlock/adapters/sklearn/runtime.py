"""Answer with scikit-learn itself, where a model could not be compiled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlock.adapters.sklearn.explaining import SklearnExplainer
from interlock.core.errors import Corrupt, InvalidInput, Refused, missing_extra
from interlock.core.inert_types import TRUSTED_TYPES
from interlock.core.schema import ColumnType, Signature
from interlock.ports.explanation import Explanation
from interlock.ports.model_runtime import ModelRuntime, Predictor

MODEL_FILE = "model.skops"

_PREDICT_IS_ARGMAX = frozenset(
    {
        "DecisionTreeClassifier",
        "ExtraTreesClassifier",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "LGBMClassifier",
        "LogisticRegression",
        "RandomForestClassifier",
        "XGBClassifier",
    }
)

_OPENMP = frozenset(
    {
        *("BisectingKMeans", "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "KMeans"),
        *("KNeighborsClassifier", "KNeighborsRegressor", "MiniBatchKMeans"),
    }
)
"""Estimators whose `predict` begins threads of its own, which wait for each other at every tree or block."""


class SklearnRuntime(ModelRuntime):
    """Loads `model.skops`; nothing is ever unpickled, and a type outside the list is refused.

    Settings: `trusted_types`, further types that whoever registered the model vouched for; `frame`, the library
    whose tables the estimator reads (`arrow`, or `pandas` for the few steps that cannot read Arrow).
    """

    @property
    def engine(self) -> str:
        return "sklearn"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        try:
            import sklearn  # noqa: F401
            import skops.io
            from skops.io.exceptions import UntrustedTypesFoundException
        except ImportError as error:
            raise missing_extra("scikit-learn", extra="sklearn", purpose="serving a model without ONNX") from error
        path = folder / MODEL_FILE
        trusted = TRUSTED_TYPES | set(settings.get("trusted_types", ()))
        try:
            # the file is read whole first, as the loader falls back on nothing when it gets bytes
            data = path.read_bytes()
            model = skops.io.loads(data, trusted=sorted(trusted))
        except UntrustedTypesFoundException as error:
            unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - trusted)
            raise Refused(
                f"{path.name} holds types that are not trusted: {', '.join(unknown)}",
                why="loading an unknown type could run its code",
                fix=f"registry.register(..., trusted_types={unknown})",
            ) from error
        except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
            raise Corrupt(f"cannot load {path}", why=str(error)[:300], fix="interlock verify") from error
        return SklearnPredictor(model, signature, frame=str(settings.get("frame", "arrow")))


class SklearnPredictor(Predictor):
    """One fitted estimator."""

    def __init__(self, model: Any, signature: Signature, *, frame: str) -> None:
        self._model = model
        self._explainer: SklearnExplainer | None = None
        self._outputs = signature.outputs
        self._takes_pandas = frame == "pandas"
        self._inputs = tuple((column.name, column.type) for column in signature.inputs)
        self._takes_tables = hasattr(model, "feature_names_in_")
        names = [column.name for column in signature.outputs]
        self._shares = [name for name in names if name.startswith(("probability", "score"))]
        self._share_method = (
            "decision_function" if self._shares and self._shares[0].startswith("score") else "predict_proba"
        )
        self._said = [(column.name, column.type) for column in signature.outputs if column.name not in self._shares]
        final = model.steps[-1][1] if hasattr(model, "steps") else model
        self._threads: Any = None
        if type(final).__name__ in _OPENMP:
            import threadpoolctl

            self._threads = threadpoolctl.ThreadpoolController().select(user_api="openmp")
        # a second pass through the model is spared where predict is known to be the likeliest class
        self._label_by_argmax = "label" in names and bool(self._shares) and type(final).__name__ in _PREDICT_IS_ARGMAX

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        try:
            if self._threads is None:
                return self._answer(self._frame(columns))
            # requests run beside each other already; threads within one would only cost
            with self._threads.limit(limits=1):
                return self._answer(self._frame(columns))
        except (TypeError, ValueError) as error:
            raise InvalidInput("the model refused the rows", why=str(error).partition("\n")[0][:300]) from error

    def explain(
        self, columns: Sequence[Any], *, rows: int, background: Sequence[Any], background_rows: int
    ) -> Explanation | None:
        if self._explainer is None:
            names = [column.name for column in self._outputs]
            self._explainer = SklearnExplainer(self._model, names, columns=len(self._inputs))
        if not self._explainer.is_exact:
            return None
        try:
            return self._explainer.explain(self._frame(columns), self._frame(background))
        except (TypeError, ValueError) as error:
            raise InvalidInput("the model refused the rows", why=str(error).partition("\n")[0][:300]) from error

    def _answer(self, frame: Any) -> dict[str, Any]:
        import numpy as np

        answer: dict[str, Any] = {}
        if self._shares:
            table = np.asarray(getattr(self._model, self._share_method)(frame), np.float64)
            table = table.reshape(len(table), -1)
            # of two classes only the second is shown
            answer = dict(zip(self._shares, table.T[-len(self._shares) :], strict=True))
        if self._label_by_argmax:
            return {**answer, "label": self._model.classes_[table.argmax(axis=1)]}
        predicted = np.asarray(self._model.predict(frame))
        for (name, kind), values in zip(self._said, predicted.reshape(len(predicted), -1).T, strict=True):
            answer[name] = values.astype(np.float64) if kind == "double" else values
        return answer

    def _frame(self, columns: Sequence[Any]) -> Any:
        import numpy as np

        if not self._takes_tables:
            return np.column_stack([np.asarray(values) for values in columns])
        import pyarrow as pa

        kinds: dict[ColumnType, pa.DataType] = {
            "boolean": pa.bool_(),
            "long": pa.int64(),
            "double": pa.float64(),
            "string": pa.string(),
            "datetime": pa.timestamp("us", tz="UTC"),
            "binary": pa.binary(),
        }
        arrays = {}
        for (name, kind), values in zip(self._inputs, columns, strict=True):
            # a missing whole number or truth value arrives as NaN, which only a float column can hold
            holds_nan = kind in ("long", "boolean") and any(value != value for value in values)
            arrays[name] = pa.array(values, pa.float64() if holds_nan else kinds[kind])
        table = pa.table(arrays)
        return table.to_pandas() if self._takes_pandas else table
