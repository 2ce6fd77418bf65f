"""Port: engines that load a packaged model and answer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from interlock.core.schema import Signature


class Predictor(Protocol):
    """A loaded model.

    Thread-safe: may be called from several threads at once. Columns are equally long sequences in the order of
    the signature's inputs, already validated; missing values are None in strings and NaN in numbers. Tensors are
    NumPy arrays of their datatype, `rows` long (objects for BYTES). Pure: the same columns give the same answer.
    Rows that the model itself cannot take raise `InvalidInput`.
    """

    @abstractmethod
    def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
        """Return for each output name an array whose first dimension is `rows`."""


@runtime_checkable
class StreamingPredictor(Predictor, Protocol):
    """A loaded model that can answer part by part."""

    @abstractmethod
    def stream(self, columns: Sequence[Any], *, rows: int) -> Iterator[dict[str, Any]]:
        """Yield parts of the answer as they come; what `predict` returns is all of them together."""


class ModelRuntime(Protocol):
    """Loads one kind of packaged model. Loading never runs code that the package brings (no pickle).

    Thread-safe. `load` of a folder that is not whole raises `Corrupt`; a missing library raises `MissingExtra`.
    """

    @property
    @abstractmethod
    def engine(self) -> str:
        """The name under which versions ask for it (`onnx`)."""

    @abstractmethod
    def load(self, folder: Path, *, signature: Signature, settings: Mapping[str, Any]) -> Predictor:
        """Load the model in an `MLmodel` folder."""
