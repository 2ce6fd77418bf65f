"""The loop turns in a process of its own, only when there may be something to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from interlock.loop.retraining import RetrainPolicy, retrain_params
from interlock.ports.deployment_store import Deployment
from interlock.ports.trigger_store import Trigger
from interlock.server.children import start_child, stop_child
from interlock.server.turning import PATROL, PAUSE, LoopTurner
from interlock.workspace import Workspace, open_workspace

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "w") as workspace:
        yield workspace


@pytest.fixture
def turner(workspace: Workspace) -> Iterator[LoopTurner]:
    turner = LoopTurner(workspace.uri, workspace.stores)
    yield turner
    turner.close()


def finish(turner: LoopTurner, now: datetime) -> int:
    """Wait for the running turn, and let the turner see that it ended."""
    child = turner._child
    assert child is not None
    code = child.wait(timeout=60)
    turner(now)
    return code


def test_nothing_is_started_where_nothing_is_watched(turner: LoopTurner) -> None:
    turner(NOW)
    assert turner._child is None


def test_it_turns_at_first_then_on_events_then_on_patrol(workspace: Workspace, turner: LoopTurner) -> None:
    params = retrain_params(RetrainPolicy(endpoint="delay", model="delay", recipe="no_such_module:train"))
    workspace.loop.triggers.apply(Trigger("nightly", "retrain", on="labels.frozen", params=params))
    turner(NOW)
    assert finish(turner, NOW) == 0
    later = NOW + PAUSE
    turner(later)
    assert turner._child is None, "nothing happened since"
    workspace.stores.journal.append("run.started", "run:x")
    turner(later)
    assert turner._child is None, "what happened does not concern the loop"
    workspace.stores.journal.append("labels.frozen", "labels:x@1")
    turner(NOW + timedelta(seconds=1))
    assert turner._child is None, "it pauses between turns"
    turner(later)
    assert finish(turner, later) == 0
    kinds = [event.kind for event in workspace.stores.journal.events(kinds=["trigger."])]
    assert kinds == ["trigger.applied", "trigger.fired", "trigger.failed"], "there is no such recipe"
    turner(later + PATROL)
    assert finish(turner, later) == 0


def test_an_endpoint_is_watched_too(workspace: Workspace, turner: LoopTurner) -> None:
    workspace.stores.deployments.route("delay", [Deployment("model:delay@1", "live", 1.0)])
    turner(NOW)
    assert turner._child is not None


def test_a_turn_that_dies_is_told_and_taken_up_again(
    workspace: Workspace, turner: LoopTurner, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.stores.deployments.route("delay", [Deployment("model:delay@1", "live", 1.0)])
    turner(NOW)
    assert turner._child is not None
    turner._child.send_signal(signal.SIGKILL)
    assert finish(turner, NOW) == -signal.SIGKILL
    assert "ended with -9" in caplog.text
    turner(NOW + PATROL)
    assert turner._child is not None


def test_a_child_ends_with_a_killed_parent() -> None:
    code = (
        "import sys, time; from interlock.server.children import start_child\n"
        "child = start_child('tests.unit.server.sleeper'); print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert child.wait(timeout=30) in (None, -signal.SIGTERM)


def test_a_child_that_does_not_end_is_ended() -> None:
    child = start_child("tests.unit.server.sleeper", "--deaf")
    assert child.stdin is not None
    time.sleep(1)
    stop_child(child, grace_s=0.1)
    assert child.returncode in (-signal.SIGKILL, -signal.SIGTERM)
    assert not psutil.pid_exists(child.pid)
    assert os.getpid() != child.pid
