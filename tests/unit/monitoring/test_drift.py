from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from interlock.core.errors import InvalidInput
from interlock.monitoring.drift import jensen_shannon, psi, psi_by_chance

counts = st.lists(st.integers(0, 1000), min_size=2, max_size=12)


@settings(deadline=None)
@given(counts, st.randoms(use_true_random=False))
def test_distances_are_zero_for_equal_and_symmetric(reference: list[int], random: object) -> None:
    current = sorted(reference)
    if not sum(reference):
        assert psi(reference, current) is None
        return
    assert psi(reference, reference) == pytest.approx(0.0)
    assert jensen_shannon(reference, reference) == pytest.approx(0.0, abs=1e-7)
    assert psi(reference, current) == pytest.approx(psi(current, reference))
    distance = jensen_shannon(reference, current)
    assert distance is not None
    assert 0 <= distance <= 1


def test_psi_by_hand() -> None:
    p, q = [90.5 / 101, 10.5 / 101], [50.5 / 101, 50.5 / 101]
    by_hand = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert psi([90, 10], [50, 50]) == pytest.approx(by_hand)


@settings(deadline=None)
@given(
    counts.flatmap(
        lambda one: st.tuples(st.just(one), st.lists(st.integers(0, 900), min_size=len(one), max_size=len(one)))
    )
)
def test_jensen_shannon_agrees_with_scipy(pair: tuple[list[int], list[int]]) -> None:
    reference, current = pair
    if sum(reference) and sum(current):
        smoothed = (np.array(counts) + 0.5 for counts in pair)
        assert jensen_shannon(reference, current) == pytest.approx(jensenshannon(*smoothed, base=2), abs=1e-7)


def test_an_empty_bin_costs_much_but_not_infinitely_much() -> None:
    value = psi([500, 500, 0], [0, 500, 500])
    assert value is not None
    assert 5 < value < 20


def test_what_chance_alone_shows() -> None:
    random = np.random.default_rng(3)
    shares = np.full(20, 1 / 20)
    found = [psi(random.multinomial(5000, shares), random.multinomial(500, shares)) for _ in range(300)]
    assert np.mean([one for one in found if one is not None]) == pytest.approx(psi_by_chance(20, 5000, 500), rel=0.1)


def test_no_rows_have_no_distance() -> None:
    assert psi([0, 0], [1, 2]) is None
    assert jensen_shannon([1, 2], [0, 0]) is None


def test_different_bins_are_refused() -> None:
    with pytest.raises(InvalidInput, match="different bins"):
        psi([1, 2], [1, 2, 3])
