from __future__ import annotations

import contextlib
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.schema import Column
from interlock.serving.tensor_data import (
    DTYPES,
    MAX_DIMENSIONS,
    element_count,
    read_array,
    read_list,
    text_of,
    write_raw,
    write_values,
)

NUMBERS = [name for name in DTYPES if name not in ("BYTES", "BF16")]


@pytest.mark.parametrize("datatype", NUMBERS)
def test_every_numeric_datatype_is_read_and_written_as_numpy_lays_it_out(datatype: str) -> None:
    values = np.array([[0, 1, 1]], DTYPES[datatype])
    found = read_array("x", datatype, values.tobytes(), [1, 3])
    assert (found.dtype, found.tolist()) == (values.dtype, values.tolist())
    assert read_array("x", datatype, values.tolist(), [1, 3]).tolist() == values.tolist()
    assert write_raw(datatype, found) == values.tobytes()
    assert write_raw(datatype, values.ravel().tolist()) == values.tobytes()
    assert write_values("x", found) == values.ravel().tolist()


def test_raw_numbers_are_not_copied_where_they_lie_aligned() -> None:
    body = np.arange(4, dtype=np.float32).tobytes()
    assert not read_array("x", "FP32", memoryview(body), [4]).flags.owndata
    shifted = read_array("x", "FP32", memoryview(b"\0" + body)[1:], [4])
    assert shifted.flags.aligned
    assert shifted.tolist() == [0, 1, 2, 3]


def test_bf16_is_the_upper_half_of_a_float_rounded_to_the_nearest() -> None:
    values = np.array([1.5, -2.0, np.nan, np.inf, 0.1, 1.00390625], np.float32)
    raw = write_raw("BF16", values)
    assert raw[:4] == (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    found = read_array("x", "BF16", raw, [6])
    assert found.dtype == np.float32
    assert found[:2].tolist() == [1.5, -2.0]
    assert np.isnan(found[2])
    assert found[3] == np.inf
    # a tie goes to the even neighbour
    assert found[4:].tolist() == [0.10009765625, 1.0]
    assert write_raw("BF16", found) == raw
    assert read_array("x", "BF16", [0.1], [1]).tolist() == [0.10009765625]


@given(st.lists(st.binary()))
def test_bytes_come_back(values: list[bytes]) -> None:
    raw = write_raw("BYTES", values)
    assert read_array("x", "BYTES", raw, [len(values)], text="binary").tolist() == values


@given(st.lists(st.text()))
def test_text_comes_back_raw_and_as_json(values: list[str]) -> None:
    shape = [len(values)]
    found = read_array("x", "BYTES", memoryview(write_raw("BYTES", values)), shape)
    assert found.tolist() == values
    assert read_array("x", "BYTES", values, shape).tolist() == values
    assert write_values("x", read_array("x", "BYTES", values, shape, text="binary")) == values


def test_bytes_that_are_no_text_cannot_be_json() -> None:
    array = read_array("x", "BYTES", write_raw("BYTES", [b"\xff"]), [1], text="binary")
    with pytest.raises(InvalidInput, match="no UTF-8") as error:
        write_values("x", array)
    assert "binary_data" in error.value.fix


@pytest.mark.parametrize(
    ("datatype", "raw", "what"),
    [
        ("FP64", b"\0" * 15, "has 15 bytes of data"),
        ("BF16", b"\0" * 3, "has 3 bytes of data"),
        ("BOOL", b"\0", "has 1 bytes of data"),
        ("BOOL", b"\0\x02", "is not of BOOL"),
        ("FP128", b"\0" * 32, "unknown datatype 'FP128'"),
        ("BYTES", b"\x05\0\0\0abcd", "beyond its shape or its end"),
        ("BYTES", b"\xff\xff\xff\xff\0\0\0\0", "beyond its shape or its end"),
        ("BYTES", b"\x01\0\0\0a" * 3, "beyond its shape or its end"),
        ("BYTES", b"\x01\0\0\0a", "has 5 bytes of data"),
        ("BYTES", b"\x04\0\0\0abcd", "has 1 strings"),
        ("BYTES", b"\x03\0\0\0abc\0", "cannot be read"),
        ("BYTES", b"\x01\0\0\0\xff\x01\0\0\0a", "cannot be read"),
    ],
)
def test_raw_data_that_does_not_fit_is_refused(datatype: str, raw: bytes, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        read_array("x", datatype, raw, [2])


@pytest.mark.parametrize(
    ("datatype", "data", "shape", "what"),
    [
        ("FP32", None, [1], "no list of values"),
        ("FP32", [1.0, 2.0], [3], "has 2 values"),
        ("FP32", [[1.0], [2.0, 3.0]], [2, 1], "nested unevenly"),
        ("FP32", [[1.0, 2.0]], [2, 1], "nested unevenly"),
        ("FP32", [[1.0, 2.0], 3.0], [2, 2], "nested unevenly"),
        ("FP32", [[[1.0]]], [1, 1], "got a list"),
        ("FP32", ["1.0"], [1], "got a string"),
        ("FP32", [True], [1], "got a boolean"),
        ("FP32", [{}], [1], "got an object"),
        ("FP32", [1e39], [1], "does not fit FP32"),
        ("FP16", [70_000.0], [1], "does not fit FP16"),
        ("BF16", [3.4e38], [1], "does not fit BF16"),
        ("FP64", [10**400], [1], "does not fit FP64"),
        ("INT8", [128], [1], "does not fit INT8"),
        ("UINT64", [-1], [1], "does not fit UINT64"),
        ("INT64", [2**63], [1], "does not fit INT64"),
        ("INT32", [1.5], [1], "a number with a fraction"),
        ("INT32", [None], [1], "got null"),
        ("INT32", [1, True], [2], "got a boolean"),
        ("BOOL", [1], [1], "expected BOOL"),
        ("BYTES", ["a", 1], [2], "element 1 .* expected BYTES"),
        ("BYTES", [b"\xff"], [1], "element 0 .* expected BYTES"),
        ("BYTES", [None], [1], "expected BYTES"),
    ],
)
def test_json_data_that_does_not_fit_is_refused(datatype: str, data: Any, shape: list[int], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        read_array("x", datatype, data, shape)


def test_nested_and_flat_are_the_same() -> None:
    nested = read_array("x", "INT16", [[[1, 2], [3, 4]]], [1, 2, 2])
    assert nested.tolist() == read_array("x", "INT16", [1, 2, 3, 4], [1, 2, 2]).tolist()


def test_null_is_nan_in_floats_and_the_largest_numbers_are_taken() -> None:
    assert np.isnan(read_array("x", "FP32", [None, 1], [2])[0])
    assert read_array("x", "UINT64", [2**64 - 1], [1]).tolist() == [2**64 - 1]
    assert read_array("x", "FP32", [], [0]).shape == (0,)
    assert read_array("x", "FP32", b"", [0, 3]).shape == (0, 3)


@pytest.mark.parametrize("shape", [[2**40, 2**40], [10**30], [2**32, 2**32, 2]])
@pytest.mark.parametrize("datatype", DTYPES)
def test_a_product_that_would_overflow_is_a_number_like_any_other(datatype: str, shape: list[int]) -> None:
    with pytest.raises(InvalidInput, match="bytes of data"):
        read_array("x", datatype, b"\0" * 8, shape)
    with pytest.raises(InvalidInput, match="has 1 values"):
        read_array("x", datatype, [0], shape)


def test_shapes_are_counted_before_anything_else() -> None:
    assert element_count("x", [2, 3]) == 6
    assert element_count("x", []) == 1
    with pytest.raises(InvalidInput, match=r"shape \[2, -1\]"):
        element_count("x", [2, -1])
    with pytest.raises(InvalidInput, match="17 dimensions"):
        element_count("x", [1] * (MAX_DIMENSIONS + 1))


@given(st.sampled_from([*DTYPES]), st.binary(max_size=40), st.lists(st.integers(-1, 5), max_size=3))
def test_no_bytes_break_the_reader(datatype: str, raw: bytes, shape: list[int]) -> None:
    with contextlib.suppress(InvalidInput):
        assert read_array("x", datatype, raw, shape).shape == tuple(shape)


_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.sampled_from([*DTYPES]), _VALUES, st.lists(st.integers(0, 3), max_size=3))
def test_no_values_break_the_reader(datatype: str, data: Any, shape: list[int]) -> None:
    with contextlib.suppress(InvalidInput, SchemaMismatch):
        assert read_array("x", datatype, data, shape).shape == tuple(shape)


@pytest.mark.parametrize("rows", [1, 2, 40])
def test_a_column_is_read_as_plain_values(rows: int) -> None:
    assert read_list("x", "FP64", struct.pack(f"<{rows}d", *[1.5] * rows), rows) == [1.5] * rows
    assert read_list("x", "BOOL", b"\1" * rows, rows) == [True] * rows
    assert read_list("x", "BYTES", b"\1\0\0\0a" * rows, rows, text="binary") == [b"a"] * rows
    with pytest.raises(InvalidInput, match="bytes of data"):
        read_list("x", "FP64", b"\0" * 7, rows)


def test_columns_say_what_their_bytes_are() -> None:
    assert text_of(Column("x", "binary", shape=(-1,), datatype="BYTES")) == "binary"
    assert text_of(Column("x", "string", shape=(-1,), datatype="BYTES")) == "string"


def test_a_tensor_without_dimensions_is_one_value() -> None:
    assert read_array("x", "INT8", b"\x05", []).tolist() == 5
