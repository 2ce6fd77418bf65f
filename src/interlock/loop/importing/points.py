"""Gather points that a source tells in any order, and nested values, as metric series and params."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from interlock.ports.metric_columns import MetricColumns
from interlock.ports.run_store import Series


class Points:
    """Metric points by key, 24 bytes each."""

    def __init__(self) -> None:
        self._columns: dict[str, MetricColumns] = {}

    def add(self, key: str, value: float, *, step: float, micros: int) -> None:
        """Add a point."""
        columns = self._columns.get(key)
        if columns is None:
            columns = self._columns[key] = MetricColumns(array("d"), array("d"), array("q"))
        columns.values.append(value)
        columns.steps.append(step)
        columns.times.append(micros)

    def series(self) -> Iterator[Series]:
        """Yield a series for each key."""
        for key, columns in self._columns.items():
            yield columns.series(key)

    def counts(self) -> list[tuple[str, int]]:
        """Return how many points each key has."""
        return [(key, len(columns.values)) for key, columns in self._columns.items()]


def numbers_in(value: Any, key: str) -> Iterator[tuple[str, float]]:
    """Yield the numbers in a logged value by key, those in mappings under keys joined by dots.

    Example:
        >>> list(numbers_in({"acc": 0.5, "top": {"k": 3}, "note": "x"}, "val"))
        [('val.acc', 0.5), ('val.top.k', 3.0)]
    """
    if isinstance(value, bool | int | float):
        yield key, float(value)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from numbers_in(one, f"{key}.{name}" if key else str(name))
    elif value in ("NaN", "Infinity", "-Infinity"):
        yield key, float(value)
