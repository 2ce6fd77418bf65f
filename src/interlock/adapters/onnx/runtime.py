"""Answer with ONNX Runtime, one thread per request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from interlock.core.errors import Corrupt, InvalidInput, missing_extra
from interlock.core.schema import Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor

if TYPE_CHECKING:
    import onnxruntime

MODEL_FILE = "model.onnx"
PACKED_FILE = "packed.onnx"
NUMBERS, STRINGS = "interlock_numbers", "interlock_strings"
"""Inputs of a packed graph: all columns that are not strings, and all that are, in the signature's order."""

_NUMPY_TYPES = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


class OnnxRuntime(ModelRuntime):
    """Loads `model.onnx`, whose inputs and outputs are named as the signature's columns.

    Where there is a `packed.onnx` beside it, the same graph with its columns gathered into one input per kind, that
    is loaded instead: handing over twenty small inputs costs as much as answering.

    Settings: `null_string`, the string under which the graph knows a missing string (`nan`).
    """

    @property
    def engine(self) -> str:
        return "onnx"

    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        try:
            import onnxruntime
        except ImportError as error:
            raise missing_extra("onnxruntime", extra="sklearn", purpose="serving an ONNX model") from error
        options = onnxruntime.SessionOptions()
        # requests run beside each other already; threads within one would only cost
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        path = folder / (PACKED_FILE if (folder / PACKED_FILE).exists() else MODEL_FILE)
        unreadable: tuple[type[Exception], ...] = (OSError, *_failures())
        try:
            graph = path.read_bytes()
            session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except unreadable as error:
            raise Corrupt(f"cannot load {path}", why=_first_line(error), fix="interlock verify") from error
        return OnnxPredictor(session, signature, null_string=str(settings.get("null_string", "nan")))


class OnnxPredictor(Predictor):
    """One loaded graph.

    Cost: of a row of ten numbers 1 µs to hand it over and 4 to 6 µs in ONNX Runtime.
    """

    def __init__(self, session: onnxruntime.InferenceSession, signature: Signature, *, null_string: str) -> None:
        taken = {port.name: port.type for port in session.get_inputs()}
        given = {port.name for port in session.get_outputs()}
        self._wanted = [column.name for column in signature.outputs]
        places = {name: [place] for place, name in enumerate(signature.input_names)}
        is_string = dict(enumerate(column.type == "string" for column in signature.inputs))
        places |= {
            NUMBERS: [place for place in is_string if not is_string[place]],
            STRINGS: [place for place in is_string if is_string[place]],
        }
        if unknown := (taken.keys() - places.keys()) | (set(self._wanted) - given):
            raise Corrupt(
                f"the ONNX graph does not fit the signature at {sorted(unknown)}",
                why=f"the graph takes {sorted(taken)} and gives {sorted(given)}",
                fix="register the model again",
            )
        self._session = session
        self._null_string = null_string
        self._is_tensor = signature.is_tensor
        self._feeds = [(name, places[name], _NUMPY_TYPES.get(kind)) for name, kind in taken.items()]
        # numbers only, all of them, in one input: the columns are the feed
        self._only = self._feeds[0] if len(self._feeds) == 1 and len(self._feeds[0][1]) == len(is_string) else None
        if self._only is not None and (self._is_tensor or self._only[2] is None):
            self._only = None
        self._failures = _failures()

    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        try:
            if rows == 1 and self._only is not None:
                # one row after the other is much quicker to read in than many columns of one
                feed = {self._only[0]: np.array([[value for (value,) in columns]], self._only[2])}
            elif self._is_tensor:
                feed = {name: columns[place] for name, (place,), _ in self._feeds}
            else:
                feed = {
                    name: self._tensor([columns[place] for place in places], kind) for name, places, kind in self._feeds
                }
            answers = self._session.run(self._wanted, feed)
        except self._failures as error:
            raise InvalidInput("the model refused the rows", why=_first_line(error)) from error
        return dict(zip(self._wanted, answers, strict=True))

    def _tensor(self, columns: list[Sequence[Any]], kind: Any) -> np.ndarray[Any, Any]:
        """Return columns side by side; shape (rows, columns)."""
        if kind is None:
            null = self._null_string
            columns = [[null if one is None else one for one in column] for column in columns]
        if len(columns[0]) == 1:
            return np.array([[column[0] for column in columns]], kind or object)
        return np.array(columns, kind or object).T


def _failures() -> tuple[type[Exception], ...]:
    """Return what ONNX Runtime raises; its exceptions have no common base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
    return tuple(getattr(state, name) for name in (*names, "RuntimeException"))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
