"""Rows of any form become columns, and answers come back in that form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput
from interlock.serving.rows import read_rows
from interlock.serving.wire import Outputs, WireColumn

WIRE = (WireColumn("x", "FP64", [-1]), WireColumn("city", "BYTES", [-1]))
TENSOR = (WireColumn("image", "UINT8", [-1, 2, 2]),)
COLUMNS = {"x": [1.0, 2.0], "city": ["JFK", "EWR"]}


def answered(rows: int) -> Outputs:
    found = Outputs()
    found.ids = [f"p{row}" for row in range(rows)]
    found.values = {"label": list(range(rows))}
    return found


def asked(rows: Any, wire: tuple[WireColumn, ...] = WIRE) -> tuple[dict[str, Any], Any]:
    read = read_rows(rows, wire)
    plain = {name: values.tolist() if hasattr(values, "tolist") else values for name, values in read.columns.items()}
    return plain, read.answer(answered(read.length))


def test_columns_are_answered_with_columns() -> None:
    assert asked(COLUMNS) == (COLUMNS, {"label": [0, 1], "prediction_id": ["p0", "p1"]})


def test_one_record_is_answered_with_one() -> None:
    columns, answer = asked({"x": 1.0, "city": None})
    assert columns == {"x": [1.0], "city": [None]}
    assert answer == {"label": 0, "prediction_id": "p0"}


@pytest.mark.parametrize("rows", [[{"x": 1.0, "city": "JFK"}, {"x": 2.0, "city": "EWR"}], [[1.0, "JFK"], (2.0, "EWR")]])
def test_records_and_plain_rows_are_answered_with_records(rows: Any) -> None:
    columns, answer = asked(rows)
    assert columns == COLUMNS
    assert answer == [{"label": 0, "prediction_id": "p0"}, {"label": 1, "prediction_id": "p1"}]


def test_what_a_record_lacks_is_missing() -> None:
    assert asked([{"x": 1.0}, {"city": "EWR"}])[0] == {"x": [1.0, None], "city": [None, "EWR"]}


def test_an_arrow_table_is_answered_with_one() -> None:
    table = pa.table({**COLUMNS, "late": [0, 1]})
    columns, answer = asked(table)
    assert columns == COLUMNS, "what the endpoint does not take is left out"
    assert answer.to_pydict() == {"label": [0, 1], "prediction_id": ["p0", "p1"]}


def test_a_frame_keeps_its_index_and_its_gaps() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"x": [1.0, None], "city": ["JFK", None]}, index=[7, 9])
    columns, answer = asked(frame)
    assert columns["city"] == ["JFK", None] and np.isnan(columns["x"][1])
    assert answer.index.tolist() == [7, 9] and answer["label"].tolist() == [0, 1]
    assert asked(frame.iloc[0]) == ({"x": [1.0], "city": ["JFK"]}, {"label": 0, "prediction_id": "p0"})


def test_whole_numbers_with_gaps_stay_whole() -> None:
    table = pa.table({"x": pa.array([1, None, 3]), "city": ["a", "b", "c"]})
    assert asked(table)[0]["x"] == [1, None, 3]


def test_a_matrix_is_answered_with_arrays() -> None:
    wire = (WireColumn("a", "FP64", [-1]), WireColumn("b", "FP64", [-1]))
    columns, answer = asked(np.array([[1.0, 2.0], [3.0, 4.0]]), wire)
    assert columns == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert isinstance(answer["label"], np.ndarray) and answer["label"].tolist() == [0, 1]
    assert asked(np.array([1.0, 2.0]), wire)[0] == {"a": [1.0], "b": [2.0]}
    assert asked(np.array([1.0, 2.0]), wire[:1])[0] == {"a": [1.0, 2.0]}


def test_a_tensor_is_taken_whole() -> None:
    images = np.zeros((3, 2, 2), np.uint8)
    read = read_rows(images, TENSOR)
    assert read.columns["image"] is images and read.length == 3


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros((2, 3)), "the matrix has 3 columns"),
        ({"x": [1.0], "city": ["a", "b"]}, "not equally long"),
        ({"x": [1.0, 2.0], "city": "JFK"}, "not equally long"),
        ([[1.0]], "cannot be read"),
        ([1.0, 2.0], "cannot be read"),
        (42, "rows of type int"),
        ("x", "rows of type str"),
    ],
)
def test_what_has_no_form_is_refused(rows: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_rows(rows, WIRE)


def test_nothing_is_a_form_too() -> None:
    assert asked([]) == ({}, [])
    assert read_rows({}, WIRE).length == 0
