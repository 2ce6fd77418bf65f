from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from interlock.monitoring.intervals import Interval, mean_interval, quantile, share_interval


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (10, 10), (3, 17), (500, 1000)])
def test_share_interval_is_wilsons(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(0.9, method="wilson")
    found = share_interval(hits, count, 0.9)
    assert found.value == hits / count
    assert (found.low, found.high) == (pytest.approx(expected.low, abs=1e-12), pytest.approx(expected.high))


def test_mean_interval() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    reach = norm.ppf(0.975) * values.std(ddof=1) / 2
    assert mean_interval(values) == Interval(3.0, pytest.approx(3 - reach), pytest.approx(3 + reach))


def test_one_value_has_no_spread() -> None:
    assert mean_interval(np.array([1.0])) == Interval(1.0, -math.inf, math.inf)


def test_quantile() -> None:
    assert quantile(0.99) == pytest.approx(norm.ppf(0.995))
