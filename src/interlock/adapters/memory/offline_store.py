"""Join point-in-time by looking at every row: slow, plain, and what faster joins are compared with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa

from interlock.ports.feature_store import JoinSource, OfflineStore, check_join

_NANOS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


class MemoryOfflineStore(OfflineStore):
    """The brute-force join.

    Cost: spine rows x source rows per key.
    """

    def join(self, spine: pa.Table, sources: Sequence[JoinSource], *, time: str) -> pa.Table:
        check_join(spine, sources, time=time)
        joined = spine
        for source in sources:
            found = pa.array(_matches(spine, source, time), pa.int64())
            for feature in source.view.features:
                joined = joined.append_column(feature.name, source.table[feature.name].take(found))
        return joined


def _matches(spine: pa.Table, source: JoinSource, time: str) -> list[int | None]:
    view = source.view
    ttl = None if view.ttl_s is None else timedelta(seconds=view.ttl_s) // timedelta(microseconds=1) * 1000
    rows: defaultdict[tuple[Any, ...], list[tuple[int, int]]] = defaultdict(list)
    for row, (key, known_at) in enumerate(_keys_and_times(source.table, view.entity, view.known_at)):
        if known_at is not None:
            rows[key].append((known_at, row))
    found: list[int | None] = []
    for key, moment in _keys_and_times(spine, view.entity, time):
        known: list[tuple[int, int]] = []
        if moment is not None and _matchable(key):
            oldest = -math.inf if ttl is None else moment - ttl
            known = [(known_at, row) for known_at, row in rows[key] if oldest <= known_at <= moment]
        found.append(max(known)[1] if known else None)
    return found


def _matchable(key: tuple[Any, ...]) -> bool:
    return all(part is not None and part == part for part in key)


def _keys_and_times(table: pa.Table, entity: Sequence[str], time: str) -> list[tuple[tuple[Any, ...], int | None]]:
    unit = _NANOS[table.schema.field(time).type.unit]
    times = [None if value is None else value * unit for value in table[time].cast(pa.int64()).to_pylist()]
    columns = [table[name].to_pylist() for name in entity]
    keys = list(zip(*columns, strict=True)) if columns else [()] * len(times)
    return list(zip(keys, times, strict=True))
