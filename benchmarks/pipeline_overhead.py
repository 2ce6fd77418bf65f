"""What recording a pipeline costs per step: `python benchmarks/pipeline_overhead.py`.

The steps do next to nothing, so the time is Interlock's. Cold means nothing is known; cached means everything is.
The floor is the same calls as plain Python, each with one insert of its own into SQLite.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from interlock.adapters.local.executors import InlineExecutor
from interlock.adapters.localfs.artifact_store import LocalArtifactStore
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.stores import sql_stores
from interlock.pipelines.graphs import Pipeline, pipeline
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step

REPEATS = 7
ALPHAS = [0.1, 0.3, 1.0, 3.0]


@step
def load(rows: int) -> list[int]:
    return list(range(rows))


@step
def prepare(table: list[int]) -> list[int]:
    return [2 * value for value in table]


@step
def train(table: list[int], *, alpha: float) -> float:
    return alpha * sum(table)


@step
def select(scores: list[float]) -> float:
    return max(scores)


@pipeline
def seven(rows: int) -> float:
    table = prepare(load(rows))
    return select([train(table, alpha=alpha) for alpha in ALPHAS])


@pipeline
def wide(count: int) -> float:
    return select([train([1], alpha=float(number)) for number in range(count)])


def open_pipelines(folder: Path) -> tuple[Pipelines, Database]:
    database = Database(SqliteDialect(folder / "interlock.db"))
    stores = sql_stores(database, artifacts=LocalArtifactStore(folder / "artifacts"))
    made = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, InlineExecutor(), b"secret")
    return made, database


def measure(body: Pipeline[[int], float], count: int, steps: int) -> tuple[float, float]:
    """Return CPU milliseconds per step, cold and cached: the median of fresh workspaces."""
    cold, cached = [], []
    for _ in range(REPEATS if steps < 100 else 2):
        with tempfile.TemporaryDirectory() as folder:
            pipelines, database = open_pipelines(Path(folder))
            cold.append(_cpu_ms(lambda run=pipelines.run: run(body, count)) / steps)
            cached.append(min(_cpu_ms(lambda run=pipelines.run: run(body, count)) for _ in range(3)) / steps)
            database.close()
    return statistics.median(cold), statistics.median(cached)


def floor(steps: int) -> float:
    """Return CPU milliseconds per plain call with one committed insert."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, value REAL)")

        def work() -> None:
            for number in range(steps):
                value = train([1], alpha=float(number))
                connection.execute("INSERT INTO calls (value) VALUES (?)", (value,))

        spent = _cpu_ms(work) / steps
        connection.close()
    return spent


def _cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def main() -> None:
    seven(3)
    cold_7, cached_7 = measure(seven, 100, 7)
    cold_1000, cached_1000 = measure(wide, 999, 1000)
    print("CPU ms per step (SQLite, local files, inline)      cold   cached")
    print(f"7 steps, 4 side by side                        {cold_7:8.3f} {cached_7:8.3f}")
    print(f"1,000 steps, 999 side by side                  {cold_1000:8.3f} {cached_1000:8.3f}")
    print(f"floor: a plain call and one SQLite insert      {floor(1000):8.3f}        –")
    print(f"whole run of 7 steps                           {7 * cold_7:8.1f} {7 * cached_7:8.1f}")


if __name__ == "__main__":
    main()
