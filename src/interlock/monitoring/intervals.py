"""Figures with the interval in which they lie."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np

from interlock.core.errors import InvalidInput

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Interval(msgspec.Struct, frozen=True):
    """A figure, and the lower and upper end of the interval around it."""

    value: float
    low: float
    high: float


def quantile(level: float) -> float:
    """Return how many standard errors a two-sided interval of this level reaches from its middle.

    Example:
        >>> round(quantile(0.95), 2)
        1.96
    """
    if not 0 < level < 1:
        raise InvalidInput(f"{level} is not a confidence level", why="expected a number between 0 and 1", fix="0.95")
    return NormalDist().inv_cdf(0.5 + level / 2)


def mean_interval(values: Floats, level: float = 0.95) -> Interval:
    """Return the mean of independent values with its normal interval; one value alone leaves the ends at infinity."""
    mean = float(values.mean())
    if values.size < 2:
        return Interval(mean, -np.inf, np.inf)
    reach = quantile(level) * float(values.std(ddof=1)) / values.size**0.5
    return Interval(mean, mean - reach, mean + reach)


def share_interval(hits: int, count: int, level: float = 0.95) -> Interval:
    """Return a share with its score interval, which stays within 0 and 1 and is sound for few rows.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    z2 = quantile(level) ** 2
    middle = (hits + z2 / 2) / (count + z2)
    reach = (z2 * (hits * (count - hits) / count + z2 / 4)) ** 0.5 / (count + z2)
    share = hits / count
    # the share lies within exactly; floating point may fall short of it by a hair at 0 and 1
    return Interval(share, max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach)))
