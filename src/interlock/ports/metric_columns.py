"""Turn logged metric points into columns, one set for each key."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from interlock.core.errors import InvalidInput
from interlock.ports.checks import check_key
from interlock.ports.run_store import MetricPoint, Series

_ITEM_BYTES = 8
_NEGATIVE_ZERO = 0x80
"""Top byte of -0.0, and of no other number but those next to it."""
_BEYOND = (0x7F, 0xFF)
"""Top bytes of NaN and the infinities, and of no number below 1e300."""


class MetricColumns(NamedTuple):
    """The points of one series, in the order that its maker says."""

    values: array[float]
    steps: array[float]
    times: array[int]

    @classmethod
    def of(cls, points: Sequence[MetricPoint]) -> MetricColumns:
        """Return points of one series as columns, in the order given."""
        return cls(
            array("d", [point.value for point in points]),
            array("d", [point.step for point in points]),
            array("q", [point.time for point in points]),
        )

    @classmethod
    def packed(cls, series: Series) -> MetricColumns:
        """Return packed columns as arrays.

        Raises:
            ValueError: The columns differ in length, or are not whole numbers of 8 bytes.
            TypeError: One is not bytes.
        """
        parts = (series.values, series.steps, series.times)
        sizes = [len(part) for part in parts]
        if len(set(sizes)) != 1:
            raise ValueError(f"values, steps and times have {sizes[0]}, {sizes[1]} and {sizes[2]} bytes")
        columns = cls(array("d"), array("d"), array("q"))
        for column, data in zip(columns.each(), parts, strict=True):
            column.frombytes(data)
            if sys.byteorder == "big":
                column.byteswap()
        return columns

    def points(self, key: str) -> list[MetricPoint]:
        """Return the points, in the order of the columns."""
        return [MetricPoint(key, *row) for row in zip(self.values, self.steps, self.times, strict=True)]

    def series(self, key: str) -> Series:
        """Return the columns packed, little-endian."""
        copies = [column[:] for column in self.each()] if sys.byteorder == "big" else self.each()
        if sys.byteorder == "big":
            for column in copies:
                column.byteswap()
        return Series(key, *(column.tobytes() for column in copies))

    def each(self) -> list[array[Any]]:
        """Return values, steps and times."""
        return [self.values, self.steps, self.times]


def by_key(points: Iterable[MetricPoint], series: Iterable[Series] = ()) -> dict[str, MetricColumns]:
    """Group points by key, as columns of 64-bit numbers: first those that come as points, then those packed.

    A NaN becomes the one quiet NaN and step -0.0 becomes 0.0, so that equal points have equal bytes. A packed series
    without points is left out.

    Cost: about 0.5 µs for a point, 0.01 µs for a packed one.

    Raises:
        InvalidInput: A key is no text, a value or step is no number, a step is not finite, a time is no whole
            number of microseconds, or packed columns do not fit together.
    """
    groups: dict[str, list[MetricPoint]] = {}
    for point in points:
        groups.setdefault(point.key, []).append(point)
    found = {check_key(key, of="key of a metric"): _columns(key, group) for key, group in groups.items()}
    for one in series:
        columns = _packed(one)
        if one.key in found:
            for column, more in zip(found[one.key].each(), columns.each(), strict=True):
                column.extend(more)
        elif columns.values:
            found[one.key] = columns
    return {key: _settled(key, columns) for key, columns in found.items()}


def _columns(key: str, points: list[MetricPoint]) -> MetricColumns:
    try:
        return MetricColumns.of(points)
    except (TypeError, OverflowError) as error:
        raise InvalidInput(
            f"a point of metric '{key}' cannot be kept",
            why=f"{error}; value and step are numbers, time is whole microseconds since 1970",
            fix="MetricPoint(key, 0.5, step=3, time=to_micros(clock.now()))",
        ) from error


def _packed(series: Series) -> MetricColumns:
    key = check_key(series.key, of="key of a metric")
    try:
        return MetricColumns.packed(series)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"the columns of metric '{key}' cannot be kept",
            why=f"{error}; expected as many 8-byte numbers in each, little-endian",
            fix="Series(key, values.tobytes(), steps.tobytes(), times.tobytes()) with dtypes <f8, <f8 and <i8",
        ) from error


def _settled(key: str, columns: MetricColumns) -> MetricColumns:
    """Refuse steps without a place, and give NaN and zero one form each."""
    values, steps, times = columns
    if len(values) == 1 and values[0] == values[0] and steps[0] and math.isfinite(steps[0]):
        return columns  # one point by itself, in which there is nothing to look for
    # the top bytes tell at once that there is nothing to look for, which is nearly always so
    top = _top_bytes(steps)
    if any(byte in top for byte in _BEYOND) and not all(map(math.isfinite, steps)):
        raise InvalidInput(f"a point of metric '{key}' has no place", why="its step is NaN or infinite")
    if _NEGATIVE_ZERO in top:
        steps = array("d", [step + 0.0 for step in steps])
    top = _top_bytes(values)
    if any(byte in top for byte in _BEYOND):
        values = array("d", [value if value == value else math.nan for value in values])
    return MetricColumns(values, steps, times)


def _top_bytes(column: array[float]) -> bytes:
    """Return the byte of each float that holds its sign and the most of its exponent."""
    return column.tobytes()[0 if sys.byteorder == "big" else _ITEM_BYTES - 1 :: _ITEM_BYTES]
