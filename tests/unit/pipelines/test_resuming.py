"""Runs that failed, were cancelled or killed: they end, and others go on where they stood."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from interlock.core.errors import Cancelled, Conflict, InvalidInput, NotFound, StepFailed
from interlock.core.processes import start_of
from interlock.pipelines import holders, recorded_calls, recording
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.recording import claim_on
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.ports.journal import Edge
from interlock.ports.run_store import Run, RunFilter
from interlock.ports.step_cache import Advance, GraphNode, StepStart
from interlock.ports.stores import Stores
from tests.unit.pipelines.conftest import open_pipelines

CALLS: list[str] = []
STATE: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    CALLS.clear()
    STATE.clear()
    yield
    STATE.clear()


def called(name: str) -> None:
    """Note a call; kept out of the steps, whose code must not depend on a list that changes."""
    globals()["CALLS"].append(name)


def state(name: str) -> Any:
    return globals()["STATE"].get(name)


@step
def load(rows: int) -> list[int]:
    called("load")
    return list(range(rows))


@step(cache=False)
def publish(table: list[int]) -> str:
    called("publish")
    return f"{len(table)} rows"


@step
def check(note: str, limit: int) -> str:
    called("check")
    if state("broken"):
        raise ValueError("not today")
    return note[:limit]


@pipeline
def nightly(rows: int, *, limit: int = 3) -> Any:
    return check(publish(load(rows)), limit)


def newest(stores: Stores) -> Run:
    return stores.runs.runs(where=RunFilter(kind="pipeline"))[0]


def failed_run(pipelines: Pipelines, stores: Stores) -> Run:
    STATE["broken"] = True
    with pytest.raises(StepFailed):
        pipelines.run(nightly, 4, limit=2)
    STATE.clear()
    CALLS.clear()
    return newest(stores)


def test_a_failed_run_goes_on_where_it_stood(pipelines: Pipelines, stores: Stores) -> None:
    first = failed_run(pipelines, stores)
    second = pipelines.resume(f"run:{first.id}")
    assert CALLS == ["check"]
    assert second.value == "4 "
    assert second.run.tags["resumes"] == first.id
    assert second.run.params == {"rows": 4, "limit": 2}
    assert second.steps[1].reason == f"reused: it had finished in run {second.steps[1].run_id}, before this one resumed"
    back = stores.journal.walk(f"run:{second.run.id}", direction="back", depth=1)
    assert Edge(f"run:{first.id}", f"run:{second.run.id}", "resumed_by") in back


def test_a_resumed_run_that_fails_is_resumed_again(pipelines: Pipelines, stores: Stores) -> None:
    first = failed_run(pipelines, stores)
    STATE["broken"] = True
    with pytest.raises(StepFailed):
        pipelines.resume(first.id)
    STATE.clear()
    CALLS.clear()
    assert pipelines.resume(newest(stores).id).value == "4 "
    assert CALLS == ["check"]


def test_arguments_may_change(pipelines: Pipelines, stores: Stores) -> None:
    first = failed_run(pipelines, stores)
    assert pipelines.resume(first.id, nightly, rows=7, limit=1).value == "7"
    assert CALLS == ["load", "publish", "check"]


def test_what_runs_or_finished_is_not_resumed(pipelines: Pipelines, stores: Stores) -> None:
    done = pipelines.run(nightly, 1)
    with pytest.raises(Conflict, match="cannot be resumed") as refusal:
        pipelines.resume(done.run.id)
    assert refusal.value.why == "it is finished"
    with pytest.raises(Conflict) as refusal:
        pipelines.resume(done.steps[0].run_id)
    assert refusal.value.why == "it is a step"
    with pytest.raises(NotFound):
        pipelines.resume("unknown")


def test_a_pipeline_of_a_function_is_to_be_handed_in(pipelines: Pipelines, stores: Stores) -> None:
    @pipeline
    def local(lock: Any, table: Any) -> Any:
        return check("x", 1)

    STATE["broken"] = True
    with pytest.raises(StepFailed):
        pipelines.run(local, threading.Lock(), np.arange(3))
    STATE.clear()
    run = newest(stores)
    assert "pipeline" not in run.tags
    with pytest.raises(InvalidInput, match="cannot be imported"):
        pipelines.resume(run.id)
    with pytest.raises(InvalidInput, match="argument 'lock' of pipeline 'local' was not kept"):
        pipelines.resume(run.id, local)
    assert pipelines.resume(run.id, local, lock=threading.Lock()).value == "x"


def test_every_kind_of_argument_is_kept(pipelines: Pipelines, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    @pipeline
    def many(first: Any, *rest: Any, named: Any = None, **more: Any) -> Any:
        seen.append((first, rest, named, more))
        return check("x", 1)

    STATE["broken"] = True
    with pytest.raises(StepFailed):
        pipelines.run(many, 1, 2, 3, named=4, other=5)
    STATE.clear()
    pipelines.resume(newest(stores).id, many)
    assert seen[0] == seen[1] == (1, (2, 3), 4, {"other": 5})
    monkeypatch.setattr(recorded_calls, "_MOST_BYTES", 10)
    assert recorded_calls.written_arguments({"a": np.arange(100), "b": "x" * 100, "c": 1}, b"") == {
        "arguments/c.msgpack": b"\x01"
    }


def test_a_script_is_found_by_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def body() -> int:
        return 1

    body.__module__, body.__qualname__ = "__main__", "body"
    script = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", script)
    assert recorded_calls.importable(pipeline(body)) == ""
    script.__file__ = "/work/train.py"
    assert recorded_calls.importable(pipeline(body)) == "/work/train.py:body"


def dead_run(stores: Stores, holder: str) -> Run:
    """Leave what a process leaves that was killed in the middle of a step."""
    now = recorded_now()
    run = Run(id="dead", experiment="nightly", kind="pipeline", name="nightly", status="running", started_at=now)
    child = msgspec.structs.replace(run, id="dead-step", kind="step", name="load", parent="dead")
    nodes = (
        GraphNode(0, "load", "running", key="k", run="dead-step", change=1),
        GraphNode(1, "check", "waiting", inputs=(0,), change=1),
        GraphNode(2, "other", "finished", change=1),
    )
    starts = (StepStart(run, claim=claim_on("dead")), StepStart(child, claim="k"))
    stores.steps.advance(Advance(pipeline="dead", holder=holder, now=now, ttl_s=3600, starts=starts, nodes=nodes))
    return run


def recorded_now() -> Any:
    from interlock.core.clock import SystemClock

    return SystemClock().now()


def gone() -> str:
    """Return the name of a holder on this machine whose process has ended."""
    machine, pid, _, _ = holders.holder_of("dead").split("/")
    return f"{machine}/{pid}/another start/dead"


def test_runs_of_dead_processes_end_as_killed(pipelines: Pipelines, stores: Stores) -> None:
    dead_run(stores, gone())
    assert pipelines.end_the_dead() == ["dead"]
    assert {run.status for run in stores.runs.runs()} == {"killed"}
    graph = pipelines.graph("dead")
    assert [node.status for node in graph] == ["killed", "cancelled", "finished"]
    assert [node.node for node in pipelines.graph("dead", after=1)] == [0, 1]
    assert stores.steps.claims(["k"]) == []
    [event] = stores.journal.events(kinds=["pipeline.killed"])
    assert event.payload == {"pipeline": "nightly", "executed": 1, "reused": 0, "failed": 0}
    assert pipelines.end_the_dead() == []


def test_runs_of_living_processes_are_left_alone(pipelines: Pipelines, stores: Stores) -> None:
    dead_run(stores, holders.holder_of("dead"))
    assert pipelines.end_the_dead() == []
    stores.runs.create(Run("foreign", "x", "pipeline", "imported", "running", recorded_now()))
    pipelines.run(nightly, 1)
    assert stores.runs.get("dead").status == stores.runs.get("foreign").status == "running"


def test_a_run_begins_by_ending_the_dead(pipelines: Pipelines, stores: Stores) -> None:
    dead_run(stores, gone())
    pipelines.run(nightly, 1)
    assert stores.runs.get("dead").status == "killed"


def test_a_killed_run_is_resumed(pipelines: Pipelines, stores: Stores) -> None:
    dead_run(stores, gone())
    assert pipelines.resume("dead", nightly, rows=2).value == "2 r"


def test_who_lives() -> None:
    mine = holders.holder_of("r1")
    assert holders.run_of(mine) == "r1"
    assert not holders.is_gone(mine)
    assert holders.is_gone(gone())
    machine = mine.split("/")[0]
    assert holders.is_gone(f"{machine}/999999999/1/r1")
    assert not holders.is_gone(f"{machine}/1/1/r1") or start_of(1) != "1"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = f"{machine}/{child.pid}/{start_of(child.pid)}/r1"
        assert not holders.is_gone(name)
        child.kill()
        pause = threading.Event()
        while start_of(child.pid) not in ("ended", ""):
            pause.wait(0.005)
        assert holders.is_gone(name) or sys.platform != "linux"  # it has ended, and nobody has asked how
    assert holders.is_gone(name)
    assert not holders.is_gone("elsewhere/1/1/r1")
    assert not holders.is_gone("nonsense")


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have recorders look around every few milliseconds."""
    monkeypatch.setattr(recording, "_SOON_S", 0.005)
    monkeypatch.setattr(recording, "_RENEW_EVERY_S", 0.0)


def test_another_may_cancel(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    pipelines, begun = open_pipelines(stores), threading.Event()
    raised: list[BaseException] = []

    @step
    def wait() -> int:
        state("begun").set()
        state("go_on").wait(10)
        return 1

    @pipeline
    def waiting() -> Any:
        wait().value  # type: ignore[attr-defined]  # noqa: B018
        while True:
            load(len(globals()["CALLS"]))

    def run() -> None:
        try:
            pipelines.run(waiting)
        except Cancelled as error:
            raised.append(error)

    STATE.update(begun=begun, go_on=threading.Event())
    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(10)
    run_id = newest(stores).id
    assert open_pipelines(stores).cancel(f"run:{run_id}").status == "running"
    STATE["go_on"].set()
    thread.join(10)
    assert len(raised) == 1
    ended = stores.runs.get(run_id)
    assert ended.status == "killed"
    assert "cancelled" in (ended.error or "")
    assert stores.runs.count(where=RunFilter(status="running")) == 0
    assert pipelines.graph(run_id)[0].status == "finished"
    with pytest.raises(Conflict, match="is not running"):
        pipelines.cancel(run_id)


def test_a_step_in_the_main_thread_is_interrupted(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    pipelines = open_pipelines(stores)

    @step
    def endless() -> int:
        threading.Thread(target=lambda: pipelines.cancel(newest(stores).id)).start()
        threading.Event().wait(20)
        return 1

    @pipeline
    def never() -> Any:
        return [endless(), load(1)]

    with pytest.raises(Cancelled, match="was cancelled"):
        pipelines.run(never)
    assert newest(stores).status == "killed"
    assert stores.runs.count(where=RunFilter(status="running")) == 0
    assert pipelines.graph(newest(stores).id)[0].status == "cancelled"


def test_a_run_of_a_dead_process_is_cancelled_at_once(pipelines: Pipelines, stores: Stores) -> None:
    dead_run(stores, gone())
    assert pipelines.cancel("dead").status == "killed"
    stores.runs.create(Run("foreign", "x", "pipeline", "imported", "running", recorded_now()))
    assert pipelines.cancel("foreign").status == "killed"


def test_two_runs_of_one_step_compute_it_once(stores: Stores, tmp_path: Path) -> None:
    values: list[Any] = []
    begun, go_on = threading.Event(), threading.Event()
    STATE.update(begun=begun, go_on=go_on)

    @step
    def slow(number: int) -> int:
        called("slow")
        state("begun").set()
        state("go_on").wait(10)
        return number

    @pipeline
    def once() -> Any:
        return slow(5)

    def run() -> None:
        values.append(open_pipelines(stores).run(once))

    first = threading.Thread(target=run)
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=run)
    second.start()
    deadline = threading.Event()
    while not any(
        node.reason.startswith("waiting")
        for one in stores.runs.runs(where=RunFilter(kind="pipeline"))
        for node in stores.steps.nodes(one.id)
    ):
        assert not deadline.wait(0.01)
        assert second.is_alive()
    go_on.set()
    first.join(10)
    second.join(10)
    assert CALLS == ["slow"]
    assert [run.value for run in values] == [5, 5]
    assert sorted(run.steps[0].reused for run in values) == [False, True]
    assert stores.steps.claims([values[0].steps[0].key]) == []


def test_a_claim_of_a_dead_process_holds_nobody_up(pipelines: Pipelines, stores: Stores) -> None:
    key = pipelines.run(nightly, 3).steps[0].key
    stores.steps.delete(key)
    CALLS.clear()
    stores.steps.claim([key], holder=gone(), ttl_s=3600, now=recorded_now())
    pipelines.run(nightly, 3)
    assert "load" in CALLS
