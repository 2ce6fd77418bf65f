"""What every step cache must do with pipelines that run: groups of runs, graphs, claims."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.core.hashing import digest_of
from interlock.ports.experiment_store import ExperimentChange
from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, MetricPoint, RunBatch, RunChange
from interlock.ports.step_cache import Advance, Advanced, Claim, GraphNode, Occurrence, StepEnd, StepStart
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.run_metrics import BEGIN, END, a_run
from interlock.testing.step_cache import NOON, step_record

OUTPUT = ArtifactEntry("output.msgpack", digest_of(b"1"), 1)


def an_advance(**changes: Any) -> Advance:
    """Return a write of the pipeline `p` by the holder `ada`, at noon."""
    return msgspec.structs.replace(Advance(pipeline="p", holder="ada", now=NOON, ttl_s=30.0), **changes)


def a_start(name: str, *, claim: str = "", edges: Sequence[Edge] = (), **changes: Any) -> StepStart:
    """Return a run that begins."""
    return StepStart(a_run(name, **changes), tuple(edges), claim)


def an_end(name: str, *, status: str = "finished", error: str | None = None, **changes: Any) -> StepEnd:
    """Return a run that ends."""
    run = msgspec.structs.replace(a_run(name), status=status, ended_at=END, error=error)
    return msgspec.structs.replace(StepEnd(run), **changes)


def later(seconds: float) -> datetime:
    """Return a moment after noon."""
    return NOON + timedelta(seconds=seconds)


class StepProgressContract(Contract):
    """How pipelines that run are kept."""

    def test_runs_begin_and_end_in_groups(self, stores: Stores) -> None:
        given = ArtifactEntry("arguments/rows.msgpack", digest_of(b"3"), 1)
        pipeline = StepStart(a_run("p", kind="pipeline", params={"rows": 3, "rate": 0.5}), artifacts=(given,))
        step = a_start(
            "s",
            kind="step",
            parent="p",
            tags={"step": "load"},
            code={"key": "k"},
            edges=[Edge("dataset:d@1", "", "used")],
        )
        assert stores.steps.advance(an_advance(starts=(pipeline, step))) == Advanced()
        assert stores.runs.get("p") == pipeline.run
        assert stores.runs.artifacts("p") == [given]
        assert stores.runs.get("s") == step.run
        ended = an_end(
            "s",
            run=msgspec.structs.replace(step.run, status="failed", ended_at=END, error="boom"),
            artifacts=(OUTPUT,),
            tags={"attempts": "2"},
            edges=(Edge("run:s", "artifact:1", "produced"),),
        )
        told = Occurrence("pipeline.failed", "run:p", {"failed": 1})
        stores.steps.advance(an_advance(ends=(ended, an_end("p")), told=(told,)))
        found = stores.runs.get("s")
        assert (found.status, found.ended_at, found.error) == ("failed", END, "boom")
        assert found.tags == {"step": "load", "attempts": "2"}
        assert stores.runs.artifacts("s") == [OUTPUT]
        assert [(event.kind, event.subject) for event in stores.journal.events()] == [
            ("experiment.created", "experiment:delay"),
            ("run.started", "run:p"),
            ("run.started", "run:s"),
            ("run.failed", "run:s"),
            ("run.finished", "run:p"),
            ("pipeline.failed", "run:p"),
        ]
        assert set(stores.journal.walk("artifact:1", direction="back")) == {
            Edge("run:s", "artifact:1", "produced"),
            Edge("dataset:d@1", "run:s", "used"),
            Edge("run:p", "run:s", "contains"),
        }

    def test_it_is_as_if_each_had_been_told_alone(self, stores: Stores) -> None:
        stores.steps.advance(an_advance(starts=(a_start("p"),)))
        stores.runs.log("p", RunBatch(metrics=tuple(MetricPoint("m", n, n, n) for n in range(5)), tags={"x": "1"}))
        stores.steps.advance(an_advance(ends=(an_end("p"),)))
        assert stores.runs.get("p").metrics["m"].count == 5
        assert stores.runs.get("p").tags == {"x": "1"}
        assert len(stores.runs.history("p", "m")) == 5
        assert stores.runs.end("p", status="finished", ended_at=END) == stores.runs.get("p")

    def test_telling_it_again_is_harmless(self, stores: Stores) -> None:
        begins = an_advance(starts=(a_start("p"),))
        stores.steps.advance(begins)
        stores.steps.advance(begins)
        ends = an_advance(ends=(an_end("p", record=step_record("k")),))
        stores.steps.advance(ends)
        before = stores.journal.last_seq()
        assert stores.steps.advance(ends) == Advanced()
        stores.steps.advance(an_advance(ends=(an_end("p", status="killed"), an_end("unknown"))))
        assert stores.runs.get("p").status == "finished"
        assert stores.journal.last_seq() == before

    def test_nothing_is_written_of_what_cannot_be(self, stores: Stores) -> None:
        good = a_start("p", claim="k")
        node = GraphNode(0, "load", "running", change=1)
        with pytest.raises(NotFound):
            stores.steps.advance(an_advance(starts=(good, a_start("s", parent="unknown")), nodes=(node,)))
        with pytest.raises(InvalidInput):
            stores.steps.advance(an_advance(starts=(good, StepStart(an_end("x").run))))
        stores.experiments.update(stores.experiments.create("gone").id, ExperimentChange(deleted=True))
        with pytest.raises(Conflict):
            stores.steps.advance(an_advance(starts=(good, a_start("s", experiment="gone"))))
        assert stores.runs.runs() == []
        assert stores.steps.nodes("p") == []
        assert stores.steps.claims(["k"]) == []

    def test_a_deleted_run_ends_no_more(self, stores: Stores) -> None:
        stores.steps.advance(an_advance(starts=(a_start("p"),)))
        stores.runs.update("p", RunChange(deleted=True))
        stores.steps.advance(an_advance(ends=(an_end("p"),)))
        assert stores.runs.get("p").status == "running"

    def test_the_first_record_stands_and_is_told(self, stores: Stores) -> None:
        first = stores.steps.put(step_record("k"))
        starts = (a_start("p"), a_start("q"))
        stores.steps.advance(an_advance(starts=starts))
        other = step_record("k", output="b3:other", minutes=1)
        new = step_record("new")
        told = stores.steps.advance(an_advance(ends=(an_end("p", record=other), an_end("q", record=new))))
        assert told == Advanced(standing=(first,))
        assert stores.steps.find("new") == new

    def test_a_run_begins_only_with_its_claim(self, stores: Stores) -> None:
        stores.steps.put(step_record("known"))
        stores.steps.claim(["theirs"], holder="bob", ttl_s=30, now=NOON)
        starts = tuple(a_start(f"run-{name}", claim=name) for name in ("known", "theirs", "free"))
        told = stores.steps.advance(an_advance(starts=starts))
        assert [record.key for record in told.standing] == ["known"]
        assert told.held == {"theirs": "bob"}
        assert [run.id for run in stores.runs.runs()] == ["run-free"]
        assert stores.steps.claims(["free"]) == [Claim("free", "ada", later(30))]
        stores.steps.advance(an_advance(ends=(an_end("run-free"),), free=("free", "theirs")))
        assert [claim.name for claim in stores.steps.claims(["free", "theirs"])] == ["theirs"]

    def test_a_claim_is_one_holders_until_it_lapses(self, stores: Stores) -> None:
        claim, steps = stores.steps.claim, stores.steps
        assert claim(["a", "b", "a"], holder="ada", ttl_s=30, now=NOON) == [
            Claim("a", "ada", later(30)),
            Claim("b", "ada", later(30)),
        ]
        assert claim(["a"], holder="bob", ttl_s=30, now=later(29)) == [Claim("a", "ada", later(30))]
        assert claim(["a"], holder="ada", ttl_s=30, now=later(29)) == [Claim("a", "ada", later(59))]
        assert claim(["b"], holder="bob", ttl_s=5, now=later(30)) == [Claim("b", "bob", later(35))]
        assert claim(["b"], holder="eve", ttl_s=5, now=later(31), over="ada") == [Claim("b", "bob", later(35))]
        assert claim(["b"], holder="eve", ttl_s=5, now=later(31), over="bob") == [Claim("b", "eve", later(36))]
        assert {one.holder for one in steps.claims(["a", "b", "c"])} == {"ada", "eve"}
        assert claim([], holder="ada", ttl_s=1, now=NOON) == []
        with pytest.raises(InvalidInput):
            claim(["a"], holder="ada", ttl_s=1, now=NOON.replace(tzinfo=None))

    def test_of_many_threads_one_gets_the_claim(self, stores: Stores) -> None:
        with ThreadPoolExecutor(8) as pool:
            taken = list(
                pool.map(lambda n: stores.steps.claim(["k"], holder=f"h{n}", ttl_s=30, now=NOON)[0].holder, range(16))
            )
        assert len(set(taken)) == 1

    def test_a_graph_is_read_while_it_grows(self, stores: Stores) -> None:
        load = GraphNode(0, "load", "running", key="k", run="s", started_at=5.5, change=1)
        train = GraphNode(1, "train", "waiting", inputs=(0,), group="fit/", change=1)
        stores.steps.advance(an_advance(nodes=(load, train)))
        assert stores.steps.nodes("p") == [load, train]
        done = msgspec.structs.replace(load, status="finished", duration_s=2.0, output="b3:1", change=2)
        stores.steps.advance(an_advance(nodes=(done,)))
        assert stores.steps.nodes("p") == [done, train]
        assert stores.steps.nodes("p", after=1) == [done]
        assert stores.steps.nodes("p", after=2) == stores.steps.nodes("other") == []

    def test_a_graph_is_forgotten_with_its_run(self, stores: Stores) -> None:
        node = GraphNode(0, "load", "running", change=1)
        stores.steps.advance(an_advance(starts=(a_start("p"),), nodes=(node,)))
        stores.runs.update("p", RunChange(deleted=True))
        assert stores.steps.nodes("p") == [node]
        assert stores.runs.delete("p")
        assert stores.steps.nodes("p") == []

    def test_many_at_once(self, stores: Stores) -> None:
        names = [f"s{n:04}" for n in range(700)]
        nodes = tuple(GraphNode(n, name, "running", change=1) for n, name in enumerate(names))
        starts = tuple(a_start(name, parent="p", claim=f"key-{name}") for name in names)
        stores.steps.advance(an_advance(starts=(a_start("p"), *starts), nodes=nodes))
        ends = tuple(an_end(name, record=step_record(f"key-{name}")) for name in names)
        stores.steps.advance(an_advance(ends=ends, free=tuple(f"key-{name}" for name in names)))
        assert {run.status for run in stores.runs.runs(limit=1000)} == {"running", "finished"}
        assert len(stores.steps.find_many([f"key-{name}" for name in names])) == 700
        assert stores.steps.claims([f"key-{name}" for name in names]) == []
        assert [node.step for node in stores.steps.nodes("p")] == names
        assert stores.runs.get("p").started_at == BEGIN
