"""Answer with PyTorch, where a network could not be compiled to ONNX."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interlock.core.errors import Corrupt, InvalidInput, missing_library
from interlock.core.schema import Signature
from interlock.core.signing import Signer, unsigned
from interlock.ports.model_runtime import ModelRuntime, Predictor

MODEL_FILE = "model.torch"
PURPOSE = "torch program"


class TorchRuntime(ModelRuntime):
    """Loads `model.torch`: a program as `torch.export` writes it, or TorchScript; no class of its author is needed.

    PyTorch reads parts of such a file as code, so it is signed, and one that this workspace did not sign is refused.

    Settings: `program`, which of the two it is (`export`, `script`).

    Args:
        signer: Knows this workspace's signatures; without one everything is refused.
    """

    def __init__(self, signer: Signer | None = None) -> None:
        self._signer = signer or unsigned()

    @property
    def engine(self) -> str:
        return "torch"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        try:
            import torch
        except ImportError as error:
            raise missing_library("torch", purpose="serving a PyTorch model without ONNX") from error
        path = folder / MODEL_FILE
        try:
            source = io.BytesIO(self._signer.read(path.read_bytes(), of=PURPOSE))
            if settings.get("program") == "script":
                program = torch.jit.load(source, map_location="cpu")
            else:
                program = torch.export.load(source).module()
        except (OSError, RuntimeError, ValueError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
            raise Corrupt(f"cannot load {path}", why=_first_line(error), fix="interlock verify") from error
        return TorchPredictor(program, signature)


class TorchPredictor(Predictor):
    """One loaded program."""

    def __init__(self, program: Any, signature: Signature) -> None:
        self._program = program
        self._outputs = [column.name for column in signature.outputs]

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        import torch

        try:
            with torch.inference_mode():
                # what came over the wire may not be written to, and a program may write to its inputs
                answer = self._program(*(torch.from_numpy(values.copy()) for values in columns))
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            raise InvalidInput("the model refused the rows", why=_first_line(error)) from error
        if isinstance(answer, Mapping):
            answer = list(answer.values())
        elif not isinstance(answer, (tuple, list)):
            answer = [answer]
        return {name: values.numpy() for name, values in zip(self._outputs, answer, strict=True)}


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:300]
