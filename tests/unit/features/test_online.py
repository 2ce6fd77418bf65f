from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput
from interlock.core.schema import Column
from interlock.features.online import key_of, newest_rows, values_at
from interlock.ports.feature_store import FeatureView, OnlineRow

NOW = datetime(2013, 1, 1, tzinfo=UTC)
VIEW = FeatureView("delays", ("carrier", "flight"), (Column("delay", "double"),), "known_at", ttl_s=3600.0)


def table(*rows: tuple[str | None, int | None, float | None, int | None]) -> pa.Table:
    """Rows of carrier, flight, delay, and minutes after NOW at which they were known."""
    carrier, flight, delay, minutes = zip(*rows, strict=True) if rows else ((), (), (), ())
    times = [None if one is None else NOW + timedelta(minutes=one) for one in minutes]
    return pa.table(
        {
            "delay": pa.array(delay, pa.float64()),
            "flight": pa.array(flight, pa.int64()),
            "known_at": pa.array(times, pa.timestamp("ms", "UTC")),
            "carrier": pa.array(carrier, pa.string()),
            "unused": pa.array([0] * len(rows)),
        }
    )


def newest(rows: pa.Table) -> dict[tuple[object, ...], tuple[object, datetime]]:
    return {row.key: (row.values["delay"], row.known_at) for row in newest_rows(VIEW, rows)}


def test_the_newest_row_of_each_key_wherever_it_stands() -> None:
    rows = table(("AA", 1, 5.0, 9), ("UA", 1, 7.0, 1), ("AA", 1, 6.0, 3), ("AA", 11, 8.0, 0))
    assert newest(rows) == {
        ("AA", 1): (5.0, NOW + timedelta(minutes=9)),
        ("UA", 1): (7.0, NOW + timedelta(minutes=1)),
        ("AA", 11): (8.0, NOW),
    }


def test_ties_go_to_the_last_row() -> None:
    assert newest(table(("AA", 1, 1.0, 5), ("AA", 1, 2.0, 5), ("AA", 1, 0.0, 4)))["AA", 1][0] == 2.0


def test_a_missing_value_is_kept_and_a_missing_key_or_time_is_not() -> None:
    rows = table(("AA", 1, None, 1), (None, 1, 1.0, 1), ("AA", None, 1.0, 1), ("AA", 1, 9.0, None))
    assert newest(rows) == {("AA", 1): (None, NOW + timedelta(minutes=1))}


def test_no_rows() -> None:
    assert newest_rows(VIEW, table()) == []


def test_keys_go_by_the_order_of_the_view() -> None:
    assert key_of(VIEW, {"flight": 1, "carrier": "AA", "more": 0}) == ("AA", 1)
    with pytest.raises(InvalidInput, match="lacks 'carrier'") as caught:
        key_of(VIEW, {"flight": 1, "carier": "AA"})
    assert caught.value.why == "did you mean 'carier'?"


@pytest.mark.parametrize(("after_s", "value"), [(-1, None), (0, 5.0), (3600, 5.0), (3600.000001, None)])
def test_a_value_is_fresh_from_its_time_to_its_time_to_live(after_s: float, value: float | None) -> None:
    row = OnlineRow(("AA", 1), NOW, {"delay": 5.0})
    assert values_at(VIEW, row, NOW + timedelta(seconds=after_s)) == {"delay": value}


def test_no_row_gives_nulls_and_no_limit_keeps_for_ever() -> None:
    assert values_at(VIEW, None, NOW) == {"delay": None}
    endless = FeatureView("d", ("carrier",), (Column("delay", "double"), Column("new", "long")), "known_at")
    row = OnlineRow(("AA",), NOW, {"delay": 5.0})
    assert values_at(endless, row, NOW + timedelta(days=999)) == {"delay": 5.0, "new": None}
