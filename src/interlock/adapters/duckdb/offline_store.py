"""Join point-in-time by DuckDB's ASOF join."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from interlock.core.errors import SchemaMismatch
from interlock.ports.feature_store import FeatureView, JoinSource, OfflineStore, check_join, key_kind


class DuckDbOfflineStore(OfflineStore):
    """Point-in-time joins in which DuckDB sees keys, times and row numbers only.

    It says which source row belongs to which spine row; Arrow then takes the features by row number, so that
    they keep their exact types.

    Cost: sorts the distinct (key, time) pairs of each source once; memory for three integers per row.

    Example:
        >>> from datetime import UTC, datetime
        >>> from interlock.core.schema import Column
        >>> noon = pa.array([datetime(2013, 1, 1, 12, tzinfo=UTC)], pa.timestamp("us", tz="UTC"))
        >>> view = FeatureView("weather", ("origin",), (Column("temp", "double"),), known_at="measured_at")
        >>> weather = pa.table({"origin": ["JFK"], "measured_at": noon, "temp": [39.9]})
        >>> spine = pa.table({"origin": ["JFK", "LGA"], "at": pa.concat_arrays([noon, noon])})
        >>> DuckDbOfflineStore().join(spine, [JoinSource(view, weather)], time="at")["temp"].to_pylist()
        [39.9, None]
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self._config: dict[str, Any] = {} if threads is None else {"threads": threads}

    def join(self, spine: pa.Table, sources: Sequence[JoinSource], *, time: str) -> pa.Table:
        check_join(spine, sources, time=time)
        joined = spine
        # a database for each call costs 10 ms, and unlike one that is kept it cannot hang a forked child
        with duckdb.connect(config=self._config) as connection:
            for source in sources:
                found = _matches(connection, spine, source, time)
                for feature in source.view.features:
                    joined = joined.append_column(feature.name, source.table[feature.name].take(found))
        return joined


def _matches(connection: duckdb.DuckDBPyConnection, spine: pa.Table, source: JoinSource, time: str) -> pa.Array:
    """Return, for each spine row, the row number in the source table, or null."""
    view, table = source.view, source.table
    unit = "ns" if "ns" in (spine.schema.field(time).type.unit, table.schema.field(view.known_at).type.unit) else "us"
    here = {"instant": _instants(spine, time, unit)}
    there = {"instant": _instants(table, view.known_at, unit)}
    for number, key in enumerate(view.entity):
        here[f"key_{number}"], there[f"key_{number}"] = _keys(spine[key], table[key], key)
    connection.register("spine", _numbered(here))
    connection.register("source", _numbered(there))
    result = connection.execute(_statement(view, unit)).fetchnumpy()
    rows = np.full(spine.num_rows, -1, np.int64)
    rows[result["spine_row"]] = result["source_row"]
    return pa.array(rows, mask=rows < 0)


def _statement(view: FeatureView, unit: str) -> str:
    keys = [f"key_{number}" for number in range(len(view.entity))]
    columns = ", ".join([*keys, "instant"])
    present = " AND ".join(f"{column} IS NOT NULL" for column in [*keys, "instant"])
    equal = "".join(f"spine.{key} = known.{key} AND " for key in keys)
    age = "" if view.ttl_s is None else f"WHERE spine.instant::HUGEINT - known.instant <= {_ttl(view.ttl_s, unit)}"
    return f"""
        WITH known AS (SELECT {columns}, max(row) AS row FROM source WHERE {present} GROUP BY {columns})
        SELECT spine.row AS spine_row, known.row AS source_row
        FROM spine ASOF JOIN known ON {equal} spine.instant >= known.instant {age}"""


def _ttl(ttl_s: float, unit: str) -> int:
    micros = timedelta(seconds=ttl_s) // timedelta(microseconds=1)
    return micros * 1000 if unit == "ns" else micros


def _numbered(columns: dict[str, pa.ChunkedArray]) -> pa.Table:
    return pa.table({"row": np.arange(len(columns["instant"]), dtype=np.int64), **columns})


def _instants(table: pa.Table, column: str, unit: str) -> pa.ChunkedArray:
    times = table[column]
    try:
        return times.cast(pa.timestamp(unit, tz=times.type.tz)).cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise SchemaMismatch(
            f"the time column '{column}' cannot be compared in {unit}", why=str(error), fix="cast both times to us"
        ) from error


def _keys(here: pa.ChunkedArray, there: pa.ChunkedArray, name: str) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return a key column of both sides in one type; NaN becomes null, which matches nothing."""
    kind = key_kind(here.type)
    if kind == "string":
        return here.cast(pa.string()), there.cast(pa.string())
    if kind != "number":
        return here, there
    whole = pa.types.is_integer(here.type) and pa.types.is_integer(there.type)
    try:
        if whole:
            return here.cast(pa.int64()), there.cast(pa.int64())
        return _without_nan(here.cast(pa.float64())), _without_nan(there.cast(pa.float64()))
    except pa.ArrowInvalid as error:
        raise SchemaMismatch(
            f"the key '{name}' cannot be compared as {'int64' if whole else 'double'}",
            why=str(error),
            fix="cast it to the same type in the spine and in the table of the view",
        ) from error


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_nan(column), None, column)
