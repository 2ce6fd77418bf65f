"""Groups of records: when they are written, what a full disk does to them, and who looks after a run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from interlock.adapters.local.executors import InlineExecutor, ProcessExecutor
from interlock.core.clock import SystemClock
from interlock.core.errors import InterlockError, InvalidInput, StepFailed, StorageFull, Unavailable
from interlock.core.hashing import digest_of
from interlock.pipelines import recording
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.nodes import Node, Shelf
from interlock.pipelines.recording import Recorder
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.pipelines.storing import Stored, encode
from interlock.ports.run_store import ArtifactEntry, Run, RunFilter
from interlock.ports.step_cache import Advance, Advanced, GraphNode, Occurrence, StepEnd, StepStart
from interlock.ports.stores import Stores
from tests.unit.pipelines.conftest import SECRET, open_pipelines

NOW = SystemClock().now()


def a_run(run_id: str, **changes: Any) -> Run:
    run = Run(id=run_id, experiment="x", kind="step", name=run_id, status="running", started_at=NOW)
    return msgspec.structs.replace(run, **changes)


def ended(run_id: str, *digests: str) -> StepEnd:
    files = tuple(ArtifactEntry(f"output/{n}", digest, 1) for n, digest in enumerate(digests))
    return StepEnd(a_run(run_id, status="finished", ended_at=NOW), artifacts=files)


class Watched:
    """A recorder, and what it said."""

    def __init__(self, stores: Stores, *, artifacts: Any = None) -> None:
        self.lost: list[tuple[str, InterlockError]] = []
        self.cancelled = threading.Event()
        self.recorder = Recorder(
            a_run("p", kind="pipeline"),
            steps=stores.steps,
            artifacts=artifacts or stores.artifacts,
            clock=SystemClock(),
            on_cancel=self.cancelled.set,
            on_lost=lambda run_id, error: self.lost.append((run_id, error)),
        )
        self.recorder.open(edges=(), files={})


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing written for its age."""
    monkeypatch.setattr(recording, "_SOON_S", 3600.0)


@pytest.mark.usefixtures("slow")
def test_what_ended_is_written_in_groups(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_MOST_ENDS", 3)
    recorder = Watched(stores).recorder
    recorder.begin([StepStart(a_run(f"s{n}")) for n in range(4)], [GraphNode(n, "s", "running") for n in range(4)])
    for number in range(3):
        assert stores.runs.count(where=RunFilter(status="finished")) == 0
        blob = recorder.store(b"%d" % number)
        assert stores.artifacts.find(blob.digest) is None
        assert recorder.content(blob.digest) == b"%d" % number
        recorder.end(ended(f"s{number}", blob.digest), GraphNode(number, "s", "finished"))
    assert stores.runs.count(where=RunFilter(status="finished")) == 3
    assert recorder.content(digest_of(b"0")) == stores.artifacts.get(digest_of(b"0")) == b"0"
    assert [node.status for node in stores.steps.nodes("p")] == ["finished"] * 3 + ["running"]
    recorder.end(ended("s3"), GraphNode(3, "s", "finished"), took_s=1.0)
    assert stores.runs.get("s3").status == "finished"
    recorder.close(StepEnd(a_run("p", status="finished", ended_at=NOW)), Occurrence("pipeline.finished", "run:p"))
    assert stores.runs.count(where=RunFilter(status="running")) == 0
    assert stores.steps.claims([recorder.claim]) == []


@pytest.mark.usefixtures("slow")
def test_large_contents_do_not_wait(stores: Stores) -> None:
    recorder = Watched(stores).recorder
    blob = recorder.store(bytes(2 << 20))
    assert stores.artifacts.find(blob.digest) == blob
    recorder.give_up()


def test_nothing_waits_for_long(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_SOON_S", 0.005)
    recorder = Watched(stores).recorder
    recorder.show([GraphNode(0, "s", "running")])
    written = threading.Event()
    while not stores.steps.nodes("p"):
        assert not written.wait(0.005)
    recorder.give_up()


def test_a_store_that_is_away_for_a_moment_is_asked_again(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_SOON_S", 0.005)
    recorder = Watched(stores).recorder
    advance: Callable[[Advance], Advanced] = stores.steps.advance
    refused = threading.Event()

    def once(given: Advance) -> Advanced:
        if not refused.is_set():
            refused.set()
            raise Unavailable("away")
        return advance(given)

    monkeypatch.setattr(stores.steps, "advance", once)
    recorder.show([GraphNode(0, "s", "running")])
    waiting = threading.Event()
    while not stores.steps.nodes("p"):
        assert not waiting.wait(0.005)
    assert refused.is_set()
    recorder.give_up()


def test_who_takes_the_claim_on_a_run_stops_it(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_SOON_S", 0.005)
    monkeypatch.setattr(recording, "_RENEW_EVERY_S", 0.0)
    watched = Watched(stores)
    now = SystemClock().now()  # the recorder goes by this clock too
    stores.steps.claim([watched.recorder.claim], holder="eve", ttl_s=60, now=now, over=watched.recorder.holder)
    assert watched.cancelled.wait(10)
    assert watched.recorder.cancelled


@pytest.mark.usefixtures("slow")
def test_on_a_full_disk_only_what_does_not_fit_fails(stores: Stores) -> None:
    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(stores.artifacts, name)

        def put(self, data: bytes) -> Any:
            if data == b"large":
                raise StorageFull("the disk is full")
            return stores.artifacts.put(data)

        def put_many(self, contents: list[bytes]) -> Any:
            return [self.put(data) for data in contents]

    watched = Watched(stores, artifacts=Full())
    recorder = watched.recorder
    recorder.begin([StepStart(a_run("fits")), StepStart(a_run("not"))], [GraphNode(n, "s", "running") for n in (0, 1)])
    for name, data in (("not", b"large"), ("fits", b"small")):
        recorder.end(ended(name, recorder.store(data).digest), GraphNode(0, "s", "finished"))
    recorder.flush()
    assert [run_id for run_id, _ in watched.lost] == ["not"]
    assert (stores.runs.get("fits").status, stores.runs.get("not").status) == ("finished", "failed")
    assert "the disk is full" in (stores.runs.get("not").error or "")
    assert stores.runs.artifacts("not") == []
    recorder.give_up()


def test_a_disk_that_is_full_from_the_beginning_records_nothing(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(contents: Any) -> Any:
        raise StorageFull("the disk is full")

    monkeypatch.setattr(stores.artifacts, "put_many", full)
    with pytest.raises(StorageFull):
        open_pipelines(stores).run(lambda rows: rows, 1)
    assert stores.runs.runs() == []
    assert stores.journal.events() == []


def test_the_newest_outputs_are_held_up_to_a_size() -> None:
    @step
    def make() -> int:
        return 1

    shelf, nodes = Shelf(most_bytes=10), [Node(make, make.bind((), {}), n) for n in range(3)]
    for node in nodes:
        node.keep(Stored("msgpack", b"12345"), shelf)
    assert [node._stored is None for node in nodes] == [True, False, False]
    nodes[1].keep(Stored("msgpack", b"1234567890"), shelf)
    assert [node._stored is None for node in nodes] == [True, False, True]


@pytest.mark.parametrize("count", [30, 300])
def test_a_thousand_calls_take_few_transactions(stores: Stores, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    @step
    def one(number: int) -> int:
        return number

    @step
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @pipeline
    def wide() -> Any:
        return total([one(number) for number in range(count)])

    monkeypatch.setattr(recording, "_MOST_AT_STAKE_S", 3600.0)
    written: list[int] = []
    advance = stores.steps.advance
    monkeypatch.setattr(stores.steps, "advance", lambda given: (written.append(1), advance(given))[1])
    pipelines = open_pipelines(stores)
    cold = pipelines.run(wide)
    assert cold.value == sum(range(count))
    assert stores.runs.count(where=RunFilter(status="finished")) == count + 2
    assert len(written) <= count / 2
    written.clear()
    assert pipelines.run(wide).reused == count + 1
    assert len(written) <= 3


def test_the_graph_tells_the_edges(stores: Stores) -> None:
    @step
    def first() -> int:
        return 1

    @step
    def second(number: int, other: list[int]) -> int:
        return number // (number - 1)

    @step
    def third(number: int) -> int:
        return number

    @pipeline
    def graph() -> Any:
        one, two = first(), first()
        return third(second(one, [two, one]))

    pipelines = open_pipelines(stores)
    with pytest.raises(StepFailed):
        pipelines.run(graph)
    run = stores.runs.runs(where=RunFilter(kind="pipeline"))[0]
    nodes = pipelines.graph(run.id)
    assert [node.inputs for node in nodes] == [(), (), (0, 1), (2,)]
    assert [node.status for node in nodes] == ["finished", "reused", "failed", "skipped"]
    assert nodes[0].output == nodes[1].output != ""
    assert (
        nodes[2].error
        == "step 'second' failed on number='output of first', other=['output of first', 'output of first']"
    )
    assert nodes[3].reason == "not run: step 'second' failed"
    assert all(node.started_at > 0 for node in nodes if node.status in ("finished", "failed"))


def test_priority_goes_first(stores: Stores) -> None:
    order: list[str] = []

    @step(cache=False)
    def note(name: str, after: Any) -> str:
        order.append(name)
        return name

    @step
    def begin() -> int:
        return 1

    @pipeline
    def mixed() -> Any:
        start = begin()
        return [note("low", start), note.options(priority=5)("high", start)]

    assert open_pipelines(stores).run(mixed).value == ["low", "high"]
    assert order == ["high", "low"]


def test_no_more_runs_in_processes_than_there_is_room_for(stores: Stores) -> None:
    executor = ProcessExecutor(1)
    try:
        pooled = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, executor, SECRET)
        assert pooled.run(fan).value == 2 * sum(range(9))
    finally:
        executor.close()


@step
def twice(number: int) -> int:
    return 2 * number


@pipeline
def fan() -> Any:
    return sum(value.value for value in [twice(number) for number in range(9)])  # type: ignore[attr-defined]


def test_an_executor_that_refuses_fails_the_step(stores: Stores) -> None:
    executor = InlineExecutor()
    executor.close()
    closed = Pipelines(stores.runs, stores.steps, stores.artifacts, stores.journal, executor, SECRET)
    with pytest.raises(StepFailed, match="step 'twice'"):
        closed.run(fan)
    assert stores.runs.count(where=RunFilter(status="running")) == 0


def test_what_cannot_be_stored_is_named_where_it_lies() -> None:
    with pytest.raises(InvalidInput, match=r"a builtins.dict cannot be stored: \['models'\]\[1\]") as refusal:
        encode({"rows": 1, "models": [1, threading.Lock()]})
    assert "is a _thread.lock" in refusal.value.what
    assert "return it without ['models'][1]" in refusal.value.fix
    with pytest.raises(InvalidInput, match=r"cannot be stored: \.guard is a _thread.lock"):
        encode(HoldsLock())


class HoldsLock:
    def __init__(self) -> None:
        self.name, self.guard = "m", threading.Lock()
