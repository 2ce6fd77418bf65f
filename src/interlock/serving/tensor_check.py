"""Compile a signature of tensors once into a check for every shape in which protocols send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.core.errors import InvalidInput, LimitExceeded, SchemaMismatch, did_you_mean
from interlock.core.schema import Column, Signature
from interlock.serving.tensor_data import Array, element_count, read_array, text_of
from interlock.serving.validation import MAX_ROWS, RowCheck, Table, Tensor


class TensorCheck(RowCheck):
    """A signature of tensors, compiled.

    Datatypes are exact, names and dimensions are those of the signature (-1 takes any length), and all inputs have
    as many rows. Where a first dimension is fixed the request is one row as a whole. Sizes are compared before
    anything is allocated.

    Every method raises `SchemaMismatch` with the input, what was expected and what was given, or the name of an
    input that is missing or not known, with the nearest names.

    Example:
        >>> image = Column("image", "double", shape=(-1, 2), datatype="FP32")
        >>> check = TensorCheck(Signature((image,), ()))
        >>> check.tensors([Tensor("image", [1, 2], "FP32", [0.5, 1])]).columns
        [array([[0.5, 1. ]], dtype=float32)]
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._names = signature.input_names
        self._place = {name: place for place, name in enumerate(self._names)}
        self._is_whole = is_whole(signature)

    def tensors(self, tensors: Sequence[Tensor]) -> Table:
        """Check Open Inference inputs."""
        found: list[Array | None] = [None] * len(self._names)
        rows = -1
        for tensor in tensors:
            place = self._place.get(tensor.name)
            if place is None:
                raise self._unknown(tensor.name)
            if found[place] is not None:
                raise InvalidInput(f"the input '{tensor.name}' is given twice", why="each may be given once")
            column = self.signature.inputs[place]
            if tensor.datatype != column.datatype:
                raise SchemaMismatch(
                    f"the input '{column.name}': expected {column.datatype}, got {tensor.datatype[:20]}",
                    why="the datatype of a tensor is exact",
                )
            _check_shape(column, tensor.shape)
            array = read_array(tensor.name, tensor.datatype, tensor.data, tensor.shape, text=text_of(column))
            rows = self._same_rows(tensor, rows)
            found[place] = _finite(column, array)
        if len(tensors) < len(found):
            raise self._missing({tensor.name for tensor in tensors})
        return Table(found, 1 if self._is_whole else rows, False, is_tensor=True)

    def columns(self, columns: Mapping[str, Any]) -> Table:
        """Check tensors given by name, as nested lists whose shape is read off them."""
        return self.tensors([self._shaped(name, data) for name, data in columns.items()])

    def records(self, records: Sequence[Mapping[str, Any]]) -> Table:
        """Check rows given as objects: input name to the row's part of the tensor."""
        for row, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise SchemaMismatch(f"row {row}: expected an object, got {type(record).__name__}")
            if record.keys() != self._place.keys():
                self._check_names(record, where=f"row {row}: ")
        return self.columns({name: self._joined([record[name] for record in records]) for name in self._names})

    def split(self, names: Sequence[str], data: Sequence[Sequence[Any]]) -> Table:
        """Check rows given as lists under a list of input names."""
        self._check_names(names)
        if len(set(names)) < len(names):
            raise InvalidInput("an input is named twice", why=f"the inputs are {', '.join(sorted(names))[:300]}")
        for row, values in enumerate(data):
            if not isinstance(values, (list, tuple)) or len(values) != len(names):
                raise SchemaMismatch(f"row {row}: expected a list of {len(names)} values")
        return self.columns({name: self._joined([row[place] for row in data]) for place, name in enumerate(names)})

    def matrix(self, data: Sequence[Any]) -> Table:
        """Check rows without names: of a model with one input they are its tensor, else lists in its order."""
        if len(self._names) != 1:
            return self.split(self._names, data)
        return self.columns({self._names[0]: self._joined(list(data))})

    def _joined(self, rows: list[Any]) -> Any:
        """Return rows as the data of one tensor; where the request is one row, that row."""
        if not rows:
            raise InvalidInput("the request has no rows", why="at least one is expected")
        return rows[0] if self._is_whole and len(rows) == 1 else rows

    def _shaped(self, name: str, data: Any) -> Tensor:
        place = self._place.get(name)
        if place is None:
            raise self._unknown(name)
        column = self.signature.inputs[place]
        wanted = column.shape or ()
        shape: list[int] = []
        level = data
        while isinstance(level, list) and len(shape) < len(wanted):
            shape.append(len(level))
            level = level[0] if level else None
        return Tensor(name, shape, column.datatype, data if wanted else [data])

    def _same_rows(self, tensor: Tensor, before: int) -> int:
        if self._is_whole:
            return 1
        rows = tensor.shape[0]
        if before not in (-1, rows):
            raise InvalidInput(f"the input '{tensor.name}' has {rows} rows", why=f"the inputs before it have {before}")
        if rows < 1:
            raise InvalidInput("the request has no rows", why="at least one is expected")
        if rows > MAX_ROWS:
            raise LimitExceeded(f"the request has {rows} rows", why=f"at most {MAX_ROWS} fit in one request")
        return rows

    def _unknown(self, name: str, *, where: str = "") -> SchemaMismatch:
        return SchemaMismatch(
            f"{where}there is no input '{name[:100]}' in the signature", why=did_you_mean(name[:100], self._names)
        )

    def _missing(self, given: set[str], *, where: str = "") -> SchemaMismatch:
        lacking = [column for column in self.signature.inputs if column.name not in given]
        first = lacking[0]
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        return SchemaMismatch(
            f"{where}the input '{first.name}' ({first.datatype} {list(first.shape or ())}){more} is missing",
            why="every input of the signature is expected",
        )


def is_whole(signature: Signature) -> bool:
    """Say whether a request is one row as a whole: some input has a fixed first dimension, or none at all."""
    return signature.is_tensor and any(not column.shape or column.shape[0] != -1 for column in signature.inputs)


def _check_shape(column: Column, shape: Sequence[int]) -> None:
    wanted = column.shape or ()
    element_count(column.name, shape)
    if len(shape) != len(wanted) or any(one not in (-1, given) for one, given in zip(wanted, shape, strict=True)):
        raise SchemaMismatch(
            f"the input '{column.name}' has shape {list(shape[:16])}", why=f"the signature says {list(wanted)}"
        )


def _finite(column: Column, array: Array) -> Array:
    import numpy as np

    if not column.nullable and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise SchemaMismatch(
            f"the input '{column.name}' has NaN or an infinity", why="the signature says that no value is missing"
        )
    return array
