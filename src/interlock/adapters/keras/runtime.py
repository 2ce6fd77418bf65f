"""Answer with Keras, where a network could not be compiled to ONNX."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlock.core.errors import Corrupt, InvalidInput, missing_library
from interlock.core.schema import Signature
from interlock.core.signing import Signer, unsigned
from interlock.ports.model_runtime import ModelRuntime, Predictor

MODEL_FILE = "model.keras.signed"
PURPOSE = "keras model"


class KerasRuntime(ModelRuntime):
    """Loads `model.keras.signed`, a `.keras` file behind a signature, in Keras's safe mode.

    Safe mode refuses lambdas; other parts of a configuration may still name code, so one that this workspace did not
    sign is refused.

    Args:
        signer: Knows this workspace's signatures; without one everything is refused.
    """

    def __init__(self, signer: Signer | None = None) -> None:
        self._signer = signer or unsigned()

    @property
    def engine(self) -> str:
        return "keras"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        try:
            import keras
        except ImportError as error:
            raise missing_library("keras", purpose="serving a Keras model without ONNX") from error
        path = folder / MODEL_FILE
        try:
            payload = self._signer.read(path.read_bytes(), of=PURPOSE)
            with tempfile.TemporaryDirectory(prefix="interlock-keras-") as opened:
                plain = Path(opened) / "model.keras"
                plain.write_bytes(payload)
                model = keras.saving.load_model(plain, compile=False, safe_mode=True)
        except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
            raise Corrupt(f"cannot load {path}", why=str(error).partition("\n")[0][:300]) from error
        return KerasPredictor(model, signature)


class KerasPredictor(Predictor):
    """One loaded network."""

    def __init__(self, model: Any, signature: Signature) -> None:
        self._model = model
        self._inputs = signature.input_names
        self._outputs = [column.name for column in signature.outputs]

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        import keras

        given = dict(zip(self._inputs, columns, strict=True)) if len(columns) > 1 else columns[0]
        try:
            answer = self._model(given, training=False)
        except (RuntimeError, TypeError, ValueError) as error:
            raise InvalidInput("the model refused the rows", why=str(error).partition("\n")[0][:300]) from error
        if isinstance(answer, Mapping):
            answer = list(answer.values())
        elif not isinstance(answer, (tuple, list)):
            answer = [answer]
        return {name: keras.ops.convert_to_numpy(values) for name, values in zip(self._outputs, answer, strict=True)}
