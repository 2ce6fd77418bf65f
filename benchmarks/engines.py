"""What each engine costs: `python benchmarks/engines.py [ENGINE …]`.

A start is the time until the first call is answered; a call does nothing, asked one at a time and a hundred at once;
the last column takes a table of 500 MB through four steps, and says how much memory the process that runs the pipeline
came to hold for it beyond what it held before. Each engine is measured in a program of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from interlock.adapters.local.workers import Nursery, place_here
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step
from interlock.ports.call_rules import pack_call
from interlock.ports.executor import Call
from interlock.workspace import open_workspace

ENGINES = ("inline", "pool:2", "dask", "ray")
CALLS = 100
TABLE_BYTES = 500_000_000
COLUMNS = 10


@step
def make(rows: int) -> pa.Table:
    return pa.table({f"c{number}": np.arange(rows) + number for number in range(COLUMNS)})


@step
def shift(table: pa.Table, by: int) -> pa.Table:
    return table.set_column(0, "c0", pa.array(table["c0"].to_numpy() + by))


@step
def total(table: pa.Table) -> int:
    return int(sum(column.to_numpy().sum() for column in table.columns))


@pipeline
def large(rows: int) -> int:
    return total(shift(shift(make(rows), 1), 2))


def nothing() -> None:
    pass


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(engine: str) -> None:
    """Print the row of one engine."""
    # where temporary files are memory, the table would count twice
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, open_workspace(Path(folder) / "w") as workspace:
        pipelines = workspace.pipelines
        made = []
        start_s = _timed(lambda: made.append(workspace.engine(engine)) or made[0].submit(nothing).result())
        executor = made[0]
        one_s = statistics.median(_timed(lambda: executor.submit(nothing).result()) for _ in range(CALLS))

        def many() -> None:
            for outcome in [executor.submit(nothing) for _ in range(CALLS)]:
                outcome.result()

        many_s = _timed(many) / CALLS
        before_mb, cpu_s = _peak_mb(), time.process_time()
        table_s = _timed(lambda: pipelines.on(engine).run(large, TABLE_BYTES // (8 * COLUMNS)))
        cpu_s = time.process_time() - cpu_s
        grown_mb = _peak_mb() - before_mb
    print(
        f"{engine:8} {start_s:10.2f} {1000 * one_s:12.2f} {1000 * many_s:12.2f}"
        f" {table_s:10.1f} {cpu_s:12.2f} {grown_mb:12.0f}",
        flush=True,
    )


def worker_start() -> None:
    """Print how long a warm worker takes from nothing to its first answer."""
    nursery = Nursery()
    payload, place = pack_call(Call(os.getpid)), place_here(None)

    def first_answer() -> None:
        worker = nursery.fork()
        worker.ask(place, payload)
        worker.forget()

    nursery.fork().forget()
    took_ms = 1000 * statistics.median(_timed(first_answer) for _ in range(20))
    print(f"a warm worker, from nothing to its first answer: {took_ms:.1f} ms")
    nursery.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="*", default=ENGINES)
    parser.add_argument("--row", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.row:
        measure(given.row)
        return
    worker_start()
    print("engine      start s  call, one ms  of many ms  500 MB: s  driver CPU s  driver + MB", flush=True)
    for engine in given.engines:
        subprocess.run([sys.executable, __file__, "--row", engine], check=True)


if __name__ == "__main__":
    main()
