"""Metric points as columns."""

from __future__ import annotations

import math
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.ports.metric_columns import by_key
from interlock.ports.run_store import MetricPoint


def test_points_are_grouped_by_key_in_order_of_arrival() -> None:
    points = [MetricPoint("b", 1.0, 2, 3), MetricPoint("a", 0.5, 0, 0), MetricPoint("b", 4, 5.5, 6)]
    columns = by_key(points)
    assert list(columns) == ["b", "a"]
    assert list(columns["b"].values) == [1.0, 4.0]
    assert list(columns["b"].steps) == [2.0, 5.5]
    assert list(columns["b"].times) == [3, 6]
    assert columns["b"].points("b") == [points[0], points[2]]
    assert by_key([]) == {}


def test_values_may_be_any_number() -> None:
    values = [1, True, math.inf, -math.inf, math.nan]
    found = by_key([MetricPoint("a", value, 0, 0) for value in values])["a"].values
    assert list(found[:4]) == [1.0, 1.0, math.inf, -math.inf]
    assert math.isnan(found[4])


@pytest.mark.parametrize(
    "fields",
    [
        ("", 1.0, 1, 1),
        (3, 1.0, 1, 1),
        ("a", "0.5", 1, 1),
        ("a", None, 1, 1),
        ("a", 10**400, 1, 1),
        ("a", 1.0, "1", 1),
        ("a", 1.0, math.nan, 1),
        ("a", 1.0, math.inf, 1),
        ("a", 1.0, 1, 1.5),
        ("a", 1.0, 1, 2**63),
    ],
)
def test_bad_points_are_refused(fields: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInput) as raised:
        by_key([MetricPoint("good", 1.0, 1, 1), MetricPoint(*fields)])
    assert "metric" in raised.value.what
    assert raised.value.why
