from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InterlockError, InvalidInput, SchemaMismatch
from interlock.core.schema import Column, Signature
from interlock.server.contracts.predictions import beside, predictions, said_of
from interlock.server.contracts.rows import read_loose, read_matrix, read_records, read_split
from interlock.serving.engine import Answer
from interlock.serving.tensor_check import TensorCheck
from interlock.serving.validation import RowCheck
from tests.serving_examples import SIGNATURE

CHECK = RowCheck(SIGNATURE)
ROW = {"x": 0.5, "n": 1, "city": "JFK"}
COLUMNS = [[0.5], [1], ["JFK"]]
EVERY = RowCheck(
    Signature(
        (Column("at", "datetime"), Column("raw", "binary"), Column("n", "long"), Column("city", "string")),
        (),
    )
)


@pytest.mark.parametrize(
    "rows",
    [
        [ROW],
        ROW,
        [list(ROW.values())],
        {name: [value] for name, value in ROW.items()},
        [{**ROW, "extra": 1}],
        {**{name: [value] for name, value in ROW.items()}, "extra": [1]},
        [{**ROW, "n": 1.0}],
        [[0.5, 1.0, "JFK"]],
    ],
)
def test_every_form_and_what_clients_mean_by_it(rows: Any) -> None:
    assert read_loose(rows, CHECK).columns == COLUMNS


def test_what_may_be_missing_may_be_absent_in_some_rows_but_not_in_all() -> None:
    table = read_records([ROW, {"n": 2, "x": 1.0}], CHECK)
    assert table.columns[2] == ["JFK", None]
    with pytest.raises(SchemaMismatch, match="column 'city'"):
        read_records([{"n": 2, "x": 1.0}], CHECK)
    with pytest.raises(SchemaMismatch, match="column 'n'"):
        read_records([ROW, {"x": 1.0, "city": "JFK"}], CHECK)


def test_times_without_a_zone_are_in_utc_and_base64_may_have_line_breaks() -> None:
    row = {"at": "2026-01-01 05:15:00", "raw": "AQID\n", "n": 3.0, "city": float("nan")}
    at, raw, n, city = read_loose([row], EVERY).columns
    assert (at, raw, n, city) == ([datetime(2026, 1, 1, 5, 15, tzinfo=UTC)], [b"\x01\x02\x03"], [3], [None])


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({**ROW, "x": "0.5"}, "row 0, column 'x': expected double, got a string"),
        ({**ROW, "n": 1.5}, "row 0, column 'n': expected long, got a number"),
        ({**ROW, "n": True}, "column 'n'"),
        ({**ROW, "n": None}, "column 'n'"),
        ({**ROW, "city": 5}, "column 'city'"),
        ({"x": 1.0, "n": 1, "town": "JFK"}, "no column 'town'"),
    ],
)
def test_nothing_is_rounded_and_no_text_becomes_a_number(row: dict[str, Any], what: str) -> None:
    for rows in ([row], {name: [value] for name, value in row.items()}):
        with pytest.raises(SchemaMismatch, match=what.replace("row 0, ", "") if isinstance(rows, dict) else what):
            read_loose(rows, CHECK)


@pytest.mark.parametrize("rows", [None, "text", 5, [], {}, [[]], [None], [[1, 2], None], {"x": 1, "n": [1]}])
def test_what_are_no_rows_is_refused(rows: Any) -> None:
    with pytest.raises(InvalidInput):
        read_loose(rows, CHECK)


def test_a_frame_may_have_its_columns_in_another_order_and_more_of_them() -> None:
    assert read_split(["city", "extra", "n", "x"], [["JFK", 9, 1, 0.5]], CHECK).columns == COLUMNS
    assert read_split(None, [[0.5, 1, "JFK"]], CHECK).columns == COLUMNS
    with pytest.raises(SchemaMismatch, match="extra"):
        read_split(["city", "extra", "n", "x"], [["JFK", 9, 1]], CHECK)


def test_the_names_that_a_library_gives_the_columns_of_a_matrix_mean_nothing() -> None:
    matrix = RowCheck(Signature((Column("x0", "double"), Column("x1", "double")), ()))
    assert read_split(["0", "1"], [[1.0, 2.0]], matrix).columns == [[1.0], [2.0]]
    assert read_split(["x1", "x0"], [[1.0, 2.0]], matrix).columns == [[2.0], [1.0]]


def test_tensors_come_as_nested_lists() -> None:
    tensor = TensorCheck(Signature((Column("image", "double", shape=(-1, 2), datatype="FP32"),), ()))
    for table in (
        read_loose([[1.0, 2.0]], tensor),
        read_loose([{"image": [1.0, 2.0]}], tensor),
        read_loose({"image": [[1.0, 2.0]]}, tensor),
        read_matrix([[1.0, 2.0]], tensor),
        read_split(["a", "b"], [[1.0, 2.0]], tensor),
    ):
        assert np.array_equal(table.columns[0], np.array([[1.0, 2.0]], np.float32))
    with pytest.raises(SchemaMismatch, match="shape"):
        read_loose([[1.0, 2.0, 3.0]], tensor)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "n", "city", "z"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from([CHECK, EVERY]))
def test_no_rows_break_the_reader(rows: Any, check: RowCheck) -> None:
    try:
        read_loose(rows, check)
    except InterlockError as error:
        assert error.http_status < 500


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["prediction"], ["prediction"]),
        (["anything"], ["anything"]),
        (["probability", "label"], ["label"]),
        (["score", "prediction"], ["prediction"]),
        (["probability_a", "probability_b", "label"], ["label"]),
        (["label_0", "label_1"], ["label_0", "label_1"]),
        (["low", "high"], None),
        (["label", "reason"], None),
        (["probability", "score"], None),
    ],
)
def test_what_predict_itself_would_say(names: list[str], said: list[str] | None) -> None:
    assert said_of(names) == said


def test_several_targets_are_a_list_and_arrays_become_lists() -> None:
    assert predictions({"prediction_0": [1.0, 2.0], "prediction_1": [3.0, 4.0]}) == [[1.0, 3.0], [2.0, 4.0]]
    assert predictions({"vector": [np.array([1.0, 2.0])]}) == [[1.0, 2.0]]
    answer = Answer(["a"], ["m@1", "m@2"], "1", 1, {"low": [np.array([1])], "high": [2]})
    assert beside(answer) == {"prediction_ids": ["a"], "model": ["m@1", "m@2"], "outputs": {"low": [[1]], "high": [2]}}
