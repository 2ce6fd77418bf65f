"""Values of every datatype with which echoes are asked: the extremes, and what is easily damaged on the way."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

NUMPY = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_BYTES = [b"", b"a", "né 漢字 😀".encode(), b"\0null", b"\xff\xfe", b"x" * 300]
_TEXT = ["", "a", "né 漢字 😀", 'quote " and \\ and \n', "x" * 300, "null"]
_BF16_PATTERNS = (0x0000, 0x8000, 0x3F80, 0xBFC0, 0x7F80, 0xFF80, 0x7F7F, 0x0001)


def array(datatype: str) -> Any:
    """Return the sample as NumPy holds it, of two rows; BF16 as the 16-bit patterns, BYTES as an array of bytes."""
    if datatype == "BYTES":
        values = np.empty(len(_BYTES), object)
        values[:] = _BYTES
    elif datatype == "BF16":
        values = np.array(_BF16_PATTERNS, "<u2")
    elif datatype == "BOOL":
        values = np.array([True, False, True, True])
    elif datatype.startswith("FP"):
        limits = np.finfo(NUMPY[datatype])
        values = np.array(
            [0.0, -0.0, 1.5, limits.max, limits.min, limits.tiny, np.inf, -np.inf, np.nan, 0.1], NUMPY[datatype]
        )
    else:
        whole = np.iinfo(NUMPY[datatype])
        values = np.array([whole.min, whole.max, 0, 1], NUMPY[datatype])
    return values.reshape(2, -1)


def shape(datatype: str) -> list[int]:
    """Return the sample's shape."""
    return list(array(datatype).shape)


def raw(datatype: str) -> bytes:
    """Return the sample as a raw tensor."""
    values = array(datatype)
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(one)) + one for one in values.ravel())
    return bytes(values.tobytes())


def json_values(datatype: str) -> list[Any]:
    """Return values that JSON can carry, in one row."""
    if datatype == "BYTES":
        return list(_TEXT)
    if datatype == "BOOL":
        return [True, False, True]
    if datatype.startswith("FP"):
        limits = np.finfo(NUMPY[datatype])
        return [0.0, 1.5, -0.25, float(limits.max), float(limits.tiny)]
    whole = np.iinfo(NUMPY[datatype])
    return [int(whole.min), int(whole.max), 0, 1]
