"""Series thinned out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.numpy.sampling import FEWEST_POINTS, check_sampling, lttb, minmax, sampled_columns
from interlock.core.errors import InvalidInput
from interlock.ports.metric_columns import MetricColumns
from interlock.ports.run_store import MetricPoint

any_values = st.lists(
    st.one_of(st.floats(-100, 100), st.sampled_from([math.nan, math.inf, -math.inf, 0.0])),
    min_size=FEWEST_POINTS + 1,
    max_size=200,
)
wanted = st.integers(FEWEST_POINTS, 120)


@given(any_values, wanted)
def test_minmax_keeps_ends_extremes_and_one_gap_at_least(values: list[float], points: int) -> None:
    points = min(points, len(values) - 1)
    found = minmax(np.array(values), points).tolist()
    assert found == sorted(set(found))
    assert len(found) <= points
    assert (found[0], found[-1]) == (0, len(values) - 1)
    kept = [values[index] for index in found]
    numbers = [value for value in values if not math.isnan(value)]
    if numbers:
        assert min(numbers) in kept
        assert max(numbers) in kept
    assert any(map(math.isnan, kept)) == any(map(math.isnan, values))


def test_minmax_keeps_what_every_stretch_spans() -> None:
    values = np.sin(np.arange(1002) * 12.9898) * np.arange(1002)
    found = set(minmax(values, 22).tolist())
    for start in range(1, 1001, 100):
        stretch = values[start : start + 100]
        assert {start + int(stretch.argmin()), start + int(stretch.argmax())} <= found


def largest_triangles(places: list[float], values: list[float], points: int) -> list[int]:
    """Choose as the paper says, one point after the other."""
    last = len(values) - 1
    edges = [1 + (last - 1) * bucket // (points - 2) for bucket in range(points - 1)]
    chosen = [0]
    for bucket in range(points - 2):
        following = range(edges[bucket + 1], edges[bucket + 2]) if bucket < points - 3 else [last]
        mean_x = math.fsum(places[index] for index in following) / len(following)
        mean_y = math.fsum(values[index] for index in following) / len(following)
        x, y = places[chosen[-1]], values[chosen[-1]]
        chosen.append(
            max(
                range(edges[bucket], edges[bucket + 1]),
                key=lambda index: abs(
                    (x - mean_x) * (values[index] - y) - (x - places[index]) * (mean_y - y)  # noqa: B023
                ),
            )
        )
    return [*chosen, last]


@pytest.mark.parametrize(("count", "points"), [(9, 8), (100, 99), (1000, 50), (1234, 77)])
def test_lttb_chooses_as_the_paper_says(count: int, points: int) -> None:
    noise = np.random.default_rng(count)
    places = np.cumsum(noise.random(count))
    values = np.cumsum(noise.standard_normal(count))
    assert lttb(places, values, points).tolist() == largest_triangles(places.tolist(), values.tolist(), points)


def test_lttb_does_not_mind_the_size_of_numbers() -> None:
    noise = np.random.default_rng(1)
    places, values = np.arange(500.0), noise.standard_normal(500)
    expected = lttb(places, values, 40).tolist()
    for factor in (2.0**-1000, 2.0**1000):
        assert lttb(places * factor, values * factor, 40).tolist() == expected


@given(any_values, wanted)
def test_lttb_keeps_ends_and_what_is_not_finite(values: list[float], points: int) -> None:
    points = min(points, len(values) - 1)
    found = lttb(np.arange(float(len(values))), np.array(values), points).tolist()
    assert found == sorted(set(found))
    assert 3 <= len(found) <= points
    assert (found[0], found[-1]) == (0, len(values) - 1)
    finite = list(map(math.isfinite, values))
    if all(finite):
        assert len(found) == points
    assert any(not finite[index] for index in found) == (not all(finite))


def columns(count: int, *, step: float = 1.0) -> MetricColumns:
    return MetricColumns.of([MetricPoint("a", math.sin(n * n), n * step, n**2) for n in range(count)])


def test_a_series_without_steps_is_drawn_over_time() -> None:
    series = sampled_columns("a", columns(500, step=0.0), points=50, by="lttb")
    values, times = ([getattr(point, name) for point in columns(500).points("a")] for name in ("value", "time"))
    assert series.times == np.array([times[index] for index in largest_triangles(times, values, 50)], "<i8").tobytes()


def test_steps_may_be_as_far_apart_as_floats_are() -> None:
    points = [MetricPoint("a", math.sin(n), (n - 50) * 3e306, 0) for n in range(100)]
    series = sampled_columns("a", MetricColumns.of(points), points=20, by="lttb")
    assert len(series.steps) == 20 * 8


def test_as_many_points_as_there_may_be_are_all_of_them() -> None:
    assert sampled_columns("a", columns(100), points=100, by="minmax") == columns(100).series("a")
    assert len(sampled_columns("a", columns(100), points=99, by="lttb").values) == 99 * 8


@pytest.mark.parametrize(("points", "by"), [(7, "minmax"), (True, "minmax"), (8.5, "lttb"), (None, "lttb"), (9, "m4")])
def test_what_makes_no_sense_is_refused(points: Any, by: str) -> None:
    with pytest.raises(InvalidInput):
        check_sampling(points, by)
