"""Points in order, once, and cut."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.numpy.points import Points, between, distinct, ends, in_order, joined, ordered
from interlock.ports.metric_columns import MetricColumns
from interlock.ports.run_store import MetricPoint

Row = tuple[float, float, int]
rows = st.lists(
    st.tuples(
        st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf]), st.sampled_from([-1.0, 0.0, 2.5]), st.integers(0, 3)
    ),
    min_size=1,
    max_size=20,
)
places = st.tuples(st.sampled_from([-2.0, -1.0, 0.0, 2.5, 3.0]), st.integers(-1, 4))


def made(rows: list[Row]) -> Points:
    return Points.of(MetricColumns.of([MetricPoint("auc", *row) for row in rows]))


def listed(points: Points) -> list[tuple[str, float, int]]:
    """Return points as rows, with values as text: NaN equals itself, 0.0 is not -0.0."""
    return told(list(zip(*(column.tolist() for column in points), strict=True)))


def told(rows: list[Row]) -> list[tuple[str, float, int]]:
    return [(repr(value), step, time) for value, step, time in rows]


def test_columns_come_back() -> None:
    columns = MetricColumns.of([MetricPoint("auc", -0.0, 1.5, -(2**63)), MetricPoint("auc", math.inf, 0.0, 2**63 - 1)])
    assert Points.of(columns).columns() == columns
    assert Points.of(columns).cut(0, 0).columns() == MetricColumns.of([])


@given(rows)
def test_points_are_ordered_by_place_and_then_as_they_come(rows: list[Row]) -> None:
    found = ordered(made(rows))
    assert listed(found) == told(sorted(rows, key=lambda row: row[1:]))
    assert in_order(found)
    assert in_order(found, strictly=True) == (len({row[1:] for row in rows}) == len(rows))


@given(rows)
def test_ends_are_the_first_and_the_last_of_all(rows: list[Row]) -> None:
    in_turn = sorted(range(len(rows)), key=lambda index: rows[index][1:])
    assert ends(made(rows)) == (in_turn[0], in_turn[-1])


@given(rows, st.one_of(st.none(), rows))
def test_a_point_stays_once(rows: list[Row], known: list[Row] | None) -> None:
    found = distinct(made(rows), None if known is None else made(known))
    seen = set(told(known or []))
    assert listed(found) == [row for row in dict.fromkeys(told(rows)) if row not in seen]


@given(rows, places, places)
def test_a_stretch_holds_all_between_its_ends(
    rows: list[Row], one: tuple[float, int], other: tuple[float, int]
) -> None:
    low, high = sorted([one, other])
    points = ordered(made(rows))
    wanted = [row for row in sorted(rows, key=lambda row: row[1:]) if low <= row[1:] <= high]
    stretch = between(points, low, high)
    assert [row for row in listed(stretch) if low <= row[1:] <= high] == told(wanted)
    assert {row[1] for row in listed(stretch)} <= {step for step in (-1.0, 0.0, 2.5) if low[0] <= step <= high[0]}


def test_a_stretch_of_one_step_is_cut_by_time() -> None:
    points = made([(float(n), 0.0, n) for n in range(100)])
    assert listed(between(points, (0.0, 40), (0.0, 42))) == told([(float(n), 0.0, n) for n in (40, 41, 42)])
    assert listed(between(points, (0.0, 200), (1.0, 0))) == []


def test_steps_too_far_apart_to_subtract_are_in_order() -> None:
    assert in_order(made([(1.0, -1.7e308, 1), (1.0, 1.7e308, 0)]))


def test_parts_are_joined_in_turn() -> None:
    first, second = made([(1.0, 5.0, 1)]), made([(2.0, 4.0, 2), (3.0, 3.0, 3)])
    assert listed(joined([first, second])) == told([(1.0, 5.0, 1), (2.0, 4.0, 2), (3.0, 3.0, 3)])
    assert joined([second]) is second
    assert listed(second.only(np.array([1]))) == told([(3.0, 3.0, 3)])
