from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import (
    InterlockError,
    InvalidInput,
    NotFound,
    Overloaded,
    SchemaMismatch,
    TimedOut,
    Unauthorised,
)
from interlock.core.schema import Column, Signature
from interlock.server.contracts import invocations
from interlock.serving.engine import Answer
from interlock.serving.validation import RowCheck
from tests.serving_examples import SIGNATURE

CHECK = RowCheck(SIGNATURE)
RECORDS = [{"x": 0.5, "n": 1, "city": "JFK"}, {"x": 1.5, "n": 2, "city": "EWR"}]
COLUMNS = [[0.5, 1.5], [1, 2], ["JFK", "EWR"]]
ROWS = [[0.5, 1, "JFK"], [1.5, 2, "EWR"]]
BY_NAME = {"x": [0.5, 1.5], "n": [1, 2], "city": ["JFK", "EWR"]}


def read(body: Any, check: RowCheck = CHECK) -> tuple[list[list[Any]], dict[str, Any]]:
    table, params = invocations.read_rows(json.dumps(body).encode(), "application/json", check)
    return table.columns, params


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["city", "x", "n"], "data": [["JFK", 0.5, 1], ["EWR", 1.5, 2]]}},
        {"dataframe_split": {"columns": ["x", "n", "city"], "data": ROWS, "index": [7, 8]}},
        {"dataframe_records": RECORDS},
        {"instances": RECORDS},
        {"instances": BY_NAME},
        {"instances": ROWS},
        {"inputs": RECORDS},
        {"inputs": BY_NAME},
        {"inputs": ROWS},
    ],
)
def test_every_form_is_the_same_rows(body: dict[str, Any]) -> None:
    assert read(body) == (COLUMNS, {})


def test_params_come_beside_the_rows() -> None:
    assert read({"inputs": BY_NAME, "params": {"prediction_ids": "a,b"}})[1] == {"prediction_ids": "a,b"}


def test_one_column_may_come_as_bare_values() -> None:
    check = RowCheck(Signature((Column("x", "double"),), ()))
    assert read({"instances": [1.0, 2.0]}, check)[0] == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({}, "rows in 0 forms"),
        ({"params": {}}, "rows in 0 forms"),
        ({"inputs": ROWS, "instances": ROWS}, "rows in 2 forms"),
        ({"dataframe": ROWS}, "rows in 0 forms"),
        ([1, 2], "cannot be read"),
        ({"inputs": "text"}, "cannot be read"),
        ({"dataframe_records": [[1]]}, "cannot be read"),
        ({"dataframe_split": {"data": ROWS, "rows": 2}}, "cannot be read"),
        ({"dataframe_split": {"columns": ["x", "x", "n", "city"], "data": [[1.0, *ROWS[0]]]}}, "named twice"),
        ({"inputs": []}, "no rows"),
        ({"instances": [1.0, 2.0]}, "row 0: expected 3 values"),
        ({"inputs": {"x": [1.0]}}, "column 'n'"),
        ({"dataframe_records": [{**RECORDS[0], "x": "0.5"}]}, "row 0, column 'x': expected double, got a string"),
    ],
)
def test_what_does_not_fit_is_refused(body: Any, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        read(body)


def test_bytes_that_are_no_json_are_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        invocations.read_rows(b"\xff\xfe", "application/json", CHECK)


def read_csv(text: str, check: RowCheck = CHECK) -> list[list[Any]]:
    return invocations.read_rows(text.encode(), "text/csv", check)[0].columns


def test_csv_is_read_by_the_types_of_the_signature() -> None:
    assert read_csv('city,x,n\nJFK,0.5,1\n"EWR",1.5,2\n') == COLUMNS
    signature = Signature((Column("flag", "boolean"), Column("at", "datetime"), Column("raw", "binary")), ())
    flag, at, raw = read_csv("\ufeffflag,at,raw\nTrue,2026-01-01T00:00:00Z,AQ==\n", RowCheck(signature))
    assert (flag, at[0].year, raw) == ([True], 2026, [b"\x01"])


def test_an_empty_cell_is_missing() -> None:
    columns = read_csv("x,n,city\n,1,\n")
    assert columns[0][0] != columns[0][0]
    assert columns[2] == [None]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("x,n,city\n", "no rows"),
        ("x,n,city\nabc,1,JFK\n", "row 0, column 'x': expected double, got a string"),
        ("x,n,city\n0.5,1.5,JFK\n", "row 0, column 'n': expected long, got a string"),
        ("x,n,city\n0.5,,JFK\n", "row 0, column 'n': expected long, got null"),
        ("x,n,city\n0.5,1\n", "row 0: expected 3 values, got 2"),
        ("x,n,city\n0.5,1,JFK,9\n", "row 0: expected 3 values, got 4"),
        ("x,n\n0.5,1\n", "column 'city'"),
        ("x,n,town\n0.5,1,JFK\n", "no column 'town'"),
        ('x,n,city\n0.5,1,"JFK\n', "cannot be read"),
    ],
)
def test_csv_that_does_not_fit_is_refused(text: str, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        read_csv(text)


def test_csv_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="CSV cannot be read"):
        invocations.read_rows(b"\xff\xff", "text/csv", CHECK)


@given(st.binary(max_size=100), st.sampled_from(["", "application/json", "text/csv"]))
def test_no_bytes_break_the_reader(body: bytes, media_type: str) -> None:
    try:
        invocations.read_rows(body, media_type, CHECK)
    except InterlockError as error:
        assert error.http_status < 500


def test_the_prediction_of_a_classifier_is_its_label_and_all_outputs_are_beside_it() -> None:
    answer = Answer(["a", "b"], ("model:delay@1",), "1", 1, {"probability": [0.1, 0.9], "label": [0, 1]})
    assert invocations.write_reply(answer) == {
        "predictions": [0, 1],
        "prediction_ids": ["a", "b"],
        "model": "model:delay@1",
        "outputs": {"probability": [0.1, 0.9], "label": [0, 1]},
    }


def test_predictions_are_objects_where_there_are_several_outputs() -> None:
    answer = Answer(["a", "b"], ("model:delay@1",), "1", 1, {"low": [0.1, 0.9], "high": [1.0, 2.0]})
    assert invocations.write_reply(answer)["predictions"] == [{"low": 0.1, "high": 1.0}, {"low": 0.9, "high": 2.0}]


def test_predictions_are_bare_where_there_is_one_output() -> None:
    answer = Answer(["a", "b"], ("model:d@1", "model:d@2"), "1", 1, {"prediction": [0.1, 0.9]})
    reply = invocations.write_reply(answer)
    assert reply["predictions"] == [0.1, 0.9]
    assert reply["model"] == ("model:d@1", "model:d@2")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SchemaMismatch("x", why="y"), 400, "BAD_REQUEST"),
        (InvalidInput("x", why="y"), 400, "BAD_REQUEST"),
        (NotFound("x", why="y"), 404, "RESOURCE_DOES_NOT_EXIST"),
        (Overloaded("x", why="y"), 429, "REQUEST_LIMIT_EXCEEDED"),
        (TimedOut("x", why="y"), 504, "DEADLINE_EXCEEDED"),
        (Unauthorised("x", why="y"), 401, "UNAUTHENTICATED"),
        (InterlockError("x", why="y"), 500, "INTERNAL_ERROR"),
    ],
)
def test_errors_are_in_mlflows_words(error: InterlockError, status: int, code: str) -> None:
    assert invocations.error_body(error) == (status, {"error_code": code, "message": "x; y"})


def test_nan_is_read_as_pythons_own_clients_write_it() -> None:
    body = b'{"dataframe_records": [{"x": NaN, "n": 1, "city": "JFK"}]}'
    table, _ = invocations.read_rows(body, "application/json", CHECK)
    assert table.has_missing
    for broken in (b'{"inputs": [NaN', b'{"inputs": 5, "params": NaN}', b'{"inputs": "text", "n": Infinity}'):
        with pytest.raises(InvalidInput, match="cannot be read"):
            invocations.read_rows(broken, "application/json", CHECK)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [(None, ""), ("application/json", "application/json"), ('TEXT/CSV; Charset="UTF-8";', "text/csv")],
)
def test_content_types_without_their_parameters(content_type: str | None, expected: str) -> None:
    assert invocations.checked_type(content_type) == expected
