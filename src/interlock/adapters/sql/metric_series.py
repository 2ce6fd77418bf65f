"""Keep metric series as packed columns, and beside each an exact running summary."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Mapping
from itertools import count

import msgspec

from interlock.adapters.sql.database import Database, Readable, Transaction, encode
from interlock.ports.metric_columns import MetricColumns
from interlock.ports.run_store import MetricPoint, MetricSummary

SCHEMA = (
    "CREATE TABLE run_metrics (run TEXT NOT NULL, key TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (run, key))",
    "CREATE TABLE metric_chunks (seq AUTOSEQ, run TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX metric_chunks_series ON metric_chunks (run, key, seq)",
)

POINTS_PER_CHUNK = 100_000
_KEYS_PER_QUERY = 200
_KEYS_PER_COMPACTION = 100
_Body = tuple[bytes, bytes, bytes]
_decode_body = msgspec.msgpack.Decoder(_Body).decode


class SeriesState(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a series without reading its points; places are (step, time).

    Args:
        points: How many points there are.
        numbers: How many of them are not NaN.
        total: Floats whose exact sum is the sum of the numbers; the first is that sum, rounded.
        low: The smallest number, NaN if there is none.
        high: The largest number, NaN if there is none.
        first: Step, time and value of the first point.
        last: Step, time and value of the last point.
    """

    points: int
    numbers: int
    total: tuple[float, ...]
    low: float
    high: float
    first: tuple[float, int, float]
    last: tuple[float, int, float]

    def summary(self, key: str) -> MetricSummary:
        """Return what users see of it."""
        return MetricSummary(
            key=key,
            last=self.last[2],
            first=self.first[2],
            min=self.low,
            max=self.high,
            mean=self.total[0] / self.numbers if self.numbers else math.nan,
            count=self.points,
            last_step=self.last[0],
        )


decode_state = msgspec.msgpack.Decoder(SeriesState).decode


def append(tx: Transaction, run: str, series: Mapping[str, MetricColumns]) -> None:
    """Append columns to series of a run, and bring the summaries up to date."""
    before = _states(tx, run, list(series))
    states = [(run, key, encode(_extended(before.get(key), columns))) for key, columns in series.items()]
    tx.many(
        """INSERT INTO run_metrics (run, key, state) VALUES (?, ?, ?)
           ON CONFLICT (run, key) DO UPDATE SET state = excluded.state""",
        states,
    )
    _write_chunks(tx, run, series.items())


def history(source: Readable, run: str, key: str) -> list[MetricPoint]:
    """Return a series by step, then time, then order of arrival."""
    points = _read(source, run, key).points(key)
    return sorted(points, key=lambda point: (point.step, point.time))


def compact(database: Database, run: str) -> None:
    """Merge the chunks of each series of a run; what a reader sees stays the same.

    Some series at a time, each in a transaction of their own, so that no other writer waits for long.
    """
    rows = database.query(
        "SELECT key FROM metric_chunks WHERE run = ? GROUP BY key HAVING COUNT(*) > 1 ORDER BY key", (run,)
    )
    keys = [str(key) for (key,) in rows]
    for start in range(0, len(keys), _KEYS_PER_COMPACTION):
        with database.write() as tx:
            merged = [(key, _read(tx, run, key)) for key in keys[start : start + _KEYS_PER_COMPACTION]]
            tx.many("DELETE FROM metric_chunks WHERE run = ? AND key = ?", [(run, key) for key, _ in merged])
            _write_chunks(tx, run, merged)


def _states(tx: Transaction, run: str, keys: list[str]) -> dict[str, SeriesState]:
    if len(keys) > _KEYS_PER_QUERY:
        rows = tx.query("SELECT key, state FROM run_metrics WHERE run = ?", (run,))
    elif keys:
        marks = ", ".join("?" * len(keys))
        rows = tx.query(f"SELECT key, state FROM run_metrics WHERE run = ? AND key IN ({marks})", (run, *keys))
    else:
        rows = []
    return {key: decode_state(state) for key, state in rows}


def _extended(before: SeriesState | None, columns: MetricColumns) -> SeriesState:
    places = list(zip(columns.steps, columns.times, count()))
    first = min(places)
    last = max(places)
    numbers = [value for value in columns.values if value == value]
    head = (first[0], first[1], columns.values[first[2]])
    tail = (last[0], last[1], columns.values[last[2]])
    if before is None:
        return SeriesState(
            points=len(places),
            numbers=len(numbers),
            total=exact_sum(numbers),
            low=min(numbers, default=math.nan),
            high=max(numbers, default=math.nan),
            first=head,
            last=tail,
        )
    known = [before.low, before.high] if before.numbers else []
    return SeriesState(
        points=before.points + len(places),
        numbers=before.numbers + len(numbers),
        total=exact_sum([*before.total, *numbers]),
        low=min([*known, *numbers], default=math.nan),
        high=max([*known, *numbers], default=math.nan),
        first=head if head[:2] < before.first[:2] else before.first,
        last=tail if tail[:2] >= before.last[:2] else before.last,
    )


def exact_sum(numbers: list[float]) -> tuple[float, ...]:
    """Return the fewest floats, largest first, whose exact sum is that of the numbers.

    So a sum that is carried from batch to batch ends where one over all the numbers at once would: rounded once.
    Infinities, and a sum beyond the largest float, give the infinity or NaN that plain addition gives.

    Source: `math.fsum` rounds correctly, so what it leaves over is a float that can be summed in its turn
    (Shewchuk 1997, Adaptive Precision Floating-Point Arithmetic).

    Example:
        >>> exact_sum([1e16, 1.0, 1.0]), exact_sum([1e100, 1.0, -1e100])
        ((1.0000000000000002e+16,), (1.0,))
    """
    if not all(map(math.isfinite, numbers)):
        return (sum(number for number in numbers if not math.isfinite(number)),)
    try:
        parts = [math.fsum(numbers)]
        while rest := math.fsum([*numbers, *(-part for part in parts)]):
            parts.append(rest)
    except OverflowError:
        return (sum(numbers),)
    return tuple(parts)


def _write_chunks(tx: Transaction, run: str, series: Iterable[tuple[str, MetricColumns]]) -> None:
    tx.many(
        "INSERT INTO metric_chunks (run, key, body) VALUES (?, ?, ?)",
        [
            (run, key, _packed(columns, start))
            for key, columns in series
            for start in range(0, len(columns.values), POINTS_PER_CHUNK)
        ],
    )


def _packed(columns: MetricColumns, start: int) -> bytes:
    parts = [column[start : start + POINTS_PER_CHUNK] for column in columns]
    if sys.byteorder == "big":
        for part in parts:
            part.byteswap()
    return encode([part.tobytes() for part in parts])


def _read(source: Readable, run: str, key: str) -> MetricColumns:
    rows = source.query("SELECT body FROM metric_chunks WHERE run = ? AND key = ? ORDER BY seq", (run, key))
    columns = MetricColumns(array("d"), array("d"), array("q"))
    for (body,) in rows:
        values, steps, times = _decode_body(body)
        columns.values.frombytes(values)
        columns.steps.frombytes(steps)
        columns.times.frombytes(times)
    if sys.byteorder == "big":
        for column in columns:
            column.byteswap()
    return columns
