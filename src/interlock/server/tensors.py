"""Read and write the raw little-endian tensors of the Open Inference Protocol's binary extension.

Source: the Open Inference Protocol, extension `binary_tensor_data`. A BYTES element is its length as a 32-bit number
and its bytes; a BOOL is one byte.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from interlock.core.errors import InvalidInput

_length = struct.Struct("<I")
_FORMATS = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}


def read_raw(name: str, datatype: str, raw: memoryview, rows: int) -> list[Any]:
    """Return the values of a raw tensor of so many rows.

    Raises:
        InvalidInput: The size does not fit the shape, or the datatype is not known.
    """
    if datatype == "BYTES":
        return _read_strings(name, raw, rows)
    if datatype == "BF16":
        # the upper half of a 32-bit float
        halves = _unpack(name, "H", raw, rows)
        return list(struct.unpack(f"<{rows}f", b"".join(b"\0\0" + half.to_bytes(2, "little") for half in halves)))
    if datatype not in _FORMATS:
        raise InvalidInput(f"the input '{name}' has the unknown datatype '{datatype[:20]}'")
    return _unpack(name, _FORMATS[datatype], raw, rows)


def _unpack(name: str, kind: str, raw: memoryview, rows: int) -> list[Any]:
    expected = rows * struct.calcsize("<" + kind)
    if len(raw) != expected:
        raise InvalidInput(f"the input '{name}' has {len(raw)} bytes of data", why=f"its shape takes {expected}")
    return list(struct.unpack(f"<{rows}{kind}", raw))


def _read_strings(name: str, raw: memoryview, rows: int) -> list[str]:
    values: list[str] = []
    place = 0
    try:
        while place < len(raw):
            (length,) = _length.unpack_from(raw, place)
            place += 4
            if place + length > len(raw) or len(values) == rows:
                raise InvalidInput(
                    f"the input '{name}' has data beyond its shape or its end", why=f"{rows} rows expected"
                )
            values.append(str(raw[place : place + length], "utf-8"))
            place += length
    except (struct.error, UnicodeDecodeError) as error:
        raise InvalidInput(f"the input '{name}' cannot be read", why=f"row {len(values)}: {error}") from error
    if len(values) != rows:
        raise InvalidInput(f"the input '{name}' has {len(values)} strings", why=f"its shape says {rows}")
    return values


def write_raw(datatype: str, values: Sequence[Any]) -> bytes:
    """Return values as a raw tensor."""
    if datatype == "BYTES":
        encoded = [value if isinstance(value, bytes) else str(value).encode() for value in values]
        return b"".join(_length.pack(len(one)) + one for one in encoded)
    return struct.pack(f"<{len(values)}{_FORMATS[datatype]}", *values)
