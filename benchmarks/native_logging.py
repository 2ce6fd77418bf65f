"""What logging metrics costs: `python benchmarks/native_logging.py [POINTS]`.

The public API logs into a workspace in a local folder, until everything is in its store and the run has ended. Beside
it stands what a raw append of the same points costs: the same loop, which appends every value, step and time to packed
columns in memory and writes those to a file. Wall and CPU seconds are of this process with all its threads.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interlock.workspace import Workspace, open_workspace

POINTS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
KEYS = [f"metric_{number}" for number in range(10)]
REPEATS = 5


def together(run: Any) -> None:
    """Log ten metrics per call."""
    for step in range(POINTS // len(KEYS)):
        value = step * 0.001
        run.log_metrics(dict.fromkeys(KEYS, value), step)


def alone(run: Any) -> None:
    """Log one metric per call."""
    for step in range(POINTS):
        run.log_metric("loss", step * 0.001, step)


class Columns:
    """Packed columns for each key, written to a file at the end: the least that keeping the points takes."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[array[float], array[float], array[float]]] = {}

    def log_metric(self, key: str, value: float, step: float) -> None:
        columns = self._columns.get(key)
        if columns is None:
            columns = self._columns[key] = (array("d"), array("d"), array("d"))
        columns[0].append(value)
        columns[1].append(step)
        columns[2].append(time.time())

    def log_metrics(self, values: dict[str, float], step: float) -> None:
        now = time.time()
        for key, value in values.items():
            columns = self._columns.get(key)
            if columns is None:
                columns = self._columns[key] = (array("d"), array("d"), array("d"))
            columns[0].append(value)
            columns[1].append(step)
            columns[2].append(now)

    def write(self, path: Path) -> None:
        with path.open("wb") as file:
            for columns in self._columns.values():
                for column in columns:
                    column.tofile(file)
            os.fsync(file.fileno())


def measured(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def through_interlock(workspace: Workspace, loop: Callable[[Any], None]) -> tuple[float, float, float]:
    """Return the wall seconds of the training loop, and wall and CPU seconds until everything is stored."""
    loops = []

    def work() -> None:
        with workspace.experiments.run("speed", console=False, system_every_s=0) as run:
            loops.append(measured(lambda: loop(run))[0])

    wall, cpu = measured(work)
    return loops[0], wall, cpu


def raw(folder: Path, loop: Callable[[Any], None]) -> tuple[float, float]:
    def work() -> None:
        columns = Columns()
        loop(columns)
        columns.write(folder / "raw.bin")

    return measured(work)


def main() -> None:
    print(f"{POINTS:,} points; medians of {REPEATS}; seconds")
    print(f"{'':34}{'loop':>8}{'wall':>8}{'CPU':>8}{'points/s':>12}{'CPU ÷ raw':>11}")
    for title, loop in (("log_metrics, 10 keys per call", together), ("log_metric, 1 key per call", alone)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with open_workspace(folder / "workspace") as workspace:
                # warm: imports, the first connection, the look at the code
                with workspace.experiments.run("warm", console=False, system_every_s=0) as run:
                    run.log_metric("loss", 0.0)
                floors, figures = [], []
                for _ in range(REPEATS):
                    floors.append(raw(folder, loop))
                    figures.append(through_interlock(workspace, loop))
                assert all(
                    sum(one.count for one in run.metrics.values()) == POINTS
                    for run in workspace.stores.runs.runs(limit=REPEATS)
                )
        floor_wall, floor_cpu = (statistics.median(column) for column in zip(*floors, strict=True))
        loop_s, wall, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{title:34}{loop_s:8.3f}{wall:8.3f}{cpu:8.3f}{POINTS / wall:12,.0f}{cpu / floor_cpu:11.2f}")
        print(f"{'  raw append of the same':34}{'':8}{floor_wall:8.3f}{floor_cpu:8.3f}{POINTS / floor_wall:12,.0f}")


if __name__ == "__main__":
    main()
