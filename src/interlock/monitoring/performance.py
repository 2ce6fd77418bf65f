"""Score predicted probabilities against what proved true, overall and slice by slice.

Shape: `y` holds a 0 or 1 per row, `score` the predicted probability of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from interlock.core.errors import InvalidInput, did_you_mean
from interlock.monitoring.auc import delong
from interlock.monitoring.intervals import Floats, Interval, mean_interval, share_interval

_SMALLEST = 1e-15


class Slice(msgspec.Struct, frozen=True):
    """The figure on the rows that share one value of a column; None where it is not defined on them."""

    column: str
    value: str
    rows: int
    figure: Interval | None


def log_loss(y: Floats, score: Floats, level: float = 0.95) -> Interval:
    """Return the mean negative log-likelihood, in nats; certainties are taken as `1e-15` from 0 and 1."""
    p = np.clip(score, _SMALLEST, 1 - _SMALLEST)
    return mean_interval(-np.where(y == 1, np.log(p), np.log1p(-p)), level)


def brier(y: Floats, score: Floats, level: float = 0.95) -> Interval:
    """Return the mean squared error of the probabilities.

    Source: Brier (1950), Verification of forecasts expressed in terms of probability; for two classes, halved.
    """
    return mean_interval((y - score) ** 2, level)


def accuracy(y: Floats, score: Floats, level: float = 0.95, *, cutoff: float = 0.5) -> Interval:
    """Return the share of rows on the right side of a cutoff; a score equal to it counts as 1."""
    return share_interval(int(((score >= cutoff) == (y == 1)).sum()), y.size, level)


METRICS: dict[str, Callable[[Floats, Floats, float], Interval | None]] = {
    "auc": delong,
    "log_loss": log_loss,
    "brier": brier,
    "accuracy": accuracy,
}
"""The figures by name; each takes truth, score and confidence level."""


def measure(metric: str, y: Floats, score: Floats, *, level: float = 0.95, cutoff: float = 0.5) -> Interval | None:
    """Return a figure with its interval; None where it is not defined (no rows, or one class for `auc`)."""
    if metric not in METRICS:
        raise InvalidInput(f"there is no performance metric '{metric}'", why=did_you_mean(metric, METRICS))
    if not y.size:
        return None
    if metric == "accuracy":
        return accuracy(y, score, level, cutoff=cutoff)
    return METRICS[metric](y, score, level)


def by_slice(
    metric: str,
    y: Floats,
    score: Floats,
    column: str,
    values: Sequence[Any],
    *,
    level: float = 0.95,
    cutoff: float = 0.5,
    largest: int = 20,
) -> list[Slice]:
    """Return the figure for each value of a column, most rows first; values beyond the `largest` are left out."""
    rows: dict[str, list[int]] = {}
    for position, value in enumerate(values):
        rows.setdefault(str(value), []).append(position)
    chosen = sorted(rows.items(), key=lambda item: (-len(item[1]), item[0]))[:largest]
    return [
        Slice(column, value, len(where), measure(metric, y[where], score[where], level=level, cutoff=cutoff))
        for value, where in chosen
    ]
