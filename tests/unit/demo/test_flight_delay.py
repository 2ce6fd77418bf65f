"""The researcher's project is plain functions: call them, test them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from interlock.demo import flight_delay

START = datetime(2013, 1, 1, tzinfo=UTC)


def flights(delays: list[int | None]) -> pa.Table:
    departed = [None if delay is None else START + timedelta(minutes=60 * n + delay) for n, delay in enumerate(delays)]
    return pa.table(
        {
            "flight_id": [f"f{n}" for n in range(len(delays))],
            "origin": ["JFK"] * len(delays),
            "dep_delay": pa.array(delays, pa.int64()),
            "departed": pa.array(departed, pa.timestamp("us", tz="UTC")),
        }
    )


def test_recent_delays_average_what_was_known_by_then() -> None:
    table = flight_delay.recent_delays(
        flights([10, None, 30, 50]),
        keys=["origin"],
        column="dep_delay",
        known="departed",
        hours={"last_hour": 1.0, "last_three": 3.0},
    )
    assert table["known_at"].to_pylist() == [START + timedelta(minutes=minute) for minute in (10, 150, 230)], (
        "a cancelled flight tells nothing"
    )
    assert table["last_hour"].to_pylist() == [10.0, 30.0, 50.0]
    assert table["last_three"].to_pylist() == [10.0, 20.0, 40.0], "220 minutes later the first no longer counts"


def test_late_is_a_quarter_of_an_hour() -> None:
    minutes = pa.chunked_array([pa.array([14, 15, None, -3], pa.int64())])
    assert flight_delay.is_late(minutes).to_pylist() == [0, 1, None, 0]


def test_only_known_outcomes_are_labelled() -> None:
    table = pa.table({"arr_delay": pa.array([20, None, 0], pa.int64())})
    assert flight_delay.labelled(table)["truth"].to_pylist() == [1, 0]


def test_a_period_has_its_start_and_not_its_end() -> None:
    times = [START, START + timedelta(days=1), START + timedelta(days=2)]
    table = pa.table({"asked_at": pa.array(times, pa.timestamp("us", tz="UTC"))})
    end = (START + timedelta(days=2)).isoformat()
    assert flight_delay.period(table, start=START.isoformat(), end=end).num_rows == 2
