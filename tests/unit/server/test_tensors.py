from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.server.tensors import read_raw, write_raw

NUMPY = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


@pytest.mark.parametrize("datatype", NUMPY)
def test_every_numeric_datatype_is_read_and_written_as_numpy_lays_it_out(datatype: str) -> None:
    values = np.array([0, 1, 1], NUMPY[datatype])
    raw = values.tobytes()
    assert read_raw("x", datatype, memoryview(raw), 3) == values.tolist()
    assert write_raw(datatype, values.tolist()) == raw


def test_half_of_a_float_is_read() -> None:
    raw = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    assert read_raw("x", "BF16", memoryview(raw), 2) == [1.5, -2.0]


@given(st.lists(st.text()))
def test_strings_come_back(values: list[str]) -> None:
    assert read_raw("x", "BYTES", memoryview(write_raw("BYTES", values)), len(values)) == values


def test_bytes_and_whatever_else_become_strings() -> None:
    assert write_raw("BYTES", [b"\xff", "a"]) == b"\x01\0\0\0\xff\x01\0\0\0a"


@pytest.mark.parametrize(
    ("datatype", "raw", "what"),
    [
        ("FP64", b"\0" * 15, "has 15 bytes of data"),
        ("BF16", b"\0" * 3, "has 3 bytes of data"),
        ("FP128", b"\0" * 32, "unknown datatype 'FP128'"),
        ("BYTES", b"\x05\0\0\0ab", "beyond its shape or its end"),
        ("BYTES", b"\xff\xff\xff\xff", "beyond its shape or its end"),
        ("BYTES", b"\x01\0\0\0a" * 3, "beyond its shape or its end"),
        ("BYTES", b"\x01\0\0\0a", "has 1 strings"),
        ("BYTES", b"\x01\0", "cannot be read"),
        ("BYTES", b"\x01\0\0\0\xff\x01\0\0\0a", "cannot be read"),
    ],
)
def test_raw_data_that_does_not_fit_is_refused(datatype: str, raw: bytes, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        read_raw("x", datatype, memoryview(raw), 2)


@given(st.sampled_from([*NUMPY, "BF16", "BYTES"]), st.binary(max_size=40), st.integers(0, 5))
def test_no_bytes_break_the_reader(datatype: str, raw: bytes, rows: int) -> None:
    with contextlib.suppress(InvalidInput):
        assert len(read_raw("x", datatype, memoryview(raw), rows)) == rows
