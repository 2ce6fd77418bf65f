"""Check the values of one column against its type, strictly: nothing is parsed, rounded or guessed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from math import isfinite, nan
from typing import Any, NoReturn

import msgspec

from interlock.core.errors import SchemaMismatch
from interlock.core.schema import Column

_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1
_KINDS = {
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    str: "a string",
    bytes: "bytes",
    list: "a list",
    dict: "an object",
    type(None): "null",
}

Check = Callable[[Sequence[Any]], tuple[list[Any], bool]]
"""Takes a column's values; returns them as the model takes them, and whether one is missing."""


def compile_check(column: Column) -> Check:
    """Return the check of a column.

    A whole number is taken for a double; a boolean is no number. A missing value (null, or NaN in a double)
    becomes NaN in numbers and booleans, None elsewhere, and is refused where the column is not nullable.

    Raises (the check): SchemaMismatch, naming row, column, what was expected and what was given.
    """
    return {
        "double": _double,
        "long": _long,
        "boolean": _boolean,
        "string": _string,
        "datetime": _datetime,
        "binary": _binary,
    }[column.type](column)


def refuse(column: Column, row: int, value: Any) -> NoReturn:
    """Refuse one value, without repeating it."""
    given = _KINDS.get(type(value), type(value).__name__)
    if isinstance(value, float) and not isfinite(value):
        given = "NaN" if value != value else "infinity"
    elif type(value) is int and column.type in ("long", "double"):
        given = "a number out of range"
    raise SchemaMismatch(
        f"row {row}, column '{column.name}': expected {column.type}, got {given}",
        why=f"the signature says {column.type}, {'may be missing' if column.nullable else 'never missing'}",
    )


def _double(column: Column) -> Check:
    def check(values: Sequence[Any]) -> tuple[list[Any], bool]:
        if len(values) == 1:
            value = values[0]
            if type(value) is float and isfinite(value):
                return [value], False
        elif set(map(type, values)) == {float} and isfinite(sum(values)):
            return list(values), False
        taken: list[float] = []
        missing = False
        for row, value in enumerate(values):
            kind = type(value)
            if kind is float and isfinite(value):
                taken.append(value)
            elif kind is int and -(2**1023) < value < 2**1023:
                taken.append(float(value))
            elif column.nullable and (value is None or value != value):
                taken.append(nan)
                missing = True
            else:
                refuse(column, row, value)
        return taken, missing

    return check


def _long(column: Column) -> Check:
    def fits(value: Any) -> Any:
        if type(value) is not int or not _LONG_MIN <= value <= _LONG_MAX:
            raise ValueError
        return value

    return _each(column, int, fits, missing=nan)


def _boolean(column: Column) -> Check:
    def fits(value: Any) -> Any:
        if type(value) is not bool:
            raise ValueError
        return value

    return _each(column, bool, fits, missing=nan)


def _string(column: Column) -> Check:
    def check(values: Sequence[Any]) -> tuple[list[Any], bool]:
        if len(values) == 1 and type(values[0]) is str:
            return [values[0]], False
        kinds = set(map(type, values))
        if kinds == {str}:
            return list(values), False
        if kinds == {str, type(None)} or kinds == {type(None)}:
            if column.nullable:
                return list(values), True
            row = list(values).index(None)
            refuse(column, row, None)
        row = next(row for row, value in enumerate(values) if value is not None and type(value) is not str)
        refuse(column, row, values[row])

    return check


def _datetime(column: Column) -> Check:
    def fits(value: Any) -> datetime:
        moment = value if isinstance(value, datetime) else msgspec.convert(value, datetime)
        if moment.tzinfo is None:
            raise ValueError
        return moment

    return _each(column, datetime, fits, missing=None)


def _binary(column: Column) -> Check:
    def fits(value: Any) -> bytes:
        return value if isinstance(value, bytes) else base64.b64decode(value, validate=True)

    return _each(column, bytes, fits, missing=None)


def _each(column: Column, kind: type, fits: Callable[[Any], Any], *, missing: Any) -> Check:
    """Build the check of a column whose values are looked at one by one."""

    def check(values: Sequence[Any]) -> tuple[list[Any], bool]:
        taken: list[Any] = []
        holes = False
        for row, value in enumerate(values):
            if column.nullable and (value is None or (kind is not str and value != value)):
                taken.append(missing)
                holes = True
                continue
            try:
                taken.append(fits(value))
            except (ValueError, TypeError, msgspec.ValidationError, binascii.Error):
                refuse(column, row, value)
        return taken, holes

    return check
