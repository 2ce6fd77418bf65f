"""Hold the answers of one form of a model against those of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlock.registry.signatures import LABEL, PROBABILITY

TOLERANCE = 1e-5
"""Largest difference borne: absolute up to 1, beyond that relative to the size of the number."""


def largest_difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """Return the largest difference between two sets of answers; infinite where anything but a number differs.

    A label may differ only where the two likeliest classes are as good as equal. Numbers beyond 1 are compared
    relative to their size. Where one has no number, the other must have none. Cost: one pass.

    Args:
        expected: By output a list of plain values, or an array.
        found: The same outputs.
    """
    if expected.keys() - found.keys():
        return float("inf")
    worst = 0.0
    for name, values in expected.items():
        if name == LABEL:
            continue
        worst = max(worst, _farthest(values, found[name]))
    if LABEL in expected:
        for row, (one, other) in enumerate(zip(_listed(expected[LABEL]), _listed(found[LABEL]), strict=True)):
            if one != other and _margin(expected, row) > 2 * TOLERANCE:
                return float("inf")
    return worst


def _farthest(expected: Any, found: Any) -> float:
    import numpy as np

    one, other = np.asarray(expected), np.asarray(found)
    if one.shape != other.shape:
        return float("inf")
    if one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        return 0.0 if _listed(expected) == _listed(found) else float("inf")
    one, other = one.astype(np.float64), other.astype(np.float64)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    if same.all():
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(one - other)[~same] / np.maximum(1.0, np.abs(one))[~same]
    return float(np.where(np.isnan(distance), np.inf, distance).max())


def _listed(values: Any) -> list[Any]:
    listed: list[Any] = values if isinstance(values, list) else values.tolist()
    return listed


def _margin(outputs: Mapping[str, Any], row: int) -> float:
    shares = sorted(values[row] for name, values in outputs.items() if name.startswith(PROBABILITY))
    if not shares:
        return float("inf")
    return abs(2 * shares[0] - 1) if len(shares) == 1 else float(shares[-1] - shares[-2])
