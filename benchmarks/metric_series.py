"""What metric series cost to log, to keep and to draw: `python benchmarks/metric_series.py`.

Everything goes through the run store of a SQLite workspace. Beside each figure is its floor: the same bytes in one raw
insert of a transaction of its own, or read back from one and thinned out by the same function.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from interlock.adapters.numpy.points import Points
from interlock.adapters.numpy.sampling import sampled_points
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.stores import sql_stores
from interlock.ports.run_store import MetricPoint, Run, RunBatch, RunStore, Sampling, Series

BATCH = 100_000
LONG = 1_000_000
SINGLE = 20_000
DRAWN = 2_000
MICROS = 1_770_000_000_000_000
WAYS: tuple[Sampling, ...] = ("minmax", "lttb")
KINDS = ("float32 loss", "float64 loss", "random float64", "4 decimals", "no steps, by ms")


def points(count: int, kind: str = "float32 loss", *, start: int = 0) -> Points:
    """Return what a training logs every 5 to 50 ms."""
    noise = np.random.default_rng(start)
    steps = np.arange(start, start + count, dtype=np.float64)
    times = MICROS + start * 60_000 + np.cumsum(noise.integers(5_000, 50_000, count))
    values = 2 * np.exp(-steps / 30_000) + 0.1 + 0.05 * noise.standard_normal(count)
    if kind in ("float32 loss", "no steps, by ms"):
        values = values.astype(np.float32).astype(np.float64)
    if kind == "no steps, by ms":
        steps, times = np.zeros(count), times // 1000 * 1000
    if kind == "random float64":
        values = noise.random(count)
    if kind == "4 decimals":
        values = np.round(values, 4)
    return Points(values, steps, times)


def packed(columns: Points, *, key: str = "loss") -> RunBatch:
    return RunBatch(series=(Series(key, *(column.tobytes() for column in columns)),))


@contextmanager
def store() -> Iterator[tuple[RunStore, Database]]:
    """Open a fresh workspace with one run."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(SqliteDialect(Path(folder) / "interlock.db"))) as database,
    ):
        runs = sql_stores(database).runs
        runs.create(Run("r", "bench", "training", "bench", "running", datetime.now(UTC)))
        runs.log("r", packed(points(100), key="first"))
        yield runs, database


@contextmanager
def raw() -> Iterator[sqlite3.Connection]:
    """Open an empty SQLite file as Interlock opens one."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE blobs (id INTEGER PRIMARY KEY, body BLOB)")
        connection.execute(
            "CREATE TABLE points (id INTEGER PRIMARY KEY, key TEXT, value REAL, step REAL, time INTEGER)"
        )
        yield connection


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def best(works: Sequence[Callable[[], object]]) -> tuple[float, float]:
    """Return the least wall and CPU milliseconds of some runs of the same."""
    figures = [spent(work) for work in works]
    return min(wall for wall, _ in figures), min(cpu for _, cpu in figures)


def line(name: str, figures: tuple[float, float], *, per: int, bytes_per_point: float | None = None) -> None:
    wall, cpu = figures
    size = "" if bytes_per_point is None else f"{bytes_per_point:8.2f}"
    print(f"{name:52}{wall:10.3f}{cpu:10.3f}{wall / per * 1e6:12.0f}{cpu / per * 1e6:12.0f}{size}")


def batches() -> None:
    parts = [packed(points(BATCH, start=BATCH * number)) for number in range(10)]
    with store() as (runs, _):
        line("100,000 packed points in one batch", best([partial(runs.log, "r", batch) for batch in parts]), per=BATCH)
        line("the same batch sent again", best([partial(runs.log, "r", parts[-1])] * 5), per=BATCH)
    with raw() as connection:
        body = b"".join([parts[0].series[0].values, parts[0].series[0].steps, parts[0].series[0].times])
        insert = "INSERT INTO blobs (body) VALUES (?)"
        line("floor: the same bytes in one insert", best([lambda: connection.execute(insert, (body,))] * 10), per=BATCH)


def single_points() -> None:
    rows = list(zip(*(column.tolist() for column in points(SINGLE)), strict=True))
    with store() as (runs, _):
        alone = [RunBatch(metrics=(MetricPoint("loss", *row),)) for row in rows]
        line(f"{SINGLE:,} points, one by one", spent(lambda: [runs.log("r", batch) for batch in alone]), per=SINGLE)
        together = [RunBatch(metrics=tuple(MetricPoint(f"m{n}", *row) for n in range(50))) for row in rows[:400]]
        line(
            f"{SINGLE:,} points, one each of 50 series", spent(lambda: [runs.log("r", b) for b in together]), per=SINGLE
        )
    with raw() as connection:

        def insert() -> None:
            for row in rows:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO points (key, value, step, time) VALUES ('loss', ?, ?, ?)", row)
                connection.execute("COMMIT")

        line("floor: a row each, in a transaction of its own", spent(insert), per=SINGLE)


def at_rest() -> None:
    for kind in KINDS:
        with store() as (runs, database):
            before = file_bytes(database)
            logging = spent(partial(runs.log, "r", packed(points(BATCH, kind))))
            runs.end("r", status="finished", ended_at=datetime.now(UTC))
            line(f"{kind}, at once", logging, per=BATCH, bytes_per_point=(file_bytes(database) - before) / BATCH)
    rows = list(zip(*(column.tolist() for column in points(SINGLE)), strict=True))
    with store() as (runs, database):
        before = file_bytes(database)
        for row in rows:
            runs.log("r", RunBatch(metrics=(MetricPoint("loss", *row),)))
        ending = spent(lambda: runs.end("r", status="finished", ended_at=datetime.now(UTC)))
        size = (file_bytes(database) - before) / SINGLE
        line("float32 loss, one by one: the end of the run", ending, per=SINGLE, bytes_per_point=size)


def file_bytes(database: Database) -> int:
    """Return the size of the file, without pages that are free."""
    [(pages,)] = database.query("SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count")
    [(size,)] = database.query("SELECT page_size FROM pragma_page_size")
    return int(pages) * int(size)


def drawing() -> None:
    series = points(LONG)
    with store() as (runs, _):
        runs.log("r", packed(series))
        for by in WAYS:
            first = spent(partial(runs.sampled, "r", "loss", points=DRAWN, by=by))
            line(f"1,000,000 points drawn as 2,000, {by}: first", first, per=LONG)
            again = best([partial(runs.sampled, "r", "loss", points=DRAWN, by=by)] * 5)
            line(f"1,000,000 points drawn as 2,000, {by}: again", again, per=LONG)
    with raw() as connection:
        connection.execute("INSERT INTO blobs (body) VALUES (?)", (b"".join(column.tobytes() for column in series),))

        def read(by: Sampling) -> None:
            [(body,)] = connection.execute("SELECT body FROM blobs").fetchall()
            values, steps, times = (body[8 * LONG * at : 8 * LONG * (at + 1)] for at in range(3))
            found = Points(np.frombuffer(values), np.frombuffer(steps), np.frombuffer(times, np.int64))
            sampled_points(found, points=DRAWN, by=by)

        for by in WAYS:
            line(f"floor: the same from one raw blob, {by}", best([partial(read, by)] * 5), per=LONG)


def main() -> None:
    print(f"{'':52}{'wall ms':>10}{'CPU ms':>10}{'wall ns/pt':>12}{'CPU ns/pt':>12}{'B/pt':>8}")
    batches()
    single_points()
    at_rest()
    drawing()


if __name__ == "__main__":
    main()
