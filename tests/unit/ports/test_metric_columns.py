"""Metric points as columns."""

from __future__ import annotations

import math
import struct
import sys
from array import array
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.ports.metric_columns import MetricColumns, by_key
from interlock.ports.run_store import MetricPoint, Series


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


def packed(key: str, values: list[float], steps: list[float], times: list[int]) -> Series:
    count = len(values)
    return Series(
        key, struct.pack(f"<{count}d", *values), struct.pack(f"<{count}d", *steps), struct.pack(f"<{count}q", *times)
    )


def test_points_and_packed_columns_become_one_series() -> None:
    found = by_key(
        [MetricPoint("a", 1.0, 1, 1), MetricPoint("b", 2.0, 2, 2)],
        [packed("b", [3.0], [0.5], [-3]), packed("c", [4.0], [4.0], [4]), packed("c", [5.0], [5.0], [5])],
    )
    assert {key: columns.points(key) for key, columns in found.items()} == {
        "a": [MetricPoint("a", 1.0, 1.0, 1)],
        "b": [MetricPoint("b", 2.0, 2.0, 2), MetricPoint("b", 3.0, 0.5, -3)],
        "c": [MetricPoint("c", 4.0, 4.0, 4), MetricPoint("c", 5.0, 5.0, 5)],
    }


def test_columns_without_points_are_no_series() -> None:
    assert by_key([], [packed("a", [], [], [])]) == {}


def test_columns_are_packed_little_endian_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    series = packed("a", [1.0, 2.0], [3.0, 4.0], [5, 6])
    columns = MetricColumns.packed(series)
    assert columns == MetricColumns(array("d", [1.0, 2.0]), array("d", [3.0, 4.0]), array("q", [5, 6]))
    assert columns.series("a") == series
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    swapped = columns.series("a")
    assert swapped.times == struct.pack(">2q" if sys.byteorder == "big" else "<2q", 5, 6)
    assert MetricColumns.packed(swapped) == columns


def test_equal_points_have_equal_bytes() -> None:
    strange = struct.unpack("<d", bytes.fromhex("010000000000f8ff"))[0]
    for found in (
        by_key([MetricPoint("a", strange, -0.0, 1)])["a"],
        by_key([], [packed("a", [strange], [-0.0], [1])])["a"],
    ):
        assert found.values.tobytes() == array("d", [math.nan]).tobytes()
        assert found.steps.tobytes() == array("d", [0.0]).tobytes()
    huge = packed("a", [-0.0, 1.7e308, -1.7e308, math.inf], [5e-324, -1.7e308, 1.7e308, -5e-324], [1, 2, 3, 4])
    assert by_key([], [huge])["a"].series("a") == huge


@pytest.mark.parametrize(
    "series",
    [
        Series("", b"", b"", b""),
        Series("a", bytes(8), bytes(8), bytes(16)),
        Series("a", bytes(8), b"", bytes(8)),
        Series("a", bytes(7), bytes(7), bytes(7)),
        Series("a", None, None, None),  # type: ignore[arg-type]
        Series("a", "12345678", "12345678", "12345678"),  # type: ignore[arg-type]
        packed("a", [1.0], [math.nan], [1]),
        packed("a", [1.0, 1.0], [1.0, math.inf], [1, 2]),
        packed("a", [1.0, 1.0], [-math.inf, 1.0], [1, 2]),
    ],
)
def test_bad_columns_are_refused(series: Series) -> None:
    with pytest.raises(InvalidInput) as raised:
        by_key([], [packed("good", [1.0], [1.0], [1]), series])
    assert "metric" in raised.value.what
    assert raised.value.why
