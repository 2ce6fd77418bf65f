"""Thin out long series for charts, so that what an eye would see in the whole is seen in the few points left."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from interlock.adapters.numpy.points import Points
from interlock.core.errors import InvalidInput
from interlock.ports.metric_columns import MetricColumns
from interlock.ports.run_store import Sampling, Series

if TYPE_CHECKING:
    from interlock.adapters.numpy.points import Floats, Integers

FEWEST_POINTS = 8
"""Fewer could not hold the ends, the extremes and a value that is no number."""

_FAR_FROM_OVERFLOW = 1e290


def check_sampling(points: int, by: str) -> None:
    """Refuse what series cannot be thinned out to."""
    if not isinstance(points, int) or isinstance(points, bool) or points < FEWEST_POINTS:
        raise InvalidInput(
            f"a series cannot be thinned out to {points!r} points",
            why=f"expected a whole number from {FEWEST_POINTS} up",
            fix="points=2000",
        )
    if by not in ("minmax", "lttb"):
        raise InvalidInput(
            f"'{by}' is not a way to thin out a series", why="expected 'minmax' or 'lttb'", fix="by='minmax'"
        )


def sampled_columns(key: str, columns: MetricColumns, *, points: int, by: Sampling) -> Series:
    """Return columns that are in order, thinned out to so many points at most, as a packed series.

    Raises:
        InvalidInput: Fewer points than eight are asked for, or the way is unknown.
    """
    check_sampling(points, by)
    if len(columns.values) <= points:
        return columns.series(key)
    return sampled_points(Points.of(columns), points=points, by=by).columns().series(key)


def sampled_points(series: Points, *, points: int, by: Sampling) -> Points:
    """Return points that are in order, thinned out to so many at most; the first and the last stay."""
    if len(series.values) <= points:
        return series
    if by == "minmax":
        return series.only(minmax(series.values, points))
    return series.only(lttb(_axis(series), series.values, points))


def _axis(series: Points) -> Floats:
    """Return where points are drawn: over steps, or over time if they were logged without; from 0 on."""
    import numpy as np

    first, last = float(series.steps[0]), float(series.steps[-1])
    if first == last:
        return series.times.astype(np.float64) - float(series.times[0])
    if not first:
        return series.steps
    # halves, where the distance of two floats may be too large for one
    factor = 1.0 if max(-first, last) < _FAR_FROM_OVERFLOW else 0.5
    return np.asarray(series.steps * factor - first * factor)


def minmax(values: Floats, points: int) -> Integers:
    """Return the indices of the first, the last, and of every stretch the smallest and the largest value.

    Stretches are of as many points each. Of one that holds NaN, its first NaN is kept too. Infinities are values like
    any other, so the extremes of the whole are always among those returned.

    Shape: at most `points` indices, ascending; `values` has more.
    Cost: about 1 ns for each value, 3 ns where there is NaN.
    """
    import numpy as np

    missing = np.isnan(values[1:-1])
    gaps = bool(missing.any())
    stretches = (points - 2) // (3 if gaps else 2)
    inner = values[1:-1]
    size = -(-len(inner) // stretches)
    found: list[Integers] = [np.array([0, len(values) - 1])]
    whole = len(inner) // size * size
    for start, stop in ((0, whole), (whole, len(inner))):
        if start == stop:
            continue
        table = inner[start:stop].reshape(-1, min(size, stop - start))
        begins = np.arange(len(table)) * table.shape[1] + start + 1
        if not gaps:
            found += [begins + table.argmin(axis=1), begins + table.argmax(axis=1)]
            continue
        absent = missing[start:stop].reshape(table.shape)
        found += [
            begins + np.where(absent, np.inf, table).argmin(axis=1),
            begins + np.where(absent, -np.inf, table).argmax(axis=1),
            (begins + absent.argmax(axis=1))[absent.any(axis=1)],
        ]
    return _distinct(found)


def lttb(places: Floats, values: Floats, points: int) -> Integers:
    """Return the indices of the points that make the largest triangles with their neighbours in the result.

    Values that are not finite make no triangle: they are kept as far as they fit into a quarter of the points, evenly
    chosen where there are more.

    Source: Steinarsson 2013, Downsampling Time Series for Visual Representation, section 4.2 (largest triangle
    three buckets).
    Shape: at most `points` indices, ascending; `places` ascends, and is as long as `values`, which is longer.
    Cost: about 2 ns for each value and 3 µs for each point of the result.
    """
    import numpy as np

    finite = np.isfinite(values)
    if finite.all():
        return _largest_triangles(places, values, points)
    ends = np.array([0, len(values) - 1])
    odd, even = np.flatnonzero(~finite), np.flatnonzero(finite)
    odd = odd[_distinct([np.linspace(0, len(odd) - 1, min(len(odd), points // 4)).astype(np.int64)])]
    left = points - len(_distinct([odd, ends]))
    if len(even) > left:
        even = even[_largest_triangles(places[even], values[even], left)]
    return _distinct([ends, odd, even])


def _distinct(parts: list[Integers]) -> Integers:
    """Return all numbers of all parts once, ascending."""
    import numpy as np

    # np.unique would do, but takes 30 ms to import what it needs
    every = np.sort(np.concatenate(parts))
    return np.delete(every, np.flatnonzero(every[1:] == every[:-1]))


def _largest_triangles(places: Floats, values: Floats, points: int) -> Integers:
    import numpy as np

    # to stretch an axis changes every triangle by the same factor, and so no choice
    x, y = _stretched(places), _stretched(values)
    last = len(x) - 1
    edges = np.linspace(1, last, points - 1).astype(np.int64)
    sizes = np.diff(edges)
    mean_x = [*(np.add.reduceat(x[:last], edges[:-1]) / sizes).tolist(), float(x[last])]
    mean_y = [*(np.add.reduceat(y[:last], edges[:-1]) / sizes).tolist(), float(y[last])]
    chosen = [0]
    for bucket, (start, stop) in enumerate(pairwise(edges.tolist()), 1):
        before_x, before_y = float(x[chosen[-1]]), float(y[chosen[-1]])
        over_x, over_y = mean_x[bucket] - before_x, mean_y[bucket] - before_y
        # twice the area of the triangle of the point before, each of these, and the mean of the next bucket
        areas = y[start:stop] * over_x
        areas -= x[start:stop] * over_y
        areas -= before_y * over_x - before_x * over_y
        np.abs(areas, out=areas)
        chosen.append(start + int(areas.argmax()))
    return np.array([*chosen, last])


def _stretched(numbers: Floats) -> Floats:
    """Return numbers so stretched that no product of two is too large or too small; mostly they are as they are."""
    largest = max(float(numbers.max()), -float(numbers.min()))
    return numbers / largest if largest and not 1e-100 < largest < 1e100 else numbers
