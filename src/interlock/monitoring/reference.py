"""What columns looked like when the model was trained, as counts with which later rows are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec
import numpy as np

from interlock.core.schema import ColumnType

BINS = 20
TOP = 50


class ReferenceColumn(msgspec.Struct, frozen=True):
    """One column: a histogram of numbers, or counts of categories.

    Args:
        edges: Inner edges of the histogram; bin `i` holds `edges[i-1] < value <= edges[i]`, the end bins are open.
        counts: Rows per bin, one more than `edges`; empty for categories.
        categories: Rows by value.
        other: Rows with a value that is not listed.
        nulls: Rows without a value.
    """

    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    categories: dict[str, int] = {}
    other: int = 0
    nulls: int = 0

    @property
    def rows(self) -> int:
        """How many rows it stands for."""
        return sum(self.counts) + sum(self.categories.values()) + self.other + self.nulls

    def count(self, values: Sequence[Any]) -> tuple[list[int], list[int], list[str]]:
        """Count reference and current rows over the same bins, the last of which is for missing values.

        Returns:
            The reference's counts, those of `values`, and the values that the reference never had (known only where
            it lists all of its own).
        """
        if self.counts:
            numbers = np.asarray(values, dtype=np.float64)
            known = numbers[~np.isnan(numbers)]
            bins = np.searchsorted(np.asarray(self.edges), known, side="left")
            current = np.bincount(bins, minlength=len(self.counts)).tolist()
            return [*self.counts, self.nulls], [*current, len(values) - known.size], []
        found = Counter(values)
        nulls = found.pop(None, 0)
        named = Counter[str]()
        for value, count in found.items():
            named[category(value)] += count
        listed = [named.pop(name, 0) for name in self.categories]
        reference = [*self.categories.values(), self.other, self.nulls]
        return reference, [*listed, named.total(), nulls], [] if self.other else sorted(named)


class Reference(msgspec.Struct, frozen=True):
    """The columns by name."""

    columns: dict[str, ReferenceColumn]

    @classmethod
    def from_profile(cls, profile: Mapping[str, Any]) -> Self:
        """Take over a stored profile of a snapshot, as plain values; columns of times and bytes are left out."""
        columns = {}
        for column in profile["columns"]:
            if column["type"] in ("datetime", "binary") or not column["count"]:
                continue
            columns[column["name"]] = ReferenceColumn(
                edges=tuple(column.get("edges", ())),
                counts=tuple(column.get("counts", ())),
                categories=dict(column.get("top", {})),
                other=column.get("other", 0),
                nulls=column["nulls"],
            )
        return cls(columns)


def reference_from_columns(columns: Mapping[str, Sequence[Any]], types: Mapping[str, ColumnType]) -> Reference:
    """Count columns of values; those of times, bytes, and without any value are left out.

    Args:
        columns: The values by column, None or NaN where missing.
        types: The logical type of each column.
    """
    found = {}
    for name, values in columns.items():
        column = None
        if types[name] in ("long", "double"):
            column = _numbers(values)
        elif types[name] in ("string", "boolean"):
            column = _categories(values)
        if column is not None:
            found[name] = column
    return Reference(found)


def category(value: Any) -> str:
    """Return the name under which a value is counted."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _numbers(values: Sequence[Any]) -> ReferenceColumn | None:
    numbers = np.asarray(values, dtype=np.float64)
    ordered = np.sort(numbers[~np.isnan(numbers)])
    if not ordered.size:
        return None
    distinct = np.unique(ordered)
    ranks = np.arange(1, BINS) * ordered.size // BINS
    edges = distinct if distinct.size <= BINS else np.unique(ordered[ranks])
    edges = edges[edges < ordered[-1]]
    below = np.searchsorted(ordered, edges, side="right")
    counts = np.diff(below, prepend=0, append=ordered.size)
    return ReferenceColumn(
        edges=tuple(edges.tolist()), counts=tuple(counts.tolist()), nulls=numbers.size - ordered.size
    )


def _categories(values: Sequence[Any]) -> ReferenceColumn | None:
    counted = Counter(category(value) for value in values if value is not None)
    if not counted:
        return None
    top = dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:TOP])
    return ReferenceColumn(
        categories=top, other=counted.total() - sum(top.values()), nulls=len(values) - counted.total()
    )
