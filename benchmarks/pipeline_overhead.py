"""What recording a pipeline costs: `python benchmarks/pipeline_overhead.py`.

The steps do next to nothing, so the time is Interlock's. Figures are CPU seconds of the whole process tree, user and
system, the median of several. `whole command` is a new process with a new workspace folder, imports and all; the rest
is measured inside a process, by what one call adds. Cold means nothing is known; cached means everything is. The floor
is the same work as plain calls, each with its output committed in a transaction of its own (SQLite, WAL).
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock.pipelines.graphs import Pipeline, pipeline
from interlock.pipelines.steps import step
from interlock.workspace import Workspace, open_workspace

REPEATS = 7
ALPHAS = [0.1, 0.3, 1.0, 3.0]
COMMAND = """
import sys
sys.path.insert(0, sys.argv[2])
from pipeline_overhead import seven
from interlock.workspace import open_workspace
with open_workspace(sys.argv[1]) as workspace:
    workspace.pipelines.run(seven, 100)
"""
IMPORTS = "import interlock.workspace, interlock.pipelines.runner, interlock.adapters.sql.stores"
AGAIN = """
import json, sys
sys.path.insert(0, sys.argv[2])
from pipeline_overhead import cpu_s, seven
from interlock.workspace import open_workspace
with open_workspace(sys.argv[1]) as workspace:
    pipelines = workspace.pipelines
    began = cpu_s()
    pipelines.run(seven, 100)
    print(json.dumps(cpu_s() - began))
"""


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


@step
def count_on(number: int) -> int:
    return number + 1


@pipeline
def seven(rows: int) -> float:
    table = prepare(load(rows))
    return select([train(table, alpha=alpha) for alpha in ALPHAS])


@pipeline
def chain(length: int) -> int:
    number = 0
    for _ in range(length):
        number = count_on(number)
    return number


@pipeline
def wide(count: int) -> float:
    return select([train([1], alpha=float(number)) for number in range(count)])


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def spent(work: Callable[[], object]) -> float:
    """Return what a call costs, in CPU seconds."""
    began = cpu_s()
    work()
    return cpu_s() - began


@contextmanager
def fresh() -> Iterator[Workspace]:
    with tempfile.TemporaryDirectory() as folder, open_workspace(Path(folder) / ".interlock") as workspace:
        workspace.pipelines.run(chain, 1)  # what is read or imported once is not what is measured
        yield workspace


def commands() -> tuple[float, float, float]:
    """Return what whole commands cost: importing alone, a cold run, and of a cached re-run the run itself."""
    idle, cold, again = [], [], []
    here = str(Path(__file__).parent)
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            arguments = [str(Path(folder) / ".interlock"), here]
            idle.append(spent(lambda: subprocess.run([sys.executable, "-c", IMPORTS], check=True)))
            whole = [sys.executable, "-c", COMMAND, *arguments]
            cold.append(spent(lambda whole=whole: subprocess.run(whole, check=True)))
            shown = subprocess.run([sys.executable, "-c", AGAIN, *arguments], check=True, capture_output=True)
            again.append(json.loads(shown.stdout))
    return statistics.median(idle), statistics.median(cold), statistics.median(again)


def cold_and_cached(body: Pipeline[[int], float], count: int, *, repeats: int) -> tuple[float, float]:
    """Return what a first run costs, and a second."""
    cold, cached = [], []
    for _ in range(repeats):
        with fresh() as workspace:
            run = workspace.pipelines.run
            cold.append(spent(lambda run=run: run(body, count)))
            cached.append(spent(lambda run=run: run(body, count)))
    return statistics.median(cold), statistics.median(cached)


def one_more() -> tuple[float, float]:
    """Return what one more step in a row costs, cold and cached: each waits for the one before."""
    short, long = (cold_and_cached(chain, length, repeats=3) for length in (10, 210))
    return (long[0] - short[0]) / 200, (long[1] - short[1]) / 200


def floor(steps: int) -> float:
    """Return the cost of plain calls with one committed insert each."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE calls (id INTEGER PRIMARY KEY, value REAL)")

        def work() -> None:
            for number in range(steps):
                value = train([1], alpha=float(number))
                connection.execute("INSERT INTO calls (value) VALUES (?)", (value,))

        took = spent(work)
        connection.close()
    return took


def main() -> None:
    idle, whole, again = commands()
    more, more_cached = one_more()
    wide_cold, wide_cached = cold_and_cached(wide, 999, repeats=3)
    _, huge_cached = cold_and_cached(wide, 9_999, repeats=1)
    rows = [
        ("7 steps, 4 side by side, cold, whole command", whole, 0.3, floor(7)),
        ("  of which python and imports", idle, None, None),
        ("7 steps, cached, after import", again, 0.020, None),
        ("one more step in a row, cold", more, 0.001, floor(1000) / 1000),
        ("one more step in a row, cached", more_cached, 0.001, None),
        ("1,000 steps side by side, cold", wide_cold, 1.5, floor(1000)),
        ("1,000 steps side by side, cached", wide_cached, None, None),
        ("10,000 steps side by side, cached", huge_cached, 1.0, None),
    ]
    print(f"CPU milliseconds (load {os.getloadavg()[0]:.1f})                        spent      bar    floor")
    for name, value, bar, least in rows:
        limits = "".join("         " if one is None else f" {1000 * one:8.2f}" for one in (bar, least))
        print(f"{name:48} {1000 * value:9.2f}{limits}")


if __name__ == "__main__":
    main()
