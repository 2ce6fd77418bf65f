"""Read the fields of a protobuf message without its schema; just enough for event files and transaction logs."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from interlock.core.errors import Corrupt

Field = tuple[int, int | bytes]
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 70


def fields(data: bytes) -> Iterator[Field]:
    """Yield number and value of each field: whole numbers for varints, raw bytes for everything else.

    Source: the protocol buffers encoding guide; groups, which proto3 never writes, are refused.

    Raises:
        Corrupt: It is no such message.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise Corrupt("a protobuf message is damaged", why=f"a field has the wire type {kind}")
        if at + size > end:
            raise Corrupt("a protobuf message is damaged", why="it ends within a field")
        yield tag >> 3, data[at : at + size]
        at += size


def message(data: bytes) -> dict[int, list[int | bytes]]:
    """Return the values of each field by its number."""
    found: dict[int, list[int | bytes]] = {}
    for number, value in fields(data):
        found.setdefault(number, []).append(value)
    return found


def raw(given: dict[int, list[int | bytes]], number: int) -> bytes:
    """Return the last value of a field of bytes, empty if there is none.

    Raises:
        Corrupt: It is a number.
    """
    value = given[number][-1] if number in given else b""
    if not isinstance(value, bytes):
        raise Corrupt("a protobuf message is damaged", why=f"field {number} is a number, not bytes")
    return value


def text(given: dict[int, list[int | bytes]], number: int) -> str:
    """Return the last value of a text field, empty if there is none."""
    return raw(given, number).decode("utf-8", "replace")


def whole(given: dict[int, list[int | bytes]], number: int) -> int:
    """Return the last value of a field of 64-bit integers, 0 if there is none.

    Raises:
        Corrupt: It is bytes.
    """
    value = given[number][-1] if number in given else 0
    if not isinstance(value, int):
        raise Corrupt("a protobuf message is damaged", why=f"field {number} is bytes, not a number")
    return value - (1 << 64) if value >> 63 else value


def real(data: bytes) -> float:
    """Return a float or double.

    Raises:
        Corrupt: It has neither 4 nor 8 bytes.
    """
    if len(data) not in (4, 8):
        raise Corrupt("a protobuf message is damaged", why=f"a float has {len(data)} bytes")
    return float(struct.unpack("<f" if len(data) == 4 else "<d", data)[0])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift >= _LONGEST_VARINT:
            raise Corrupt("a protobuf message is damaged", why="a number does not end")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
