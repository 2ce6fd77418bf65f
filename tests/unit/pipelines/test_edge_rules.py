"""What rules and schemas say of values."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from interlock.data.rules import Rule, in_range, unique
from interlock.pipelines.edge_rules import rule_problem, rules_of
from interlock.pipelines.edge_schemas import schema_problem, table_schema

FRAME = pd.DataFrame({"x": [1, 20, 3], "y": ["a", "b", "c"]})


def test_only_rules_count_among_the_notes() -> None:
    rule = in_range("x", 0, 9)
    schema = pa.schema([("x", pa.int64())])
    assert rules_of(Annotated[pa.Table, "a note", schema, [rule, len], int]) == (rule, len)
    assert rules_of(pa.Table) == ()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda frame: True, ""),
        (lambda frame: None, ""),
        (lambda frame: "", ""),
        (lambda frame: np.bool_(False), "rule '<lambda>' does not hold"),
        (lambda frame: "too long", "rule '<lambda>': too long"),
        (lambda frame: frame["x"] < 9, "rule '<lambda>' is broken by 1 rows, first 1: {'x': 20, 'y': 'b'}"),
        (lambda frame: frame["x"] < 90, ""),
        (
            in_range("x", 0, 9),
            "rule 'x in range' is broken in column 'x' by 1 rows, first 1: {'x': 20, 'y': 'b'}",
        ),
        (unique("y"), ""),
    ],
)
def test_what_rules_say(rule: Any, said: str) -> None:
    assert rule_problem((rule,), FRAME) == said


def test_masks_over_other_values() -> None:
    assert rule_problem((lambda table: [True, False],), pa.table({"x": [1, 2]})).endswith("first 1: {'x': 2}")
    assert rule_problem((lambda items: [item > 0 for item in items],), [1, -1, -2]).endswith("by 2 rows, first 1, 2")
    assert rule_problem((lambda column: column > 1,), pd.Series([1, 2])).endswith("by 1 rows, first 0")


def test_a_long_row_is_cut() -> None:
    said = rule_problem((in_range("x", 5),), pa.table({"x": [1], "text": ["w" * 2000]}))
    assert len(said) < 700 and said.endswith("…")


def test_a_rule_gives_the_rows_and_where_they_are() -> None:
    rule: Rule = in_range("x", 0, 9)
    assert rule.broken_rows(FRAME).to_pylist() == [{"row": 1, "x": 20, "y": "b"}]


SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        ("name", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("raw", pa.binary()),
    ]
)


def test_schemas_ignore_what_does_not_matter() -> None:
    columns = {
        "extra": pa.array([1.5]),
        "raw": pa.array([b"x"], pa.large_binary()),
        "tags": pa.array([["a"]], pa.large_list(pa.large_string())),
        "name": pa.array(["n"]).dictionary_encode(),
        "id": pa.array([1]),
    }
    assert schema_problem(SCHEMA, pa.table(columns)) == ""
    assert schema_problem(SCHEMA, pa.RecordBatch.from_pydict(columns)) == ""


def test_what_schemas_say() -> None:
    only_id = pa.schema([pa.field("id", pa.int64(), nullable=False)])
    assert schema_problem(only_id, 3) == "expected a table, got int"
    assert "column 'id' (int64) is missing: did you mean 'idd'" in schema_problem(only_id, pa.table({"idd": [1]}))
    assert schema_problem(only_id, pa.table({"id": [1.5]})) == "column 'id': expected int64, got double"
    empty = "column 'id' must not be empty, and is in 1 rows"
    assert schema_problem(only_id, pa.table({"id": pa.array([1, None])})) == empty
    assert schema_problem(only_id, pd.DataFrame({"id": pd.array([1, None], dtype="Int64")})) == empty


def test_frames_of_other_libraries_have_schemas_too() -> None:
    schema = table_schema(FRAME)
    assert schema is not None and schema.names == ["x", "y"]
    assert schema_problem(pa.schema([("x", pa.int64()), ("y", pa.string())]), FRAME) == ""
    assert table_schema([1]) is None
