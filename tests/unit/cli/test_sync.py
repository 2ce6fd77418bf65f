from __future__ import annotations

from datetime import UTC, datetime

from interlock.core.ids import new_id
from interlock.ports.run_store import Run, RunBatch
from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_nothing_to_bring_is_said(cli: Runner, seeded: Workspace) -> None:
    done = cli("sync")
    assert done.code == 0
    assert "0 records of 0 runs" in done.out
    assert cli("sync", "--json").data["because"] == ""


def test_what_was_refused_is_counted_and_where_it_lies_is_said(cli: Runner, seeded: Workspace) -> None:
    spool = seeded.run_spool
    assert spool is not None
    run = Run(new_id(), "e", "training", "", "running", NOW, params={"p": 1})
    spool.begin(run)
    spool.log(run.id, RunBatch(params={"p": 2}))
    spool.end(run.id, status="finished", ended_at=NOW)
    assert spool.settle(patience_s=20) == ""
    done = cli("sync")
    assert done.code == 0
    assert "1 records, kept in" in done.out
    assert cli("sync", "--json").data["state"]["refused"] == 1
