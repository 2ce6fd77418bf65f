from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InterlockError, InvalidInput, LimitExceeded, SchemaMismatch
from interlock.core.schema import Column, Signature
from interlock.server.contracts import bodies
from interlock.server.contracts.answers import WRITERS, accepted
from interlock.serving.tensor_check import TensorCheck
from interlock.serving.validation import RowCheck
from tests.serving_examples import SIGNATURE

CHECK = RowCheck(SIGNATURE)
NUMBERS = RowCheck(Signature((Column("a", "double"), Column("b", "double")), ()))
ROW = {"x": 0.5, "n": 1, "city": "JFK"}
COLUMNS = [[0.5], [1], ["JFK"]]
TABLE = pa.table({"city": ["JFK"], "x": [0.5], "n": [1], "extra": [7]})


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue().to_pybytes())


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/csv", b"x,n,city\n0.5,1,JFK\n"),
        ("text/csv", b"0.5,1,JFK\n"),
        ("text/csv", b"x,n,city,extra\n0.5,1,JFK,9\n\n"),
        ("application/jsonlines", json.dumps(ROW).encode() + b"\n"),
        ("application/x-ndjson", b'[0.5, 1, "JFK"]'),
        ("application/jsonlines", b'{"features": [0.5, 1, "JFK"]}\n'),
        ("application/x-npy", npy(np.array([(0.5, 1, "JFK")], [("x", "f8"), ("n", "i8"), ("city", "U3")]))),
        ("application/vnd.apache.parquet", parquet(TABLE)),
        ("application/x-parquet", parquet(TABLE, use_dictionary=False, compression="zstd")),
    ],
)
def test_every_format_is_the_same_rows(media_type: str, body: bytes) -> None:
    assert bodies.READERS[media_type](body, CHECK).columns == COLUMNS


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_rows_whatever_their_order(order: Any) -> None:
    array = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], order=order)
    assert bodies.read_npy(npy(array), NUMBERS).columns == [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]
    assert bodies.read_npy(npy(np.array([1.0, 2.0])), NUMBERS).columns == [[1.0], [2.0]]
    tensor = TensorCheck(Signature((Column("image", "double", shape=(-1, 2), datatype="FP64"),), ()))
    assert np.array_equal(bodies.read_npy(npy(array), tensor).columns[0], array)
    assert np.array_equal(bodies.read_csv(b"1,2.5\n3,4\n", tensor).columns[0], np.array([[1, 2.5], [3, 4]]))
    with pytest.raises(InvalidInput):
        bodies.read_csv(b"1,a\n", tensor)


def test_a_first_line_of_texts_is_taken_for_names_unless_a_typed_column_reads_as_a_value() -> None:
    texts = RowCheck(Signature((Column("a", "string"), Column("b", "string")), ()))
    with pytest.raises(SchemaMismatch, match="no column"):
        bodies.read_csv(b"p,q\nr,s\n", texts)
    assert bodies.read_csv(b"1.0,\n3.0,4.0\n", NUMBERS).has_missing


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        npy(np.array([1, None], object), allow_pickle=True),
        npy(np.zeros((2, 2))) + b"more",
        npy(np.zeros((2, 2))).replace(b"(2, 2)", b"(9, 9)"),
        npy(np.zeros((2, 2))).replace(b"(2, 2)", b"(2,-2)"),
        npy(np.float64(1.0)),
        npy(np.zeros((2, 2))).replace(b"'<f8'", b"'<q9'"),
        npy(np.zeros((2, 0))),
        npy(np.zeros((2, 2))).replace(b"False, ", b"False,\xa0"),
        npy(np.zeros((2, 2))).replace(b"(2, 2)", b"(2, \x00"),
        npy(np.zeros((2, 2))).replace(b", }", b"   "),
        npy(np.zeros((2, 2))).replace(b"'<f8', '", b"'<f8', (\n"),
    ],
)
def test_arrays_that_lie_are_refused_before_anything_is_allocated(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        bodies.read_npy(body, NUMBERS)


def test_parquet_that_is_damaged_or_grows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        bodies.read_parquet(parquet(TABLE)[:-9], CHECK)
    with pytest.raises(SchemaMismatch, match="column"):
        bodies.read_parquet(parquet(pa.table({"z": [1]})), CHECK)
    many = pa.table({"x": np.zeros(100_001), "n": np.zeros(100_001, int), "city": ["JFK"] * 100_001})
    with pytest.raises(LimitExceeded, match="100001 rows"):
        bodies.read_parquet(parquet(many), CHECK)
    monkeypatch.setattr(bodies, "MOST_BYTES", 20_000)
    long = pa.table({"x": [0.5] * 50, "n": [1] * 50, "city": ["J" * 1_000] * 50})
    with pytest.raises(LimitExceeded, match="too many bytes"):
        bodies.read_parquet(parquet(long), CHECK)
    monkeypatch.setattr(bodies, "MOST_BYTES", 100)
    with pytest.raises(LimitExceeded, match="comes to"):
        bodies.read_parquet(parquet(long), CHECK)


@given(st.sampled_from(sorted(bodies.READERS)), st.binary(max_size=80), st.booleans())
def test_no_bytes_break_a_reader(media_type: str, body: bytes, is_prefixed: bool) -> None:
    prefix = {"application/x-npy": b"\x93NUMPY\x01\x00"}.get(media_type, b"") if is_prefixed else b""
    try:
        bodies.READERS[media_type](prefix + body, CHECK)
    except InterlockError as error:
        assert error.http_status < 500


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, None),
        ("", None),
        ("*/*", None),
        ("text/html, application/json, text/csv", None),
        ("text/csv;q=0.9", "text/csv"),
        ("text/html, application/x-npy", "application/x-npy"),
        ("TEXT/CSV, */*", "text/csv"),
    ],
)
def test_the_first_known_format_is_taken(accept: str | None, wanted: str | None) -> None:
    assert accepted(accept) == wanted


def test_answers_are_written_in_every_format() -> None:
    outputs = {"probability": [0.25, 0.75], "label": ["no", "yes"]}
    assert WRITERS["text/csv"](outputs) == b"no\nyes\n"
    assert WRITERS["application/jsonlines"](outputs) == b'"no"\n"yes"\n'
    assert np.load(io.BytesIO(WRITERS["application/x-npy"](outputs))).tolist() == ["no", "yes"]
    table = pq.read_table(pa.BufferReader(WRITERS["application/x-parquet"](outputs)))
    assert table.to_pydict() == outputs
    several = {"low": [1.0], "high": [2.0]}
    assert WRITERS["text/csv"](several) == b"1.0,2.0\n"
    assert WRITERS["text/csv"]({"prediction_0": [1.0], "prediction_1": [2.0]}) == b"1.0,2.0\n"
    assert np.load(io.BytesIO(WRITERS["application/x-npy"](several))).tolist() == [[1.0, 2.0]]
    mixed = {"low": [None], "high": ["b"]}
    assert np.load(io.BytesIO(WRITERS["application/x-npy"](mixed))).tolist() == ['[null,"b"]']
