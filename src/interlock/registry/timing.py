"""Measure how long a model takes for few rows and for many."""

from __future__ import annotations

import time
from typing import Any

from interlock.ports.model_runtime import Predictor
from interlock.registry.probing import Answers

MANY_ROWS = 512
BETWEEN = (8, 32, 128)
"""Numbers of rows at which two engines are compared, to find from where on the second is quicker."""

_BUDGET_S = 0.004
_FEWEST, _MOST = 2, 50
_SLOW_US = 20_000.0
_LARGE_BYTES = 128 * 1024


def times(predictor: Predictor, answers: Answers) -> tuple[float, float]:
    """Return how long a row takes, and 512. Unit: microseconds.

    What takes long for one row, or is too large, is not asked 512: that is reckoned, as so many times one row.
    """
    one = answers.repeated(1)
    took = time_us(predictor, one, rows=1)
    if answers.is_whole or took > _SLOW_US or sum(getattr(values, "nbytes", 8) for values in one) > _LARGE_BYTES:
        return took, round(took * MANY_ROWS, 1)
    return took, time_us(predictor, answers.repeated(MANY_ROWS), rows=MANY_ROWS)


def time_us(predictor: Predictor, columns: list[Any], *, rows: int) -> float:
    """Return the best time of a call. Unit: microseconds. Cost: four milliseconds, or two calls.

    The best is the least disturbed; a model's own work is the same each time.
    """
    best, spent, calls = float("inf"), 0.0, 0
    while calls < _FEWEST or (spent < _BUDGET_S and calls < _MOST):
        start = time.perf_counter()
        predictor.predict(columns, rows=rows)
        took = time.perf_counter() - start
        best, spent, calls = min(best, took), spent + took, calls + 1
    return round(best * 1e6, 1)


def first_quicker(first: Predictor, second: Predictor, answers: Answers) -> int:
    """Return the smallest number of rows measured at which the second is quicker and stays so; at most `MANY_ROWS`."""
    smallest = MANY_ROWS
    for rows in reversed(BETWEEN):
        columns = answers.repeated(rows)
        if time_us(second, columns, rows=rows) >= time_us(first, columns, rows=rows):
            break
        smallest = rows
    return smallest
