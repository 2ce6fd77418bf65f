"""Answer with scikit-learn itself, where a model could not be compiled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlock.core.errors import Corrupt, InvalidInput, Refused, missing_extra
from interlock.core.schema import ColumnType, Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor

MODEL_FILE = "model.skops"
TRUSTED_TYPES = frozenset(
    {
        "numpy.dtype",
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.AbsoluteError",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfPoissonLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss.loss.PinballLoss",
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    }
)
"""Inert types that fitted scikit-learn models hold beyond those that skops itself trusts."""

_PREDICT_IS_ARGMAX = frozenset(
    {
        "DecisionTreeClassifier",
        "ExtraTreesClassifier",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "LogisticRegression",
        "RandomForestClassifier",
    }
)


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
        except ImportError as error:
            raise missing_extra("scikit-learn", extra="sklearn", purpose="serving a model without ONNX") from error
        path = folder / MODEL_FILE
        trusted = TRUSTED_TYPES | set(settings.get("trusted_types", ()))
        try:
            # the file is read whole first, as the loader falls back on nothing when it gets bytes
            data = path.read_bytes()
            unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - trusted)
            if unknown:
                raise Refused(
                    f"{path.name} holds types that are not trusted: {', '.join(unknown)}",
                    why="loading an unknown type could run its code",
                    fix=f"registry.register(..., trusted_types={unknown})",
                )
            model = skops.io.loads(data, trusted=sorted(trusted))
        except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
            raise Corrupt(f"cannot load {path}", why=str(error)[:300], fix="interlock verify") from error
        return SklearnPredictor(model, signature, frame=str(settings.get("frame", "arrow")))


class SklearnPredictor(Predictor):
    """One fitted estimator."""

    def __init__(self, model: Any, signature: Signature, *, frame: str) -> None:
        self._model = model
        self._takes_pandas = frame == "pandas"
        self._inputs = tuple((column.name, column.type) for column in signature.inputs)
        self._takes_tables = hasattr(model, "feature_names_in_")
        names = [column.name for column in signature.outputs]
        self._label = "label" if "label" in names else None
        self._probabilities = [name for name in names if name.startswith("probability")]
        final = model.steps[-1][1] if hasattr(model, "steps") else model
        # a second pass through the model is spared where predict is known to be the likeliest class
        self._label_by_argmax = bool(self._probabilities) and type(final).__name__ in _PREDICT_IS_ARGMAX

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        try:
            return self._answer(self._frame(columns))
        except (TypeError, ValueError) as error:
            raise InvalidInput("the model refused the rows", why=str(error).partition("\n")[0][:300]) from error

    def _answer(self, frame: Any) -> dict[str, Any]:
        import numpy as np

        if self._label is None:
            return {"prediction": np.asarray(self._model.predict(frame), np.float64).ravel()}
        answer: dict[str, Any] = {}
        if self._probabilities:
            table = np.asarray(self._model.predict_proba(frame), np.float64)
            shown = table[:, 1:] if len(self._probabilities) == 1 else table
            answer = {name: shown[:, at] for at, name in enumerate(self._probabilities)}
        if self._label_by_argmax:
            answer["label"] = self._model.classes_[table.argmax(axis=1)]
        else:
            answer["label"] = self._model.predict(frame)
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
