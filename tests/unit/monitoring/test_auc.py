from __future__ import annotations

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

from interlock.core.errors import InvalidInput
from interlock.monitoring.auc import auc, delong, delong_paired

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40)


def by_pairs(y: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's placements by comparing every positive with every negative (1988, eq. 4 and 5)."""
    above = [[(p > n) + 0.5 * (p == n) for n in score[y == 0]] for p in score[y == 1]]
    matrix = np.array(above, dtype=float)
    return matrix.mean(axis=1), matrix.mean(axis=0)


@settings(deadline=None)
@given(rows)
def test_auc_agrees_with_sklearn_with_ties(data: list[tuple[int, int, int]]) -> None:
    y, score = [row[0] for row in data], [row[1] for row in data]
    if len(set(y)) < 2:
        assert auc(y, score) is None
    else:
        assert auc(y, score) == pytest.approx(roc_auc_score(y, score))


@settings(deadline=None)
@given(rows)
def test_delong_agrees_with_all_pairs(data: list[tuple[int, int, int]]) -> None:
    y, score, other = (np.array(column) for column in zip(*data, strict=True))
    if min(y.sum(), (1 - y).sum()) < 2:
        return
    one, two = by_pairs(y, score), by_pairs(y, other)
    value = one[0].mean()
    z = norm.ppf(0.95)
    found = delong(y, score, level=0.9)
    assert found is not None
    assert found.value == pytest.approx(value)
    if 0 < value < 1:
        error = np.sqrt(one[0].var(ddof=1) / one[0].size + one[1].var(ddof=1) / one[1].size)
        assert found.low == pytest.approx(max(0.0, value - z * error))
        assert found.high == pytest.approx(min(1.0, value + z * error))
    paired = delong_paired(y, score, other, level=0.9)
    error = np.sqrt(sum((a - b).var(ddof=1) / a.size for a, b in zip(one, two, strict=True)))
    assert paired is not None
    assert paired.value == pytest.approx(value - two[0].mean(), abs=1e-12)
    if error > 1e-9:
        assert paired.p == pytest.approx(2 * norm.sf(abs(paired.value) / error))
        assert paired.low == pytest.approx(max(-1.0, paired.value - z * error))


def test_coverage_of_the_interval() -> None:
    random = np.random.default_rng(7)
    truth = norm.cdf(1 / np.sqrt(2))
    inside = 0
    for _ in range(400):
        y = random.integers(0, 2, 200)
        found = delong(y, y + random.normal(size=200))
        assert found is not None
        inside += found.low <= truth <= found.high
    assert 0.91 <= inside / 400 <= 0.985


def test_ranks_agree_with_scipy() -> None:
    from interlock.monitoring.auc import _midranks

    values = np.random.default_rng(1).integers(0, 20, 100).astype(float)
    assert _midranks(values).tolist() == rankdata(values).tolist()


@pytest.mark.parametrize("y", [[], [0, 0], [1, 1, 1]])
def test_one_class_has_no_auc(y: list[int]) -> None:
    score = list(range(len(y)))
    assert (auc(y, score), delong(y, score), delong_paired(y, score, score)) == (None, None, None)


def test_too_few_rows_of_a_class_say_nothing() -> None:
    found = delong([1, 0, 0], [1, 0, 0])
    assert found is not None
    assert (found.value, found.low, found.high) == (1.0, 0.0, 1.0)
    paired = delong_paired([1, 0, 0], [1, 0, 0], [0, 1, 1])
    assert paired is not None
    assert (paired.value, paired.low, paired.high, paired.p) == (1.0, -1.0, 1.0, 1.0)


def test_perfect_separation_is_not_certainty() -> None:
    y = [0] * 10 + [1] * 10
    found, inverse = delong(y, y), delong(y, [-one for one in y])
    assert found is not None
    assert inverse is not None
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(10 / (10 + norm.ppf(0.975) ** 2))
    assert (inverse.value, inverse.low) == (0.0, 0.0)
    assert inverse.high == pytest.approx(1 - found.low)


def test_equal_scores_do_not_differ() -> None:
    paired = delong_paired([0, 1, 0, 1], [1, 2, 3, 4], [10, 20, 30, 40])
    assert paired is not None
    assert (paired.value, paired.low, paired.high, paired.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_constant_difference_is_judged_by_a_sign_test() -> None:
    y = [0] * 8 + [1] * 12
    better, worse = delong_paired(y, y, [5] * 20), delong_paired(y, [5] * 20, y)
    assert better is not None
    assert worse is not None
    assert (better.value, better.high, better.p) == (0.5, 0.5, 2 / 2**8)
    assert 0 < better.low < 0.5
    assert (worse.value, worse.low, worse.high) == (-0.5, -0.5, -better.low)


def test_infinite_scores_have_ranks() -> None:
    assert auc([0, 1], [float("-inf"), float("inf")]) == 1.0


@pytest.mark.parametrize(
    ("y", "score", "what"),
    [
        ([0, 2], [1, 2], "not one 0 or 1 per row"),
        ([[0, 1]], [1, 2], "not one 0 or 1 per row"),
        ([0, 1], [1], "different length"),
        ([0, 1], [1, float("nan")], "a score is NaN"),
        ([0, 1], [1, None], "a score is NaN"),
    ],
)
def test_bad_input(y: list[int], score: list[float], what: str) -> None:
    for call in (auc, delong):
        with pytest.raises(InvalidInput, match=what):
            call(y, score)
    with pytest.raises(InvalidInput, match=what):
        delong_paired(y, score, score)


def test_booleans_are_truths_and_levels_are_checked() -> None:
    assert auc([True, False], [2, 1]) == 1.0
    for level, y in product((0, 1, 95), ([0, 1, 0, 1],)):
        with pytest.raises(InvalidInput, match="is not a confidence level"):
            delong(y, [1, 2, 3, 4], level=level)


def test_the_room_imports_no_heavy_library() -> None:
    code = (
        "import sys, interlock.monitoring.monitors;"
        "print([m for m in ('scipy', 'sklearn', 'pandas', 'pyarrow', 'duckdb') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
