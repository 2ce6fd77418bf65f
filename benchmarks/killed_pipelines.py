"""What a `kill -9` does to a pipeline: `python benchmarks/killed_pipelines.py [KILLS]`.

A process runs a pipeline and is killed at a random moment, from before its first line to after its last. The next
process opens the same workspace and resumes. Counted is what went wrong: outputs that differ from those of a run that
nobody disturbed, runs and steps that still say `running`, and what `interlock verify` finds.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from interlock.core.errors import Conflict
from interlock.pipelines.targets import load_pipeline
from interlock.ports.run_store import RunFilter
from interlock.workspace import Workspace, open_workspace

FLOW = """
import time
from typing import NamedTuple
import numpy as np
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step


class Parts(NamedTuple):
    train: list[float]
    test: list[float]


@step
def load(rows: int) -> np.ndarray:
    return np.arange(rows, dtype=float)


@step
def split(table: np.ndarray) -> Parts:
    time.sleep(0.02)
    return Parts(table[::2].tolist(), table[1::2].tolist())


@step
def train(rows: list[float], *, alpha: float) -> dict[str, float]:
    time.sleep(0.01 if alpha % 3 else 0.0)
    return {"alpha": alpha, "score": sum(rows) * alpha}


@step(cache=False)
def publish(models: list[dict[str, float]]) -> str:
    return f"{len(models)} models"


@step
def select(models: list[dict[str, float]], note: str) -> dict[str, float]:
    return max(models, key=lambda model: model["score"])


@pipeline
def nightly(rows: int, count: int):
    parts = split(load(rows))
    models = [train(parts.train, alpha=float(number)) for number in range(count)]
    return select(models, publish(models))
"""
RUNS = """
import sys
sys.path.insert(0, sys.argv[2])
from flow import nightly
from interlock.workspace import open_workspace
print("ready", flush=True)
with open_workspace(sys.argv[1]) as workspace:
    workspace.pipelines.run(nightly, 40_000, 60)
"""


def outputs(workspace: Workspace, run_id: str) -> list[tuple[str, str]]:
    """Return the name and the hash of the output of every step of a run, in order."""
    return [(node.step, node.output) for node in workspace.pipelines.graph(run_id)]


def run_and_kill(folder: Path, after_s: float | None) -> float:
    """Run the pipeline in a process of its own and kill it after a while; return how long it lived, in seconds."""
    command = [sys.executable, "-c", RUNS, str(folder / ".interlock"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        if after_s is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after_s)
            process.kill()
        process.wait()
        return time.monotonic() - began


def check(folder: Path, expected: list[tuple[str, str]]) -> tuple[str, list[str]]:
    """Resume what a killed process left; return what was found, and what is wrong."""
    wrong = []
    with open_workspace(folder / ".interlock") as workspace:
        left = workspace.stores.runs.runs(where=RunFilter(kind="pipeline"))
        pipeline = load_pipeline("flow.py:nightly", folder=folder)
        if not left:
            found, run_id = "not begun", workspace.pipelines.run(pipeline, 40_000, 60).run.id
        else:
            try:
                found, run_id = "resumed", workspace.pipelines.resume(left[0].id).run.id
            except Conflict:
                found, run_id = "finished", left[0].id
        if outputs(workspace, run_id) != expected:
            wrong.append("other outputs")
        if workspace.stores.runs.count(where=RunFilter(status="running")):
            wrong.append("runs that still run")
        if any(node.status in ("running", "waiting") for run in left for node in workspace.pipelines.graph(run.id)):
            wrong.append("nodes that still run")
        for run in workspace.stores.runs.runs(where=RunFilter(kind="step", status="finished"), limit=1000):
            if not any(entry.path.startswith("output.") for entry in workspace.stores.runs.artifacts(run.id)):
                wrong.append("finished steps without output")
        wrong += [f"damage: {damage.problem}" for damage in workspace.verify()]
    return found, wrong


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    random.seed(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "flow.py").write_text(FLOW)
        longest_s = run_and_kill(folder, None)
        with open_workspace(folder / ".interlock") as workspace:
            expected = outputs(workspace, workspace.stores.runs.runs(where=RunFilter(kind="pipeline"))[0].id)
    seen: Counter[str] = Counter()
    trouble: Counter[str] = Counter()
    for _ in range(kills):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "flow.py").write_text(FLOW)
            sys.modules.pop("flow", None)
            sys.path[:] = [entry for entry in sys.path if Path(entry).name != Path(name).name]
            run_and_kill(folder, random.uniform(0, longest_s))
            found, wrong = check(folder, expected)
            sys.path[:] = [entry for entry in sys.path if entry != str(folder.resolve())]
            seen[found] += 1
            trouble.update(wrong)
    print(f"{kills} kills within {longest_s:.1f} s: " + ", ".join(f"{count} {what}" for what, count in seen.items()))
    print("what went wrong: " + (", ".join(f"{count} × {what}" for what, count in trouble.items()) or "nothing"))
    sys.exit(bool(trouble))


if __name__ == "__main__":
    main()
