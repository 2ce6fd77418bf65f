from __future__ import annotations

from datetime import timedelta

from interlock.ports.run_store import Run, RunChange
from interlock.workspace import Workspace
from tests.unit.cli.conftest import NOW, Runner


def old_run(workspace: Workspace, run_id: str) -> None:
    began = NOW - timedelta(days=400)
    workspace.stores.runs.create(Run(run_id, "delay", "training", run_id, "running", began))
    workspace.stores.runs.end(run_id, status="failed", ended_at=began)


def test_a_dry_run_says_what_would_go(cli: Runner, workspace: Workspace) -> None:
    old_run(workspace, "r1")
    workspace.stores.artifacts.put(b"loose")
    done = cli("gc", "--dry-run", "--failed-days", "30", "--grace-hours", "0")
    assert done.code == 0, done.err
    assert "run:r1" in done.out and "5 B would be freed" in done.out
    assert [run.id for run in workspace.stores.runs.runs()] == ["r1"]


def test_what_nobody_needs_goes(cli: Runner, workspace: Workspace) -> None:
    old_run(workspace, "r1")
    workspace.stores.runs.update("r1", RunChange(deleted=True))
    loose = workspace.stores.artifacts.put(b"loose")
    done = cli("gc", "--deleted-days", "0", "--grace-hours", "0", "--json")
    assert done.data["freed_bytes"] == 5 and done.data["dry_run"] is False
    assert {one["cause"] for one in done.data["causes"]} == {
        "runs deleted long ago: forgotten",
        "contents that nothing refers to",
    }
    assert workspace.stores.artifacts.find(loose.digest) is None
    assert cli("gc").out == "0 B freed\n"


def test_contents_wait_for_their_grace(cli: Runner, workspace: Workspace) -> None:
    loose = workspace.stores.artifacts.put(b"loose")
    done = cli("gc", "--grace-hours", "2")
    assert "1 contents (5 B) wait for their grace of 2 h" in done.out
    assert workspace.stores.artifacts.get(loose.digest) == b"loose"


def test_a_negative_policy_is_refused(cli: Runner, workspace: Workspace) -> None:
    done = cli("gc", "--deleted-days", "-1")
    assert (done.code, done.out) == (2, "")
    assert "deleted_days=-1" in done.err
