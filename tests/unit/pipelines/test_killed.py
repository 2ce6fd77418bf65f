"""A process that is killed while it runs a pipeline leaves nothing half-recorded, and the next one goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interlock.ports.run_store import RunFilter
from interlock.workspace import Workspace, open_workspace

FLOW = """
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.steps import step


@step
def load(rows: int) -> list[int]:
    return list(range(rows))


@step
def train(table: list[int], *, alpha: float) -> float:
    return alpha * sum(table)


@step(cache=False)
def publish(scores: list[float]) -> str:
    return f"{len(scores)} scores"


@pipeline
def nightly(rows: int):
    table = load(rows)
    return publish([train(table, alpha=float(number)) for number in range(9)])
"""
DIES = """
import os, signal, sys
from interlock.adapters.localfs.artifact_store import LocalArtifactStore
from interlock.adapters.sql.step_cache import SqlStepCache
from interlock.pipelines import performing, recording
from interlock.workspace import open_workspace
from flow import nightly

where, left = sys.argv[2], [int(sys.argv[3])]
recording._MOST_ENDS = 2  # so that there are many moments


def dying(kind, name, before):
    def wrapped(*args, **kwargs):
        if not before:
            result = plain(*args, **kwargs)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*args, **kwargs) if before else result

    plain = getattr(kind, name)
    setattr(kind, name, wrapped)


if where == "in a step":
    dying(performing, "_attempt", True)
elif where == "before storing":
    dying(LocalArtifactStore, "put_many", True)
elif where == "after storing":
    dying(LocalArtifactStore, "put_many", False)
elif where == "after writing":
    dying(SqlStepCache, "advance", False)
else:
    from interlock.adapters.sql.database import Transaction
    dying(Transaction, "tell", False)  # the last statement of a group: nothing of it is committed yet
with open_workspace(sys.argv[1]) as workspace:
    workspace.pipelines.run(nightly, 5)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "flow.py").write_text(FLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("flow", None)


def outputs(workspace: Workspace, run_id: str) -> list[tuple[str, str]]:
    return [(node.step, node.output) for node in workspace.pipelines.graph(run_id)]


@pytest.mark.parametrize(
    ("where", "time"),
    [
        ("in a step", 4),
        ("before storing", 3),
        ("after storing", 3),
        ("in a transaction", 6),
        ("in a transaction", 9),
        ("after writing", 5),
    ],
)
def test_a_killed_pipeline_goes_on(folder: Path, where: str, time: int) -> None:
    uri = str(folder / ".interlock")
    died = subprocess.run([sys.executable, "-c", DIES, uri, where, str(time)], cwd=folder, check=False)
    assert died.returncode == -signal.SIGKILL
    with open_workspace(uri) as workspace, open_workspace("memory:") as undisturbed:
        [left] = workspace.stores.runs.runs(where=RunFilter(kind="pipeline"))
        assert left.status == "running"
        resumed = workspace.pipelines.resume(left.id)
        import flow  # type: ignore[import-not-found]

        expected = undisturbed.pipelines.run(flow.nightly, 5)
        assert outputs(workspace, resumed.run.id) == outputs(undisturbed, expected.run.id)
        assert workspace.stores.runs.get(left.id).status == "killed"
        assert workspace.stores.runs.count(where=RunFilter(status="running")) == 0
        for run in workspace.stores.runs.runs(where=RunFilter(kind="step", status="finished")):
            assert [entry.path for entry in workspace.stores.runs.artifacts(run.id)] == ["output.msgpack"]
        assert {node.status for node in workspace.pipelines.graph(left.id)} <= {
            "finished",
            "killed",
            "cancelled",
        }
        assert workspace.verify() == []
