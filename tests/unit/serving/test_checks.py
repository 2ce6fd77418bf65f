from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import SchemaMismatch
from interlock.core.schema import Column, ColumnType
from interlock.serving.checks import compile_check

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def check(kind: ColumnType, values: list[Any], *, nullable: bool = True) -> tuple[list[Any], bool]:
    return compile_check(Column("c", kind, nullable))(values)


@pytest.mark.parametrize(
    ("kind", "values", "taken"),
    [
        ("double", [1.5], [1.5]),
        ("double", [1.5, -2.0], [1.5, -2.0]),
        ("double", [1, 2.5], [1.0, 2.5]),
        ("long", [1, -(2**63), 2**63 - 1], [1, -(2**63), 2**63 - 1]),
        ("boolean", [True, False], [True, False]),
        ("string", ["a"], ["a"]),
        ("string", ["a", ""], ["a", ""]),
        ("datetime", ["2026-01-01T00:00:00Z", MOMENT], [MOMENT, MOMENT]),
        ("binary", ["AQI=", b"\x03"], [b"\x01\x02", b"\x03"]),
    ],
)
def test_values_of_the_right_type_are_taken(kind: ColumnType, values: list[Any], taken: list[Any]) -> None:
    assert check(kind, values, nullable=False) == (taken, False)


def test_a_whole_number_in_a_double_column_becomes_a_float() -> None:
    assert [type(value) for value in check("double", [1])[0]] == [float]


@pytest.mark.parametrize(
    ("kind", "values", "row", "got"),
    [
        ("double", ["1.5"], 0, "a string"),
        ("double", [1.0, True], 1, "a boolean"),
        ("double", [False], 0, "a boolean"),
        ("double", [[1.0]], 0, "a list"),
        ("double", [math.inf], 0, "infinity"),
        ("double", [0.5, -math.inf], 1, "infinity"),
        ("double", [10**400], 0, "a number out of range"),
        ("long", [1, 2.0], 1, "a number"),
        ("long", [True], 0, "a boolean"),
        ("long", [2**63], 0, "a number out of range"),
        ("long", ["1"], 0, "a string"),
        ("boolean", [1], 0, "a whole number"),
        ("string", ["a", 1], 1, "a whole number"),
        ("string", [{}], 0, "an object"),
        ("string", [None, 2], 1, "a whole number"),
        ("datetime", ["yesterday"], 0, "a string"),
        ("datetime", ["2026-01-01T00:00:00"], 0, "a string"),
        ("datetime", [5], 0, "a whole number"),
        ("binary", ["not base64!"], 0, "a string"),
        ("binary", [7], 0, "a whole number"),
    ],
)
def test_values_of_another_type_are_refused_by_row_and_column(
    kind: ColumnType, values: list[Any], row: int, got: str
) -> None:
    with pytest.raises(SchemaMismatch) as error:
        check(kind, values)
    assert error.value.what == f"row {row}, column 'c': expected {kind}, got {got}"


def test_the_value_itself_is_not_repeated() -> None:
    with pytest.raises(SchemaMismatch) as error:
        check("double", ["secret"])
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("kind", ["double", "long", "boolean"])
def test_a_missing_number_becomes_nan_where_it_may(kind: ColumnType) -> None:
    taken, missing = check(kind, [None])
    assert missing
    assert math.isnan(taken[0])


@pytest.mark.parametrize("kind", ["string", "datetime", "binary"])
def test_another_missing_value_stays_none(kind: ColumnType) -> None:
    assert check(kind, [None]) == ([None], True)
    assert check("string", ["a", None]) == (["a", None], True)


def test_nan_means_missing() -> None:
    taken, missing = check("double", [math.nan, 1.0])
    assert missing
    assert math.isnan(taken[0])


@pytest.mark.parametrize("kind", ["double", "long", "boolean", "string", "datetime", "binary"])
def test_a_missing_value_is_refused_where_it_may_not_be(kind: ColumnType) -> None:
    with pytest.raises(SchemaMismatch, match=r"row 0, column 'c': expected \w+, got null"):
        check(kind, [None], nullable=False)


def test_nan_is_refused_where_nothing_may_be_missing() -> None:
    with pytest.raises(SchemaMismatch, match="row 1, column 'c': expected double, got NaN"):
        check("double", [1.0, math.nan], nullable=False)


def test_a_sum_that_overflows_is_no_reason_to_refuse() -> None:
    assert check("double", [1.7e308, 1.7e308], nullable=False) == ([1.7e308, 1.7e308], False)


@given(st.lists(st.one_of(st.floats(), st.integers(), st.text(), st.booleans(), st.none()), min_size=1))
def test_one_value_and_many_are_judged_alike(values: list[Any]) -> None:
    for kind in ("double", "long", "string", "boolean"):
        alone = []
        for value in values:
            try:
                alone.append(repr(check(kind, [value])[0][0]))
            except SchemaMismatch:
                alone.append("refused")
        if "refused" in alone:
            with pytest.raises(SchemaMismatch, match=f"row {alone.index('refused')},"):
                check(kind, values)
        else:
            assert [repr(value) for value in check(kind, values)[0]] == alone
