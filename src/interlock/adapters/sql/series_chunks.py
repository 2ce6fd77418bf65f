"""Keep the points of metric series in compressed chunks, few of which are small.

In a chunk points are in order; a later chunk holds later arrivals. Whenever eight of the newest chunks are small ones
of a size they become one: so a point is written about four times in all, whether points come one by one or a hundred
thousand at once, and a series has at most 21 chunks of less than 16,384 points. Beside each chunk is where it begins
and ends, so that to see whether a point is there already few chunks are read, and mostly none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from interlock.adapters.numpy.points import Points, between, distinct, ends, joined, ordered
from interlock.adapters.sql.database import Transaction
from interlock.adapters.sql.series_codec import ROW_BYTES, ROWS, as_columns, as_rows, decoded
from interlock.adapters.sql.series_state import SeriesState

SCHEMA = (
    """CREATE TABLE metric_chunks (
        run TEXT NOT NULL, key TEXT NOT NULL, number INTEGER NOT NULL, from_step REAL NOT NULL,
        from_time INTEGER NOT NULL, to_step REAL NOT NULL, to_time INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (run, key, number))""",
)

POINTS_PER_CHUNK = 32_768
_FULL = POINTS_PER_CHUNK // 2
_ALIKE = 8
_SIZES = (_FULL // _ALIKE**2, _FULL // _ALIKE, _FULL)
"""Sizes up to the next of these are alike; a chunk of the last one or more is full."""
_MOST_SORTED = 2_000_000
_WORTH_COLUMNS = 8

_INTO = "metric_chunks (run, key, number, from_step, from_time, to_step, to_time, body)"
_OF_SERIES = "FROM metric_chunks WHERE run = ? AND key = ?"


def unknown(
    tx: Transaction, run: str, key: str, state: SeriesState | None, points: Points, tail: Points | None
) -> Points:
    """Return those points, each once, that a series does not hold yet."""
    if state is None:
        return distinct(points)
    first, last = ends(points)
    low, high = points.place(first), points.place(last)
    if low > state.last[:2] or high < state.first[:2]:
        return distinct(points)
    known = [] if tail is None else [tail]
    if state.reach is not None and low <= state.reach[1] and high >= state.reach[0]:
        rows = tx.query(
            f"""SELECT body {_OF_SERIES} AND (from_step, from_time) <= (?, ?) AND (to_step, to_time) >= (?, ?)
                ORDER BY number""",
            (run, key, *high, *low),
        )
        known += [between(decoded(body), low, high) for (body,) in rows]
    return distinct(points, joined(known) if known else None)


def write(tx: Transaction, run: str, key: str, state: SeriesState, points: Points) -> SeriesState:
    """Write a tail and what came after it, in order of arrival, as chunks; return the state after that."""
    return _rewrite(tx, run, key, state, points, taken=_taken(state.small, len(points.values)))


def is_loose(state: SeriesState) -> bool:
    """Say whether a series can be written as fewer bytes, or so that it is read quicker."""
    if not state.chunks:
        return state.tail[:1] == ROWS and len(state.tail) > _WORTH_COLUMNS * ROW_BYTES
    scattered = not state.ordered and state.points <= _MOST_SORTED
    return bool(state.tail) or len(state.small) > 1 or min(state.small, default=_FULL) < _SIZES[0] or scattered


def compacted(tx: Transaction, run: str, key: str, state: SeriesState) -> SeriesState:
    """Write a series as few bytes, and in order unless it is huge; return the state after that."""
    if not is_loose(state):
        return state
    tail = decoded(state.tail) if state.tail else None
    if not state.chunks:
        assert tail is not None
        body = as_columns(ordered(tail))
        return msgspec.structs.replace(state, tail=min(body, state.tail, key=len))
    scattered = not state.ordered and state.points <= _MOST_SORTED
    taken = state.chunks if scattered else len(state.small)
    return _rewrite(tx, run, key, state, tail, taken=taken, finally_=True)


def whole(bodies: Sequence[bytes]) -> Points:
    """Return the points of all bodies in order, where ties are as the bodies come.

    Cost: about 10 ns per point if the bodies follow each other, ten times that if they do not.
    """
    return ordered(decoded(*filter(None, bodies)))


def _rewrite(
    tx: Transaction,
    run: str,
    key: str,
    state: SeriesState,
    points: Points | None,
    *,
    taken: int,
    finally_: bool = False,
) -> SeriesState:
    """Write points together with those of the last few chunks, in the place of these."""
    number = state.chunks - taken
    parts = [] if points is None else [points]
    border = state.reach[1] if state.reach else None
    if taken:
        rows = tx.query(f"SELECT body {_OF_SERIES} AND number >= ? ORDER BY number", (run, key, number))
        tx.execute(f"DELETE {_OF_SERIES} AND number >= ?", (run, key, number))
        parts = [decoded(*(body for (body,) in rows)), *parts]
        border = min(parts[0].place(0), border) if border else None
    merged = ordered(joined(parts))
    count = len(merged.values)
    pieces = _pieces(merged)
    as_body = as_rows if count < _SIZES[0] and not finally_ else as_columns
    tx.insert(
        _INTO,
        [(run, key, number + at, *piece.place(0), *piece.place(-1), as_body(piece)) for at, piece in enumerate(pieces)],
    )
    begin, end = merged.place(0), merged.place(-1)
    small = state.small[: max(0, len(state.small) - taken)]
    return msgspec.structs.replace(
        state,
        chunks=number + len(pieces),
        small=small if count >= _FULL else (*small, count),
        reach=(min(begin, state.reach[0]), max(end, state.reach[1])) if state.reach else (begin, end),
        ordered=not number or (state.ordered and border is not None and begin >= border),
        tail=b"",
    )


def _pieces(points: Points) -> list[Points]:
    """Cut points into chunks of about the same size."""
    count = len(points.values)
    pieces = -(-count // POINTS_PER_CHUNK)
    edges = [count * at // pieces for at in range(pieces + 1)]
    return [points.cut(start, stop) for start, stop in pairwise(edges)]


def _taken(small: Sequence[int], count: int) -> int:
    """Return how many of the last small chunks become one with so many new points."""
    taken, total = 0, count
    while True:
        size = bisect_right(_SIZES, total)
        if size == len(_SIZES):
            return len(small)
        alike = taken
        while alike < len(small) and bisect_right(_SIZES, small[-1 - alike]) <= size:
            alike += 1
        if alike - taken + 1 < _ALIKE:
            return taken
        total += sum(small[len(small) - alike : len(small) - taken])
        taken = alike
