"""Exact running summaries."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.numpy.points import Points
from interlock.adapters.sql.series_state import (
    SUMMARY_COLUMNS,
    SeriesState,
    decode_state,
    encode_state,
    exact_sum,
    exact_total,
    extended,
    extended_by_many,
)
from interlock.ports.metric_columns import MetricColumns
from interlock.ports.run_store import MetricPoint

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
points = st.lists(
    st.builds(
        MetricPoint,
        st.just("a"),
        st.one_of(finite, st.sampled_from([math.nan, math.inf])),
        st.sampled_from([-1.0, 0.0, 0.5]),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=20,
)


@given(st.lists(finite, max_size=20))
def test_a_sum_keeps_every_bit(numbers: list[float]) -> None:
    parts = exact_sum(numbers)
    assert sum(map(Fraction, parts)) == sum(map(Fraction, numbers))
    assert parts[0] == math.fsum(numbers)


@given(st.lists(finite, max_size=10), st.lists(finite, max_size=10))
def test_a_sum_in_two_batches_is_the_sum_at_once(early: list[float], late: list[float]) -> None:
    assert exact_sum([*exact_sum(early), *late])[0] == math.fsum([*early, *late])


@given(st.lists(finite, max_size=5), st.lists(st.floats(allow_nan=False), max_size=60))
def test_a_sum_of_many_is_the_same_sum(carried: list[float], numbers: list[float]) -> None:
    before = exact_sum(carried)
    assert plain(exact_total(np.array(numbers), before)) == plain(exact_sum([*before, *numbers]))


def plain(parts: tuple[float, ...]) -> list[str]:
    return [repr(part + 0.0) for part in parts]


@pytest.mark.parametrize("scale", [1.0, 1e280, 5e-324, 1e-310])
def test_a_sum_of_a_great_many_keeps_every_bit(scale: float) -> None:
    noise = np.random.default_rng(1)
    numbers = noise.standard_normal(100_000) * scale
    numbers[::1000] *= 1e-20
    assert sum(map(Fraction, exact_total(numbers))) == sum(map(Fraction, numbers.tolist()))


def test_a_sum_beyond_the_largest_float_is_infinite() -> None:
    assert exact_sum([1.7e308, 1.7e308]) == exact_total(np.array([1.7e308, 1.7e308])) == (math.inf,)
    assert exact_sum([math.inf, 1.0]) == exact_total(np.array([1.0]), (math.inf,)) == (math.inf,)
    assert math.isnan(exact_sum([math.inf, -math.inf])[0])
    assert math.isnan(exact_total(np.array([1.0]), (math.nan,))[0])


@given(st.lists(points, min_size=1, max_size=4))
def test_few_and_many_points_come_to_the_same(batches: list[list[MetricPoint]]) -> None:
    few: SeriesState | None = None
    many: SeriesState | None = None
    for batch in batches:
        few = extended(few, MetricColumns.of(batch))
        many = extended_by_many(many, Points.of(MetricColumns.of(batch)))
    assert few is not None
    assert many is not None
    assert repr(few).replace("-0.0", "0.0") == repr(many).replace("-0.0", "0.0")
    every = [point for batch in batches for point in batch]
    assert (few.points, few.numbers) == (len(every), sum(point.value == point.value for point in every))
    last = max(enumerate(every), key=lambda one: (one[1].step, one[1].time, one[0]))[1]
    assert repr(few.last) == repr((last.step, last.time, last.value))


def test_a_state_is_read_as_it_was_written() -> None:
    columns = MetricColumns.of([MetricPoint("a", value, 1.5, 7) for value in (1e16, 1.0, -3.0)])
    state = extended(None, columns)
    assert decode_state(encode_state(state)) == state
    summary = state.summary("a")
    assert (summary.mean, summary.last_step, summary.last_time) == (math.fsum([1e16, 1.0, -3.0]) / 3, 1.5, 7)
    assert dict(zip(SUMMARY_COLUMNS, state.columns(), strict=True)) == {
        "last": -3.0,
        "first": 1e16,
        "low": -3.0,
        "high": 1e16,
        "mean": summary.mean,
        "count": 3,
        "last_step": 1.5,
        "last_time": 7,
    }


def test_what_is_no_number_is_null_in_searches() -> None:
    state = extended(None, MetricColumns.of([MetricPoint("a", math.nan, 0, 0)]))
    assert state.columns() == (None, None, None, None, None, 1, 0.0, 0)
