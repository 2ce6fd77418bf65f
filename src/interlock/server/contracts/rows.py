"""Read rows in the loose forms of JSON that scoring protocols send: lists, objects, or columns by name.

The signature's own check comes first. Only what it refuses is looked at again as clients of these protocols mean it:
columns beyond the signature are left out, a value that may be missing may be absent, a whole number written `1.0` is
whole, a time without a zone is in UTC, base64 may have line breaks, and a NaN among strings is missing. Nothing is
rounded, and no text becomes a number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.schema import Signature
from interlock.serving.tensor_check import TensorCheck
from interlock.serving.validation import RowCheck, Table

_FIRST_UNNAMED = "x0"


def read_loose(rows: Any, check: RowCheck) -> Table:
    """Return the rows of `instances` or `inputs`.

    Args:
        rows: A list of objects, a list of lists in the order of the signature, a list of values where there is one
            column, columns by name, or one row by name.
        check: What they have to pass.

    Raises:
        InvalidInput: They come in no such form.
        SchemaMismatch: They do not fit the signature.
    """
    if isinstance(rows, Mapping):
        if rows and not any(isinstance(values, (list, Mapping)) for values in rows.values()):
            return read_records([rows], check)
        return _twice(lambda: check.columns(rows), lambda: rows, check)
    if not isinstance(rows, list):
        raise InvalidInput("the rows cannot be read", why="expected a list of rows, or columns by name")
    if rows and isinstance(rows[0], Mapping):
        return read_records(rows, check)
    if (
        rows
        and not isinstance(rows[0], list)
        and len(check.signature.inputs) == 1
        and not isinstance(check, TensorCheck)
    ):
        return read_matrix([[value] for value in rows], check)
    return read_matrix(rows, check)


def read_records(records: Sequence[Any], check: RowCheck) -> Table:
    """Return rows given as objects.

    Raises:
        SchemaMismatch: They do not fit the signature.
    """

    def columns() -> Mapping[str, Any]:
        # what may be missing may be left out of some rows, but not of all: a column nobody sends is a mistake
        given: set[str] = set().union(*records)
        return {
            column.name: [record.get(column.name) if column.nullable else record[column.name] for record in records]
            for column in check.signature.inputs
            if column.name in given
        }

    return _twice(lambda: check.records(records), columns, check)


def read_matrix(data: Sequence[Any], check: RowCheck) -> Table:
    """Return rows given as lists in the order of the signature.

    Raises:
        SchemaMismatch: They do not fit the signature.
    """
    names = check.signature.input_names
    return _twice(lambda: check.matrix(data), lambda: _transposed(names, range(len(names)), data), check)


def read_split(names: Sequence[str] | None, data: Sequence[Any], check: RowCheck) -> Table:
    """Return rows given as lists under a list of column names.

    Raises:
        InvalidInput: A column is named twice.
        SchemaMismatch: They do not fit the signature.
    """
    if names is None or _is_matrix(names, check):
        # a matrix has no names of its own: those that libraries give its columns mean nothing
        return read_matrix(data, check)

    def columns() -> Mapping[str, Any]:
        wanted = check.signature.input_names
        return _transposed(wanted, [names.index(name) for name in wanted], data, width=len(names))

    return _twice(lambda: check.split(names, data), columns, check)


def _is_matrix(names: Sequence[str], check: RowCheck) -> bool:
    """Say whether a model takes a matrix, and the names given are none of its own."""
    first = check.signature.inputs[0].name
    if isinstance(check, TensorCheck):
        return len(check.signature.inputs) == 1 and first not in names
    if first != _FIRST_UNNAMED:
        return False
    wanted = check.signature.input_names
    is_unnamed = wanted == tuple(f"x{at}" for at in range(len(wanted)))
    return is_unnamed and len(names) == len(wanted) and not set(names) & set(wanted)


def _twice(strict: Callable[[], Table], columns: Callable[[], Mapping[str, Any]], check: RowCheck) -> Table:
    """Check rows as they are, and where that fails once more as their sender means them."""
    try:
        return strict()
    except SchemaMismatch:
        meant = None
        with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):
            meant = _meant(columns(), check.signature)
        if meant is None:
            raise
    return check.columns(meant)


def _transposed(names: Sequence[str], places: Sequence[int], data: Sequence[Any], *, width: int = 0) -> dict[str, Any]:
    width = width or len(names)
    if any(not isinstance(row, list) or len(row) != width for row in data):
        raise ValueError
    return {name: [row[place] for row in data] for name, place in zip(names, places, strict=True)}


def _meant(columns: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Return the signature's columns, each value as it is meant."""
    meant: dict[str, Any] = {}
    for column in signature.inputs:
        values = columns[column.name]
        read = None if column.shape is not None or not isinstance(values, list) else _MEANT.get(column.type)
        meant[column.name] = values if read is None else [read(value) for value in values]
    return meant


def _whole(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        with contextlib.suppress(msgspec.ValidationError):
            value = msgspec.convert(value.replace(" ", "T", 1), datetime, strict=False)
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _joined(value: Any) -> Any:
    return "".join(value.split()) if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


_MEANT: dict[str, Callable[[Any], Any]] = {
    "long": _whole,
    "datetime": _moment,
    "binary": _joined,
    "string": _text,
}
