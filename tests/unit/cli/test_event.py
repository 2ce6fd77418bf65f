from __future__ import annotations

from itertools import islice

from interlock.cli import event
from interlock.cli.output import Stream
from interlock.cli.session import Session
from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner


def test_tail_goes_on_with_what_happens_next(workspace: Workspace) -> None:
    journal = workspace.stores.journal
    journal.append("run.started", "run:1")
    journal.append("model.registered", "model:x@1")
    stream = event.tail(lines=1, session=Session(workspace.uri))
    assert isinstance(stream, Stream)
    lines = iter(stream.items)
    assert next(lines)[0].kind == "model.registered"
    journal.append("run.finished", "run:1", payload={"a": 1})
    journal.append("run.started", "run:2")
    assert [found.kind for found, _ in islice(lines, 2)] == ["run.finished", "run.started"]


def test_tail_keeps_to_its_kinds(workspace: Workspace) -> None:
    journal = workspace.stores.journal
    journal.append("run.started", "run:1")
    journal.append("model.registered", "model:x@1")
    stream = event.tail(kind=["run."], session=Session(workspace.uri))
    lines = iter(stream.items)
    assert next(lines)[0].subject == "run:1"
    journal.append("model.registered", "model:x@2")
    journal.append("run.finished", "run:1")
    assert next(lines)[0].kind == "run.finished"


def test_list_pages_by_seq(cli: Runner, workspace: Workspace) -> None:
    for number in range(5):
        workspace.stores.journal.append("run.started", f"run:{number}")
    seqs = [row["seq"] for row in cli("event", "list", "--json").data]
    assert seqs == sorted(seqs, reverse=True)
    assert [row["seq"] for row in cli("event", "list", "--after", str(seqs[1]), "--json").data] == [seqs[0]]
