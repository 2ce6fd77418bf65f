from __future__ import annotations

import re
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.data.frames import to_arrow
from interlock.data.rules import Rule, check, expression, in_range, matches, not_null, one_of, unique

DAY = datetime(2013, 1, 1, tzinfo=UTC)
TABLE = to_arrow(
    {
        "id": [1, 2, 2, None],
        "speed": [10.0, 1048.4, None, 5.0],
        "origin": ["JFK", "EWR", "O'Hare", None],
        "late": [True, False, True, None],
        "day": [DAY, DAY, datetime(2014, 1, 1, tzinfo=UTC), None],
    }
)


def broken(*rules: Rule, table: pa.Table = TABLE) -> list[int]:
    """The positions of the rows that are set aside."""
    marked = table.append_column("position", pa.array(range(table.num_rows)))
    return check(marked, rules).bad.column("position").to_pylist()


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        (not_null("speed"), [2]),
        (in_range("speed", 0, 200), [1]),
        (in_range("speed", high=9.5), [0, 1]),
        (in_range("speed", low=9), [3]),
        (in_range("day", high=DAY), [2]),
        (in_range("origin", "F", "K"), [1, 2]),
        (one_of("origin", ["JFK", "O'Hare"]), [1]),
        (one_of("id", [1]), [1, 2]),
        (one_of("late", [True]), [1]),
        (matches("origin", "[A-Z]{3}"), [2]),
        (unique("id"), [1, 2]),
        (unique("id", "origin"), []),
        (expression("speed > id * 11", name="fast"), [0]),
        (expression("late OR speed < 100", name="late or slow"), [1]),
    ],
)
def test_each_kind_of_rule(rule: Rule, rows: list[int]) -> None:
    assert broken(rule) == rows


def test_bad_rows_name_every_rule_they_broke() -> None:
    checked = check(TABLE, [not_null("speed"), unique("id"), in_range("speed", 0, 200), not_null("origin")])
    assert checked.good.to_pydict()["id"] == [1]
    assert checked.bad.column("broken_rules").to_pylist() == [
        "id unique,speed in range",
        "speed not null,id unique",
        "origin not null",
    ]
    assert checked.violations == {"speed not null": 1, "id unique": 2, "speed in range": 1, "origin not null": 1}
    assert checked.bad.drop_columns(["broken_rules"]).schema == TABLE.schema


def test_no_rules_and_no_broken_rules_keep_the_table_as_it_is() -> None:
    for rules in ([], [in_range("speed", 0, 2000)]):
        checked = check(TABLE, rules)
        assert checked.good is TABLE
        assert (checked.bad.num_rows, checked.violations) == (0, {})
        assert "broken_rules" in checked.bad.column_names


def test_an_empty_table_breaks_nothing() -> None:
    assert check(TABLE.slice(0, 0), [not_null("id"), unique("id")]).good.num_rows == 0


def test_an_infinite_value_is_out_of_range() -> None:
    assert broken(in_range("x", 0, 5), table=pa.table({"x": [1.0, float("inf"), float("-inf")]})) == [1, 2]


def test_names_and_values_cannot_break_out() -> None:
    nasty = 'a"; DROP TABLE rows; --'
    table = pa.table({nasty: ["it's", "'); SELECT 1; --"]})
    rules = [
        one_of(nasty, ["it's"], name="r1"),
        matches(nasty, "'.*", name="r2"),
        unique(nasty, name="r3"),
        in_range(nasty, "'", name="r4"),
        not_null(nasty, name="r5"),
    ]
    assert check(table, rules).violations == {"r1": 1, "r2": 1}


def test_an_unknown_column_is_named_before_any_work() -> None:
    with pytest.raises(SchemaMismatch, match="reads the column 'sped', which the table lacks") as caught:
        check(TABLE, [not_null("id"), in_range("sped", 0, 1)])
    assert caught.value.why == "did you mean 'speed'?"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (in_range("speed", "a", "b"), "Cannot compare"),
        (one_of("id", ["JFK"]), "Cannot compare"),
        (one_of("origin", [1]), "Cannot compare"),
        (matches("id", "1"), "regexp_full_match"),
        (matches("origin", "("), "missing \\)"),
        (expression("sped > 1", name="r"), "sped"),
        (expression("id + 1", name="r"), "expected a BOOLEAN"),
    ],
)
def test_a_rule_that_does_not_fit_the_types(rule: Rule, why: str) -> None:
    with pytest.raises(SchemaMismatch, match=rf"the rule '{rule.name}'") as caught:
        check(TABLE, [rule])
    assert re.search(why, caught.value.why)


def test_a_rule_that_fails_on_a_value() -> None:
    with pytest.raises(InvalidInput, match="fails on a value") as caught:
        check(TABLE, [expression("origin::INTEGER > 1", name="r")])
    assert "JFK" in caught.value.why


def test_an_expression_cannot_read_files() -> None:
    reads = expression("(SELECT count(*) FROM read_csv('/etc/passwd')) > 1", name="r")
    with pytest.raises(SchemaMismatch) as caught:
        check(TABLE, [reads])
    assert "disabled by configuration" in caught.value.why


@pytest.mark.parametrize("sql", ["", "a > 1, b > 1", "a > 1) FROM rows; DROP TABLE rows; SELECT (1", "SELECT"])
def test_an_expression_is_one_expression(sql: str) -> None:
    with pytest.raises(InvalidInput, match="is not one SQL expression"):
        expression(sql, name="r")


def test_rules_that_say_nothing() -> None:
    with pytest.raises(InvalidInput, match="has no end"):
        in_range("x")
    with pytest.raises(InvalidInput, match="no values"):
        one_of("x", [])
    with pytest.raises(InvalidInput, match="no values"):
        one_of("x", "abc")
    with pytest.raises(InvalidInput, match="names no column"):
        unique()


@pytest.mark.parametrize("value", [float("nan"), b"x", object(), [1]])
def test_a_rule_compares_with_plain_values_only(value: object) -> None:
    with pytest.raises(InvalidInput, match="cannot compare with"):
        one_of("x", [value])


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no time zone"):
        in_range("day", low=datetime(2013, 1, 1))  # noqa: DTZ001


def test_names_of_rules_differ_and_hold_no_comma() -> None:
    with pytest.raises(InvalidInput, match="two rules are called 'id not null'"):
        check(TABLE, [not_null("id"), not_null("id")])
    with pytest.raises(InvalidInput, match="cannot name a rule"):
        not_null("id", name="a,b")
    with pytest.raises(InvalidInput, match="cannot name a rule"):
        expression("true", name=" ")


def test_a_table_that_has_the_column_of_broken_rules() -> None:
    with pytest.raises(InvalidInput, match="has a column 'broken_rules'"):
        check(pa.table({"broken_rules": ["x"]}), [not_null("broken_rules")])


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=30),
    st.integers(-5, 5),
    st.integers(-5, 5),
)
def test_good_and_bad_rows_are_the_table_in_order(values: list[int | None], low: int, high: int) -> None:
    table = pa.table({"v": pa.array(values, pa.int64()), "i": pa.array(range(len(values)), pa.int64())})
    checked = check(table, [in_range("v", low, high), unique("v")])
    good = [i for i, v in enumerate(values) if v is None or (low <= v <= high and values.count(v) == 1)]
    assert checked.good.column("i").to_pylist() == good
    assert checked.bad.column("i").to_pylist() == [i for i in range(len(values)) if i not in good]
