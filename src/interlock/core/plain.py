"""Write plain values as bytes: the form in which stores keep, compare and give back what users hand in."""

from __future__ import annotations

from typing import Any

import msgspec

from interlock.core.errors import InvalidInput

_encoder = msgspec.msgpack.Encoder(order="deterministic")


def pack(value: Any) -> bytes:
    """Write a value as msgpack with sorted keys, so that equal values have equal bytes.

    `1`, `1.0` and `True` differ, NaN equals itself, and the order of keys does not matter.

    Raises:
        InvalidInput: It holds something that is not plain, or cannot be written.

    Example:
        >>> pack({"b": 1, "a": 2}) == pack({"a": 2, "b": 1}), pack(1) == pack(1.0)
        (True, False)
    """
    try:
        return _encoder.encode(value)
    except (TypeError, OverflowError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidInput(
            "a value cannot be stored",
            why=f"{error}; expected None, bool, int of 64 bits, float, str, bytes, a time, or lists of them"
            " and dicts of them by str",
            fix="convert it first, as in value.item() for a NumPy number or str(value)",
        ) from error


def unpack(data: bytes) -> Any:
    """Return the value that `pack` wrote; tuples come back as lists."""
    return msgspec.msgpack.decode(data)


def as_text(value: Any) -> str:
    """Write a plain value as people read and search it: text as it is, numbers and the rest as JSON.

    Example:
        >>> as_text("sgd"), as_text(0.1), as_text([1, None])
        ('sgd', '0.1', '[1,null]')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):  # JSON has no NaN
        return repr(value)
    try:
        return msgspec.json.encode(value, order="deterministic").decode()
    except (TypeError, ValueError):
        return repr(value)
