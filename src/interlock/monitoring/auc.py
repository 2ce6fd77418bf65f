"""Area under the ROC curve, with DeLong's interval, for one score and for the difference of two.

Source: DeLong, DeLong, Clarke-Pearson (1988), Comparing the areas under two or more correlated ROC curves;
computed as in Sun and Xu (2014), Fast implementation of DeLong's algorithm, algorithm 2. Cost: O(n log n).

Shape: `y` and every score are one value per row. `y` holds 0 and 1 (or booleans), scores any numbers but NaN.
"""

from __future__ import annotations

from math import erfc, sqrt
from typing import Any

import msgspec
import numpy as np

from interlock.core.errors import InvalidInput
from interlock.monitoring.intervals import Floats, Interval, quantile, share_interval

Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Difference(msgspec.Struct, frozen=True):
    """A difference, the interval around it, and the two-sided p-value of there being none."""

    value: float
    low: float
    high: float
    p: float


def auc(y: Any, score: Any) -> float | None:
    """Return the chance that a positive row scores above a negative one, ties counting half.

    None where all rows are of one class.
    """
    truth, (values,) = _checked(y, score)
    positives = int(truth.sum())
    negatives = truth.size - positives
    if not positives or not negatives:
        return None
    above = float(_midranks(values)[truth].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def delong(y: Any, score: Any, level: float = 0.95) -> Interval | None:
    """Return the AUC with its interval; None where all rows are of one class.

    With a single row of a class nothing is known of the variance, and the interval is 0 to 1. With every pair
    ordered alike DeLong's variance is 0; the interval is then Wilson's for as many trials as the smaller class
    has rows.
    """
    truth, scores = _checked(y, score)
    parts = _placements(truth, scores)
    if parts is None:
        return None
    positives, negatives = parts
    value, smaller = float(positives.mean()), min(positives.size, negatives.size)
    if smaller < 2:
        return Interval(value, 0.0, 1.0)
    if value in (0.0, 1.0):
        return share_interval(round(value * smaller), smaller, level)
    reach = quantile(level) * sqrt(_variance(positives[0]) + _variance(negatives[0]))
    return Interval(value, max(0.0, value - reach), min(1.0, value + reach))


def delong_paired(y: Any, score_a: Any, score_b: Any, level: float = 0.95) -> Difference | None:
    """Return the AUC of `score_a` less that of `score_b` on the same rows; None where all rows are of one class.

    With a single row of a class the interval is -1 to 1 and p is 1. Where the variance is 0 although the two
    differ (one separates the classes, the other is constant), p is that of a sign test over the smaller class and the
    nearer end of the interval shrinks towards 0 as Wilson's does.
    """
    truth, scores = _checked(y, score_a, score_b)
    parts = _placements(truth, scores)
    if parts is None:
        return None
    positives, negatives = parts
    value = float(positives[0].mean() - positives[1].mean())
    smaller, z = min(positives.shape[1], negatives.shape[1]), quantile(level)
    if smaller < 2:
        return Difference(value, -1.0, 1.0, 1.0)
    error = sqrt(_variance(positives[0] - positives[1]) + _variance(negatives[0] - negatives[1]))
    if abs(value) < 1e-12 and error < 1e-12:
        return Difference(0.0, 0.0, 0.0, 1.0)
    if error < 1e-12:
        near = value * smaller / (smaller + z * z)
        return Difference(value, min(near, value), max(near, value), min(1.0, 2.0 * 0.5**smaller))
    p = erfc(abs(value) / error / sqrt(2))
    return Difference(value, max(-1.0, value - z * error), min(1.0, value + z * error), p)


def _checked(y: Any, *scores: Any) -> tuple[Bools, list[Floats]]:
    truth = np.asarray(y)
    if truth.ndim != 1 or not np.isin(truth, (0, 1)).all():
        raise InvalidInput("the truth is not one 0 or 1 per row", why=f"got an array of {truth.dtype}, {truth.shape}")
    found = []
    for score in scores:
        values = np.asarray(score, dtype=np.float64)
        if values.shape != truth.shape:
            raise InvalidInput("truth and score are of different length", why=f"got {truth.shape} and {values.shape}")
        if np.isnan(values).any():
            raise InvalidInput("a score is NaN", why="rows without a score have no rank", fix="drop those rows first")
        found.append(values)
    return truth.astype(np.bool_), found


def _midranks(values: Floats) -> Floats:
    """Return the rank of each value from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return ranks


def _placements(truth: Bools, scores: list[Floats]) -> tuple[Floats, Floats] | None:
    """Return, per score and row, how a positive row stands among the negatives and the reverse (DeLong's V10, V01)."""
    positives = int(truth.sum())
    negatives = truth.size - positives
    if not positives or not negatives:
        return None
    above, below = np.empty((len(scores), positives)), np.empty((len(scores), negatives))
    for row, values in enumerate(scores):
        ranks = _midranks(values)
        above[row] = (ranks[truth] - _midranks(values[truth])) / negatives
        below[row] = 1 - (ranks[~truth] - _midranks(values[~truth])) / positives
    return above, below


def _variance(placements: Floats) -> float:
    return float(placements.var(ddof=1)) / placements.size
