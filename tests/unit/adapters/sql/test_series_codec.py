"""Bodies of chunks: exact and small."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.numpy.points import Points
from interlock.adapters.sql.series_codec import COLUMNS, ROWS, as_columns, as_rows, columns_of, decoded, row, rows_of
from interlock.ports.metric_columns import MetricColumns
from interlock.ports.run_store import MetricPoint

MICROS = 1_770_000_000_000_000
int64 = st.integers(-(2**63), 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)


def of(values: list[float], steps: list[float], times: list[int]) -> Points:
    return Points(np.array(values, np.float64), np.array(steps, np.float64), np.array(times, np.int64))


def same(one: Points, other: Points) -> bool:
    return [column.tobytes() for column in one] == [column.tobytes() for column in other]


def training(count: int, *, seed: int = 0) -> Points:
    """Return what a float32 training loop logs: a noisy loss every 5 to 50 ms."""
    noise = np.random.default_rng(seed)
    loss = 2 * np.exp(-np.arange(count) / 30_000) + 0.1 + 0.05 * noise.standard_normal(count)
    return Points(
        loss.astype(np.float32).astype(np.float64),
        np.arange(float(count)),
        MICROS + np.cumsum(noise.integers(5_000, 50_000, count)),
    )


@given(st.data(), st.integers(1, 100))
def test_every_bit_comes_back(data: st.DataObject, count: int) -> None:
    kinds = st.sampled_from(
        [
            st.floats(),
            st.floats(width=32),
            st.integers(-9, 9).map(float),
            st.integers(-10_000, 10_000).map(lambda number: number / 10_000),
            st.sampled_from([0.0, -0.0, math.nan, math.inf, 5e-324, 2.0**53, -(2.0**53), 1e22, 0.1]),
        ]
    )
    some = st.one_of(data.draw(st.lists(kinds, min_size=1, max_size=2)))
    values = data.draw(st.lists(some, min_size=count, max_size=count))
    steps = data.draw(st.lists(st.one_of(finite, st.just(1.0)), min_size=count, max_size=count))
    times = data.draw(
        st.lists(st.one_of(int64, st.integers(0, 9).map(lambda number: 1000 * number)), min_size=count, max_size=count)
    )
    points = of([math.nan if value != value else value for value in values], steps, times)
    assert same(decoded(as_columns(points)), points)
    assert same(decoded(as_rows(points)), points)


def test_bodies_follow_one_another() -> None:
    parts = [training(count) for count in (1, 2, 300)]
    bodies = [as_columns(parts[0]), as_rows(parts[1]), as_columns(parts[2])]
    assert same(decoded(*bodies), Points(*(np.concatenate(columns) for columns in zip(*parts, strict=True))))
    assert len(decoded().values) == len(decoded(ROWS).values) == 0


def test_rows_are_what_bodies_hold() -> None:
    points = training(5)
    rows = [row(*one) for one in zip(*(column.tolist() for column in points), strict=True)]
    assert rows_of(as_columns(points)) == rows_of(as_rows(points)) == rows
    assert ROWS + b"".join(rows) == as_rows(points)
    assert columns_of(rows) == points.columns()
    assert rows_of(b"") == rows_of(ROWS) == []


def test_bytes_do_not_depend_on_the_machine() -> None:
    assert as_rows(of([1.0], [2.0], [3])).hex() == "00" + "000000000000f03f" + "0000000000000040" + "03" + 14 * "0"
    body = as_columns(of([0.1, 1 / 3], [0.0, 300.0], [5, 3]))
    assert body[:1] == COLUMNS
    assert same(decoded(body), of([0.1, 1 / 3], [0.0, 300.0], [5, 3]))
    # shuffled float64: lowest bytes first
    assert bytes.fromhex("9a55 9955 9955 9955 9955 9955 b9d5 3f3f") in body


@pytest.mark.parametrize(
    ("name", "most_bytes"),
    [("float32", 5.2), ("rounded", 4.2), ("counter", 2.2), ("no steps, by ms", 4.2), ("any", 9.0)],
)
def test_realistic_series_are_small(name: str, most_bytes: float) -> None:
    points = training(30_000)
    noise = np.random.default_rng(1).random(30_000)
    changed = {
        "float32": points,
        "rounded": points._replace(values=np.round(noise, 4)),
        "counter": points._replace(values=np.arange(30_000.0) * 64),
        "no steps, by ms": points._replace(steps=np.zeros(30_000), times=points.times // 1000 * 1000),
        "any": points._replace(values=noise),
    }[name]
    body = as_columns(changed)
    assert same(decoded(body), changed)
    assert len(body) / 30_000 <= most_bytes


def test_few_points_are_small_too() -> None:
    points = training(20)
    assert len(as_columns(points)) < len(as_rows(points)) / 2
    one = MetricColumns.of([MetricPoint("a", 0.1, 1, MICROS)])
    assert len(as_columns(Points.of(one))) < 40
