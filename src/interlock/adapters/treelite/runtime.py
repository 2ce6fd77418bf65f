"""Answer with Treelite's general tree inference, which needs no compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from interlock.core.class_answers import class_answers
from interlock.core.errors import Corrupt, InvalidInput, missing_extra
from interlock.core.schema import Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor

MODEL_FILE = "model.tl"


class TreeliteRuntime(ModelRuntime):
    """Loads `model.tl`, a serialised Treelite model.

    Settings: `classes`, a classifier's labels in their order.
    """

    @property
    def engine(self) -> str:
        return "treelite"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        try:
            import treelite
        except ImportError as error:
            raise missing_extra("treelite", extra="sklearn", purpose="serving trees with Treelite") from error
        path = folder / MODEL_FILE
        try:
            data = path.read_bytes()
            model = treelite.Model.deserialize_bytes(data)
        except (OSError, ValueError, treelite.TreeliteError) as error:
            raise Corrupt(f"cannot load {path}", why=str(error).strip()[-300:], fix="interlock verify") from error
        return TreelitePredictor(model, signature, classes=settings.get("classes"))


class TreelitePredictor(Predictor):
    """One ensemble of trees."""

    def __init__(self, model: Any, signature: Signature, *, classes: Sequence[Any] | None) -> None:
        from treelite import gtil

        self._model = model
        self._ask = gtil.predict
        self._kind = np.float32 if model.input_type == "float32" else np.float64
        self._names = [column.name for column in signature.outputs]
        self._classes = None if classes is None else np.array(classes)

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        try:
            table = np.ascontiguousarray(np.array(columns, self._kind).T)
        except ValueError as error:
            raise InvalidInput("the model refused the rows", why=str(error)[:300]) from error
        # requests run beside each other already; threads within one would only cost
        found = self._ask(self._model, table, nthread=1).reshape(rows, -1).astype(np.float64)
        if self._classes is None:
            return dict(zip(self._names, found.T, strict=True))
        # of two classes some trees give both shares, and some that of the second
        return class_answers(found[:, -1] if len(self._classes) == 2 else found, self._names, self._classes)
