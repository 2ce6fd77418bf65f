"""Compile a signature once into checks for every shape in which protocols send rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, LimitExceeded, SchemaMismatch, did_you_mean
from interlock.core.schema import Column, Signature
from interlock.serving.checks import compile_check
from interlock.serving.tensor_data import Text, read_array, read_list, text_of

MAX_ROWS = 100_000
_FLOATS = frozenset({"FP16", "FP32", "FP64", "BF16"})
_WHOLE = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
_TAKES = {
    "double": _FLOATS | _WHOLE,
    "long": _WHOLE,
    "boolean": frozenset({"BOOL"}),
    "string": frozenset({"BYTES"}),
    "datetime": frozenset({"BYTES"}),
    "binary": frozenset({"BYTES"}),
}
DATATYPES = {
    "double": "FP64",
    "long": "INT64",
    "boolean": "BOOL",
    "string": "BYTES",
    "datetime": "BYTES",
    "binary": "BYTES",
}
"""The Open Inference datatype in which each logical type is announced."""

_USUAL_KINDS: dict[str, type] = {"double": float, "boolean": bool, "string": str}
_NO_COLUMN: tuple[int, str, type | None] = (0, "", None)


class Tensor(msgspec.Struct, gc=False):
    """One input of an Open Inference request.

    Args:
        name: Name of the column.
        shape: `[rows]` or `[rows, 1]`.
        datatype: Its Open Inference datatype.
        data: Its values, flat or nested, or its raw bytes.
        parameters: What the protocol says of it (`binary_data_size`).
    """

    name: str
    shape: list[int]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] | None = None


class Table(msgspec.Struct):
    """Rows that fit a signature.

    Args:
        columns: Equally long lists in the order of the signature; missing is NaN in numbers, None elsewhere.
        rows: How many rows there are.
        has_missing: Whether any value is missing.
        is_tensor: Whether the columns are tensors: NumPy arrays whose first dimension is the rows.
    """

    columns: list[Any]
    rows: int
    has_missing: bool
    is_tensor: bool = False


class RowCheck:
    """A signature, compiled.

    Every method raises `SchemaMismatch` with the row, the column, what was expected and what was given, or the
    name of a column that is missing or not known, with the nearest names.
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._names = signature.input_names
        self._place = {name: place for place, name in enumerate(self._names)}
        self._checks = tuple(compile_check(column) for column in signature.inputs)
        self._takes = tuple(_TAKES[column.type] for column in signature.inputs)
        self._usual = {
            column.name: (place, DATATYPES[column.type], _USUAL_KINDS.get(column.type))
            for place, column in enumerate(signature.inputs)
        }

    def tensors(self, tensors: Sequence[Tensor]) -> Table:
        """Check Open Inference inputs, one per column, or one of shape [rows, columns] where all are numbers."""
        return self._one_row(tensors) or self._matrix_tensor(tensors) or self._any_rows(tensors)

    def _one_row(self, tensors: Sequence[Tensor]) -> Table | None:
        """Check the commonest request in one pass: one row, nothing missing; None for any other, good or bad."""
        usual = self._usual
        columns: list[Any] = [None] * len(usual)
        for tensor in tensors:
            place, datatype, kind = usual.get(tensor.name, _NO_COLUMN)
            data = tensor.data
            if tensor.datatype != datatype or type(data) is not list or len(data) != 1 or tensor.shape != [1]:
                return None
            value = data[0]
            if type(value) is not kind or columns[place] is not None or (type(value) is float and not isfinite(value)):
                return None
            columns[place] = data
        return None if None in columns else Table(columns, 1, False)

    def _matrix_tensor(self, tensors: Sequence[Tensor]) -> Table | None:
        """Check one input that holds all columns in their order; None for any other request."""
        if len(tensors) != 1 or len(self._names) < 2 or len(tensors[0].shape) != 2 or tensors[0].name in self._place:
            return None
        return self._table(columns_of(tensors[0], self.signature), _bounded(tensors[0].shape[0]))

    def _any_rows(self, tensors: Sequence[Tensor]) -> Table:
        place_of = self._place
        found: list[Any] = [None] * len(self._names)
        rows = -1
        for tensor in tensors:
            place = place_of.get(tensor.name)
            if place is None:
                raise self._unknown(tensor.name)
            if found[place] is not None:
                raise InvalidInput(f"the input '{tensor.name}' is given twice", why="each column may be given once")
            count = _rows_of(tensor)
            if rows != count:
                if rows >= 0:
                    raise InvalidInput(
                        f"the input '{tensor.name}' has {count} rows", why=f"the inputs before it have {rows}"
                    )
                rows = _bounded(count)
            if tensor.datatype not in self._takes[place]:
                column = self.signature.inputs[place]
                raise SchemaMismatch(
                    f"column '{column.name}': expected {DATATYPES[column.type]}, got {tensor.datatype[:20]}",
                    why=f"the signature says {column.type}, sent as {' or '.join(sorted(self._takes[place]))}",
                )
            found[place] = _flat(tensor, rows, text_of(self.signature.inputs[place]))
        if len(tensors) < len(found):
            raise self._missing({tensor.name for tensor in tensors})
        return self._table(found, rows)

    def columns(self, columns: Mapping[str, Any]) -> Table:
        """Check rows given column by column: name to list of values."""
        self._check_names(columns)
        rows = -1
        for name, values in columns.items():
            if not isinstance(values, list):
                raise SchemaMismatch(f"column '{name}': expected a list of values, got {type(values).__name__}")
            if rows not in (-1, len(values)):
                raise SchemaMismatch(f"column '{name}' has {len(values)} values", why=f"the columns before have {rows}")
            rows = len(values)
        return self._table([columns[name] for name in self._names], _bounded(rows))

    def records(self, records: Sequence[Mapping[str, Any]]) -> Table:
        """Check rows given as objects: column name to value."""
        rows = _bounded(len(records))
        names = set(self._names)
        for row, record in enumerate(records):
            if not isinstance(record, Mapping):
                raise SchemaMismatch(f"row {row}: expected an object, got {type(record).__name__}")
            if record.keys() != names:
                self._check_names(record, where=f"row {row}: ")
        return self._table([[record[name] for record in records] for name in self._names], rows)

    def split(self, names: Sequence[str], data: Sequence[Sequence[Any]]) -> Table:
        """Check rows given as lists under a list of column names."""
        self._check_names(names)
        if len(set(names)) < len(names):
            raise InvalidInput("a column is named twice", why=f"the columns are {', '.join(sorted(names))[:300]}")
        return self._lists([names.index(name) for name in self._names], data)

    def matrix(self, data: Sequence[Sequence[Any]]) -> Table:
        """Check rows given as lists in the order of the signature."""
        return self._lists(range(len(self._names)), data)

    def _lists(self, order: Iterable[int], data: Sequence[Sequence[Any]]) -> Table:
        width = len(self._names)
        rows = _bounded(len(data))
        for row, values in enumerate(data):
            if not isinstance(values, (list, tuple)) or len(values) != width:
                given = f"{len(values)} values" if isinstance(values, (list, tuple)) else type(values).__name__
                raise SchemaMismatch(f"row {row}: expected {width} values, got {given}")
        return self._table([[values[place] for values in data] for place in order], rows)

    def _table(self, found: Sequence[Sequence[Any]], rows: int) -> Table:
        if rows < 1:
            raise InvalidInput("the request has no rows", why="at least one is expected")
        columns: list[list[Any]] = []
        has_missing = False
        for check, values in zip(self._checks, found, strict=True):
            taken, missing = check(values)
            columns.append(taken)
            has_missing = has_missing or missing
        return Table(columns, rows, has_missing)

    def _check_names(self, names: Iterable[str], *, where: str = "") -> None:
        given = set(names)
        for name in given:
            if name not in self._place:
                raise self._unknown(name, where=where)
        if len(given) < len(self._names):
            raise self._missing(given, where=where)

    def _unknown(self, name: str, *, where: str = "") -> SchemaMismatch:
        return SchemaMismatch(
            f"{where}there is no column '{name[:100]}' in the signature", why=did_you_mean(name[:100], self._names)
        )

    def _missing(self, given: set[str], *, where: str = "") -> SchemaMismatch:
        lacking = [column for column in self.signature.inputs if column.name not in given]
        first = lacking[0]
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        return SchemaMismatch(
            f"{where}column '{first.name}' ({first.type}){more} is missing",
            why="every column of the signature is expected" + _null_hint(first),
        )


def _null_hint(column: Column) -> str:
    return "; send null where there is no value" if column.nullable else ""


def _bounded(rows: int) -> int:
    if rows > MAX_ROWS:
        raise LimitExceeded(f"the request has {rows} rows", why=f"at most {MAX_ROWS} fit in one request")
    return rows


def _rows_of(tensor: Tensor) -> int:
    """Return how many rows a tensor's shape announces, looking at nothing else."""
    shape = tensor.shape
    if shape and shape[0] >= 0 and (len(shape) == 1 or shape[1:] == [1]):
        return shape[0]
    raise InvalidInput(
        f"the input '{tensor.name[:100]}' has shape {shape[:8]}",
        why="expected [rows] or [rows, 1]: one input per column",
    )


def _flat(tensor: Tensor, rows: int, text: Text) -> list[Any]:
    values = tensor.data
    # gRPC's typed contents hold text as bytes
    if isinstance(values, (bytes, memoryview)) or (type(values) is list and values and type(values[0]) is bytes):
        return read_list(tensor.name, tensor.datatype, values, rows, text=text)
    if isinstance(values, list) and len(values) == rows:
        if rows and isinstance(values[0], list):
            if any(not isinstance(one, list) or len(one) != 1 for one in values):
                raise InvalidInput(
                    f"the data of '{tensor.name}' is nested unevenly", why=f"its shape is {tensor.shape}"
                )
            return [one[0] for one in values]
        return values
    if isinstance(values, list) and len(values) == 1 and isinstance(values[0], list) and len(values[0]) == rows:
        return values[0]
    given = f"{len(values)} values" if isinstance(values, list) else "no list of values"
    raise InvalidInput(f"the input '{tensor.name}' has {given}", why=f"its shape {tensor.shape} says {rows}")


def columns_of(tensor: Tensor, signature: Signature) -> list[list[Any]]:
    """Return the columns of a tensor of shape [rows, columns], as callers of one nameless matrix send it.

    Raises:
        SchemaMismatch: A column is no number, or the width is another.
        InvalidInput: The data does not fit the shape.
    """
    odd = next((column for column in signature.inputs if column.type not in ("double", "long")), None)
    name, width = tensor.name[:100], len(signature.inputs)
    if odd is not None or tensor.datatype not in _FLOATS | _WHOLE:
        raise SchemaMismatch(
            f"there is no column '{name}' in the signature",
            why=f"one matrix of all columns is taken where all are numbers; '{odd.name}' is {odd.type}"
            if odd
            else f"one matrix of all columns has a datatype of numbers, not {tensor.datatype[:20]}",
            fix=f"send one input per column: {did_you_mean(name, signature.input_names)}",
        )
    if tensor.shape[1] != width:
        raise SchemaMismatch(
            f"the input '{name}' has {tensor.shape[1]} columns",
            why=f"the signature has {width}: {', '.join(signature.input_names)[:200]}",
        )
    _bounded(tensor.shape[0])
    matrix = read_array(name, tensor.datatype, tensor.data, tensor.shape)
    columns: list[list[Any]] = matrix.T.tolist()
    return [
        [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
        if column.type == "long"
        else values
        for column, values in zip(signature.inputs, columns, strict=True)
    ]
