from __future__ import annotations

import random

import pyarrow as pa
import pytest

from interlock.adapters.duckdb.offline_store import DuckDbOfflineStore
from interlock.core.errors import SchemaMismatch
from interlock.ports.feature_store import JoinSource
from interlock.testing.offline_store import source, spine, view


def test_many_rows_over_many_threads_keep_the_order_of_the_spine() -> None:
    count = 250_000
    minutes = list(range(count))
    random.Random(1).shuffle(minutes)
    rows = pa.table({"origin": [n % 7 for n in minutes], "at": spine(minutes)["at"]})
    table = pa.table(
        {"origin": [n % 7 for n in range(count)], "known": source(range(count))["known"], "temp": range(count)}
    )
    result = DuckDbOfflineStore(threads=2).join(rows, [JoinSource(view(), table)], time="at")
    assert result["temp"].to_pylist() == minutes


def test_times_that_nanoseconds_cannot_hold_are_refused() -> None:
    table = source([1])
    nanos = table.set_column(1, "known", table["known"].cast(pa.timestamp("ns", tz="UTC")))
    far = pa.table({"origin": ["JFK"], "at": pa.array([2**60], pa.timestamp("us", tz="UTC"))})
    with pytest.raises(SchemaMismatch, match="'at' cannot be compared in ns"):
        DuckDbOfflineStore().join(far, [JoinSource(view(), nanos)], time="at")


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        (pa.array([2**63], pa.uint64()), pa.array([1]), "int64"),
        (pa.array([2**53 + 1]), pa.array([1.0]), "double"),
    ],
)
def test_keys_that_lose_digits_are_refused(here: pa.Array, there: pa.Array, kind: str) -> None:
    with pytest.raises(SchemaMismatch, match=f"'origin' cannot be compared as {kind}"):
        DuckDbOfflineStore().join(spine([1], origin=here), [JoinSource(view(), source([1], origin=there))], time="at")


def test_the_tables_stay_as_they_were() -> None:
    rows, table = spine([3, 1]), source([2, 0])
    before = rows.to_pylist(), table.to_pylist()
    DuckDbOfflineStore().join(rows, [JoinSource(view(), table)], time="at")
    assert (rows.to_pylist(), table.to_pylist()) == before
