"""Describe a table column by column, in a form small enough to keep with every snapshot and to merge."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from interlock.core.errors import InvalidInput, did_you_mean
from interlock.core.schema import ColumnType
from interlock.data.frames import column_type

BINS = 20
TOP = 50


class ColumnProfile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one column holds. Numbers have moments and a histogram, strings and booleans their most frequent values.

    Times count as numbers: microseconds since 1970 UTC. Moments, `min` and `max` are those of finite values.

    Args:
        name: The column.
        type: Its logical type.
        count: Rows that have a value.
        nulls: Rows that have none.
        distinct: Different values; None after a merge that cannot tell.
        min: The smallest value.
        max: The largest value.
        mean: The mean.
        std: The standard deviation, with `count - 1` below.
        edges: The inner edges of the histogram; bin `i` holds `edges[i-1] < value <= edges[i]`, the end bins are open.
        counts: Rows per bin, one more than `edges`.
        top: The most frequent values with their counts, most frequent first.
        other: Rows with a value that is not in `top`.
        infinite: Rows with an infinite value; the histogram counts them, the moments do not.
    """

    name: str
    type: ColumnType
    count: int
    nulls: int
    distinct: int | None = None
    min: float | str | None = None
    max: float | str | None = None
    mean: float | None = None
    std: float | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    top: dict[str, int] = {}
    other: int = 0
    infinite: int = 0


class Profile(msgspec.Struct, frozen=True):
    """What a table holds.

    Example:
        >>> profile = profile_table(pa.table({"x": [1, 2, None]}))
        >>> profile.column("x").mean, profile.column("x").nulls
        (1.5, 1)
    """

    rows: int
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile:
        """Return the profile of one column."""
        for column in self.columns:
            if column.name == name:
                return column
        raise InvalidInput(
            f"the profile has no column '{name}'", why=did_you_mean(name, [column.name for column in self.columns])
        )


def profile_table(table: pa.Table, *, like: Profile | None = None) -> Profile:
    """Describe a table as `to_arrow` gives it.

    Args:
        table: The table.
        like: A profile of an earlier table of the same schema, whose histogram edges are taken over so that the
            two can be merged or compared.

    Cost: one sort per column of numbers, one hash table per column of strings.
    """
    edges = {column.name: column.edges for column in like.columns if column.counts} if like else {}
    return Profile(
        table.num_rows, tuple(_profile(name, table.column(name), edges.get(name)) for name in table.column_names)
    )


def merge(a: Profile, b: Profile) -> Profile:
    """Return the profile of two tables put together, from theirs; `b` must be made `like=a`.

    Exact but for `distinct` (None where it cannot be told) and for `top` beyond the values that both list.
    Source: Chan, Golub, LeVeque (1979), Updating formulae and a pairwise algorithm for computing sample variances.

    Raises:
        InvalidInput: The columns, or the edges of a histogram, differ.
    """
    if [(c.name, c.type) for c in a.columns] != [(c.name, c.type) for c in b.columns]:
        raise InvalidInput("the profiles are of different columns", why="only profiles of one schema can be merged")
    return Profile(a.rows + b.rows, tuple(_merged(x, y) for x, y in zip(a.columns, b.columns, strict=True)))


def encode_profile(profile: Profile) -> bytes:
    """Write a profile as msgpack, in which it is stored."""
    return msgspec.msgpack.encode(profile)


def decode_profile(data: bytes) -> Profile:
    """Read a stored profile."""
    return msgspec.msgpack.decode(data, type=Profile)


def _profile(name: str, column: pa.ChunkedArray, edges: tuple[float, ...] | None) -> ColumnProfile:
    logical = column_type(name, column.type)
    known: dict[str, Any] = {
        "name": name,
        "type": logical,
        "count": len(column) - column.null_count,
        "nulls": column.null_count,
    }
    if known["count"] == 0:
        return ColumnProfile(**known, distinct=0)
    if logical in ("long", "double", "datetime"):
        return ColumnProfile(**known, **_of_numbers(column, edges))
    if logical == "binary":
        return ColumnProfile(**known, distinct=pc.count_distinct(column).as_py())
    return ColumnProfile(**known, **_of_values(column.cast(pa.string()) if logical == "boolean" else column))


def _of_numbers(column: pa.ChunkedArray, edges: tuple[float, ...] | None) -> dict[str, Any]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values = np.sort(column.drop_null().to_numpy())
    finite = values[np.isfinite(values)]
    found: dict[str, Any] = {"distinct": 1 + int(np.count_nonzero(values[1:] != values[:-1]))}
    if finite.size:
        found |= {
            "min": float(finite[0]),
            "max": float(finite[-1]),
            "mean": float(finite.mean()),
            "std": float(finite.std(ddof=1)) if finite.size > 1 else 0.0,
        }
    if finite.size < values.size:
        found["infinite"] = values.size - finite.size
    inner = np.asarray(edges) if edges is not None else _edges(finite)
    below = np.searchsorted(values, inner, side="right")
    found["edges"] = tuple(float(edge) for edge in inner)
    found["counts"] = tuple(int(count) for count in np.diff(below, prepend=0, append=values.size))
    return found


def _edges(ordered: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return inner edges that part sorted values into about equal bins; each is one of the values, none the last."""
    if not ordered.size:
        return ordered
    ranks = np.arange(1, BINS) * ordered.size // BINS
    values = np.unique(ordered)
    chosen: np.ndarray[Any, Any] = values if values.size <= BINS else np.unique(ordered[ranks])
    inner: np.ndarray[Any, Any] = chosen[chosen < ordered[-1]]
    return inner


def _of_values(column: pa.ChunkedArray) -> dict[str, Any]:
    counted = pc.value_counts(column.drop_null())
    values, counts = counted.field("values"), counted.field("counts").to_numpy()
    found: dict[str, Any] = {"distinct": len(counts)}
    ends = pc.min_max(values).as_py()
    found |= {"min": ends["min"], "max": ends["max"]}
    largest = np.argsort(-counts, kind="stable")[:TOP]
    pairs = zip(values.take(pa.array(largest)).to_pylist(), counts[largest].tolist(), strict=True)
    found["top"] = _ranked(dict(pairs))
    found["other"] = int(counts.sum()) - sum(found["top"].values())
    return found


def _ranked(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TOP])


def _merged(a: ColumnProfile, b: ColumnProfile) -> ColumnProfile:
    if a.count == 0 or b.count == 0:
        full = b if a.count == 0 else a
        return msgspec.structs.replace(full, nulls=a.nulls + b.nulls)
    if a.edges != b.edges:
        raise InvalidInput(
            f"the histograms of '{a.name}' have different edges",
            why="profiles can be merged when one was made like the other",
            fix="profile_table(table, like=first)",
        )
    count = a.count + b.count
    known: dict[str, Any] = {"name": a.name, "type": a.type, "count": count, "nulls": a.nulls + b.nulls}
    lows: list[Any] = [x.min for x in (a, b) if x.min is not None]
    highs: list[Any] = [x.max for x in (a, b) if x.max is not None]
    if lows and highs:
        known |= {"min": min(lows), "max": max(highs)}
    if a.counts:
        known |= {"edges": a.edges, "counts": tuple(x + y for x, y in zip(a.counts, b.counts, strict=True))}
        return ColumnProfile(**known, **_moments(a, b), infinite=a.infinite + b.infinite)
    if a.top:
        both = Counter(a.top) + Counter(b.top)
        known["top"] = _ranked(dict(both))
        known["other"] = count - sum(known["top"].values())
        if a.other == 0 and b.other == 0:
            known["distinct"] = len(both)
    return ColumnProfile(**known)


def _moments(a: ColumnProfile, b: ColumnProfile) -> dict[str, Any]:
    count, mean, squares = 0, 0.0, 0.0
    for one in (a, b):
        if one.mean is not None and one.std is not None:
            more, gap = one.count - one.infinite, one.mean - mean
            squares += one.std**2 * (more - 1) + gap**2 * count * more / (count + more)
            mean += gap * more / (count + more)
            count += more
    return {"mean": mean, "std": (squares / (count - 1)) ** 0.5 if count > 1 else 0.0} if count else {}
