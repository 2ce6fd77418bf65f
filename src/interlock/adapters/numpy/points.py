"""Put the points of metric series in order, find those that are there twice, and cut out stretches."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from interlock.ports.metric_columns import MetricColumns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Integers: TypeAlias = NDArray[np.int64]
    Mask: TypeAlias = NDArray[np.bool_]

Place = tuple[float, int]
"""Where a point stands in its series: step, then time."""


class Points(NamedTuple):
    """Points of one series as NumPy columns of one length; unlike arrays they are cut without copying."""

    values: Floats
    steps: Floats
    times: Integers

    @classmethod
    def of(cls, columns: MetricColumns) -> Points:
        """Return views of columns."""
        import numpy as np

        return cls(
            np.frombuffer(columns.values, np.float64),
            np.frombuffer(columns.steps, np.float64),
            np.frombuffer(columns.times, np.int64),
        )

    def columns(self) -> MetricColumns:
        """Return a copy as plain arrays."""
        found = MetricColumns(array("d"), array("d"), array("q"))
        for column, data in zip(found.each(), self, strict=True):
            column.frombytes(data.tobytes())
        return found

    def cut(self, start: int, stop: int) -> Points:
        """Return a view of some of them."""
        return Points(self.values[start:stop], self.steps[start:stop], self.times[start:stop])

    def only(self, which: Mask | Integers) -> Points:
        """Return those that a mask, or indices, name."""
        return Points(self.values[which], self.steps[which], self.times[which])

    def place(self, index: int) -> Place:
        """Return where one of them stands."""
        return float(self.steps[index]), int(self.times[index])


def joined(parts: Sequence[Points]) -> Points:
    """Return the points of all parts, one after the other."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    return Points(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def in_order(points: Points, *, strictly: bool = False) -> bool:
    """Say whether each place comes after, or strictly after, the one before."""
    later = points.steps[1:] > points.steps[:-1]
    if later.all():
        return True
    early, late = points.times[:-1], points.times[1:]
    tied = (points.steps[1:] == points.steps[:-1]) & ((late > early) if strictly else (late >= early))
    return bool((later | tied).all())


def ordered(points: Points) -> Points:
    """Return points by step, then time, then as they come."""
    import numpy as np

    if in_order(points):
        return points
    return points.only(np.lexsort((points.times, points.steps)))


def distinct(points: Points, known: Points | None = None) -> Points:
    """Return points without those that are among the known, or twice in themselves; the first one stays.

    Two points are the same if step, time and the bits of the value are.

    Cost: a sort, unless nothing is known and the points are in order.
    """
    import numpy as np

    if known is None and in_order(points, strictly=True):
        return points
    both = points if known is None else joined([known, points])
    bits = both.values.view(np.int64)
    order = np.lexsort((bits, both.times, both.steps))
    again = np.ones(len(order) - 1, np.bool_)
    for column in (both.steps, both.times, bits):
        in_turn = column[order]
        again &= in_turn[1:] == in_turn[:-1]
    if not again.any():
        return points
    new = np.ones(len(order), np.bool_)
    new[order[1:][again]] = False
    return points.only(new[len(order) - len(points.values) :])


def between(points: Points, low: Place, high: Place) -> Points:
    """Return a stretch of points in order that holds all from one place to another, both included.

    It holds few others: those at the first and the last step, unless there is one step only.
    """
    import numpy as np

    start = int(np.searchsorted(points.steps, low[0], "left"))
    stop = int(np.searchsorted(points.steps, high[0], "right"))
    if start < stop and points.steps[start] == points.steps[stop - 1]:
        times = points.times[start:stop]
        step = points.steps[start]
        if step == high[0]:
            stop = start + int(np.searchsorted(times, high[1], "right"))
        if step == low[0]:
            start += int(np.searchsorted(times, low[1], "left"))
    return points.cut(start, max(start, stop))


def ends(points: Points) -> tuple[int, int]:
    """Return the indices of the first and the last point by step, then time, then as they come."""
    import numpy as np

    steps, times = points.steps, points.times
    first = np.flatnonzero(steps == steps.min())
    last = np.flatnonzero(steps == steps.max())
    early, late = times[first], times[last]
    return int(first[early == early.min()][0]), int(last[late == late.max()][-1])
