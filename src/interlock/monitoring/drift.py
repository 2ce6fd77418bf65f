"""Say how far two distributions, given as counts over the same bins, lie apart.

Every bin counts half a row more than it holds (Jeffreys), so that an empty one costs much but not infinitely much.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlock.core.errors import InvalidInput
from interlock.monitoring.intervals import Floats


def psi(reference: Sequence[int], current: Sequence[int]) -> float | None:
    """Return the population stability index; None where one side has no rows.

    Unit: nats; 0 for equal shares. Symmetric.
    Source: Siddiqi (2006), Credit Risk Scorecards, ch. 9: sum of (q - p) ln(q / p), Jeffreys' divergence.
    """
    shares = _shares(reference, current)
    if shares is None:
        return None
    p, q = shares
    return float(((q - p) * np.log(q / p)).sum())


def psi_by_chance(bins: int, reference_rows: int, current_rows: int) -> float:
    """Return what the index comes to, on average, for two samples of one distribution.

    Source: Yurdakul (2018), Statistical properties of population stability index, theorem 3.1:
    the index is about (1/n + 1/m) times a chi-square of `bins - 1` degrees of freedom.
    """
    return (bins - 1) * (1 / reference_rows + 1 / current_rows)


def jensen_shannon(reference: Sequence[int], current: Sequence[int]) -> float | None:
    """Return the Jensen-Shannon distance, 0 for equal shares to 1; None where one side has no rows.

    Source: Endres and Schindelin (2003), A new metric for probability distributions; the root of the divergence
    in bits (Lin 1991, eq. 4.1).
    """
    shares = _shares(reference, current)
    if shares is None:
        return None
    p, q = shares
    middle = (p + q) / 2
    divergence = ((p * np.log2(p / middle)).sum() + (q * np.log2(q / middle)).sum()) / 2
    return float(max(divergence, 0.0) ** 0.5)


def _shares(reference: Sequence[int], current: Sequence[int]) -> tuple[Floats, Floats] | None:
    if len(reference) != len(current):
        raise InvalidInput(
            "reference and current have different bins", why=f"got {len(reference)} and {len(current)} counts"
        )
    if not sum(reference) or not sum(current):
        return None
    p, q = (np.asarray(counts, dtype=np.float64) + 0.5 for counts in (reference, current))
    return p / p.sum(), q / q.sum()
