"""Put records in order, cut pages, and say where the next page begins: the same on every backend."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.hashing import digest_of
from interlock.ports.search import OrderBy
from interlock.ports.search_checks import kind_of
from interlock.ports.search_fields import Searchable

PRESENT, NAN, MISSING = 0, 1, 2
"""Where a value stands, before what it is: numbers and text, then NaN, then nothing."""

LONGEST_WHOLE_BYTES = 300
"""UTF-8 bytes of the longest text that is ordered, and found in an index, by all of it."""

MARK = "\U0010ffff"
"""Stands, in the beginning of a long text, where the rest was cut off; comes after every other character."""

_BEGINNING_BYTES = 264
_DIGEST_CHARACTERS = 32

Place = tuple[int, Any]
Position = tuple[Place, ...]
"""Where a record stands in an order: of each key, what kind of value and the value, None where there is none."""


def cut(text: str) -> str:
    """Return a text, or if it is long its beginning and a digest: bounded, and equal only for equal texts.

    Example:
        >>> cut("adam"), len(cut("x" * 10_000))
        ('adam', 297)
    """
    if len(text) * 4 <= LONGEST_WHOLE_BYTES and MARK not in text:
        return text
    data = text.encode()
    if len(data) <= LONGEST_WHOLE_BYTES and MARK not in text:
        return text
    beginning = data[:_BEGINNING_BYTES].decode(errors="ignore").partition(MARK)[0]
    return beginning + MARK + digest_of(data).rpartition(":")[2][:_DIGEST_CHARACTERS]


def stored(text: str) -> tuple[str, str | None]:
    """Return a text as `cut` leaves it, and the whole of it if that is less."""
    short = cut(text)
    return short, None if short is text else text


def place(value: Any) -> Place:
    """Return where one value stands."""
    if value is None:
        return MISSING, None
    if isinstance(value, float):
        # SQLite keeps no sign of zero
        return (NAN, None) if math.isnan(value) else (PRESENT, value + 0.0)
    return PRESENT, value


class _Later:
    """A value that comes the later, the less it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Later) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Later) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]


def sort_key(position: Position, order: Sequence[OrderBy]) -> list[Any]:
    """Return what sorts positions in an order."""
    key: list[Any] = []
    for (rank, value), one in zip(position, order, strict=True):
        key.append(rank)
        if rank == PRESENT:
            key.append(_Later(value) if one.descending else value)
    return key


def write_token(position: Position, order: Sequence[OrderBy]) -> str:
    """Return the text that names a position in an order, for clients to send back."""
    body = msgspec.msgpack.encode([_stamp(order), [list(one) for one in position]])
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def read_token(token: str | None, order: Sequence[OrderBy], of: Searchable) -> Position | None:
    """Return the position that a token names, None for the first page.

    Raises:
        InvalidInput: It was not made by `write_token` for this order.
    """
    if not token:
        return None
    try:
        if not isinstance(token, str) or not token.isascii():
            raise ValueError(token)
        body = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        stamp, places = msgspec.msgpack.decode(body, type=tuple[int, list[tuple[int, str | int | float | None]]])
    except (ValueError, binascii.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_token("it was changed on the way, or is of another program") from error
    if stamp != _stamp(order) or len(places) != len(order):
        raise _no_token("it was made for another order")
    for (rank, value), one in zip(places, order, strict=True):
        number = kind_of(one.field, of) != "text"
        fits = isinstance(value, (int, float) if number else str) if rank == PRESENT else value is None
        if rank not in (PRESENT, NAN, MISSING) or not fits or value != value:
            raise _no_token("it was changed on the way")
    return tuple(places)


def _stamp(order: Sequence[OrderBy]) -> int:
    return zlib.crc32(msgspec.msgpack.encode(order))


def _no_token(why: str) -> InvalidInput:
    return InvalidInput("Invalid page token", why=why, fix="search again from the first page")
