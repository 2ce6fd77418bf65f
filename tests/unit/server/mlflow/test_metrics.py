"""Series come back in MLflow's order, in pages, and thinned out evenly."""

from __future__ import annotations

import base64
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.server.mlflow.metrics import Points, evenly, in_order, read_token, write_token
from interlock.server.mlflow.wire import Failure

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), max_size=30)


@given(count=st.integers(0, 500), most=st.integers(1, 60))
def test_chosen_places_spread_evenly(count: int, most: int) -> None:
    places = evenly(count, most)
    assert len(places) == min(count, most)
    assert places == sorted(set(places))
    if places:
        assert places[-1] == count - 1 and (places[0] == 0 or most == 1)
    gaps = [after - before for before, after in zip(places, places[1:-1], strict=False)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert all(abs(gap - Fraction(count, most)) < 1 for gap in gaps)


@given(ROWS)
def test_points_are_ordered_as_tuples_are(rows: list[tuple[int, int, int]]) -> None:
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3)
    points = Points(values=columns[:, 0], steps=columns[:, 1], times=columns[:, 2].astype(np.int64))
    by_time = in_order(points, points.times, points.steps, points.values)
    found = list(zip(by_time.times.tolist(), by_time.steps.tolist(), by_time.values.tolist(), strict=True))
    assert found == sorted((time, step, value) for value, step, time in rows)


def test_nan_comes_last_of_equal_places() -> None:
    points = Points(np.array([np.nan, 2.0, 1.0]), np.zeros(3), np.zeros(3, np.int64))
    assert in_order(points, points.times, points.steps, points.values).values.tolist()[:2] == [1.0, 2.0]


def test_a_series_in_order_is_not_copied() -> None:
    points = Points(np.arange(5.0), np.arange(5.0), np.arange(5))
    assert in_order(points, points.times, points.steps, points.values) is points


@given(st.integers(1, 2**61))
def test_a_token_leads_on(offset: int) -> None:
    assert read_token(write_token(offset)) == offset


@pytest.mark.parametrize(
    "token",
    [
        "invalid_token",
        "é",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b"{}").decode(),
        base64.b64encode(b'{"offset": 0}').decode(),
        base64.b64encode(b'{"offset": -3}').decode(),
        base64.b64encode(b'{"offset": 1e99}').decode(),
        base64.b64encode(b'{"offset": "x"}').decode(),
        base64.b64encode(b"\xff").decode(),
    ],
)
def test_a_token_of_somebody_else_is_refused(token: str) -> None:
    with pytest.raises(Failure, match="Invalid page token"):
        read_token(token)


def test_no_token_begins_at_the_beginning() -> None:
    assert read_token("") == 0
