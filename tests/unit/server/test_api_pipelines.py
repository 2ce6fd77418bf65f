"""Pipelines over the API: the list, the history, a graph and what changes of it, one step call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.core.ids import new_id
from interlock.core.schema import Signature
from interlock.pipelines.outcomes import STEPS_FILE, StepOutcome
from interlock.ports.journal import Edge
from interlock.ports.model_store import ModelVersion, PackageFile
from interlock.ports.run_spool import CONSOLE_FILE
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch
from interlock.ports.step_cache import Advance, GraphNode, StepRecord
from interlock.ports.stores import Stores
from interlock.ports.trigger_store import Trigger
from interlock.server.pipeline_views import PipelineGraph, PipelineHistory, PipelineList, StepCall
from interlock.server.step_calls import step_call
from tests.unit.server.asgi import call
from tests.unit.server.conftest import START, Get

FAILURE = """Traceback (most recent call last):
StepFailed: error: step 'fit' failed on alpha=1 [IL520]
because: ValueError: no
try: call it by itself"""


def begin(stores: Stores, nodes: Sequence[GraphNode] = (), *, name: str = "nightly", at: int = 0, **more: Any) -> str:
    """Record a run of a pipeline that goes on."""
    run = Run(new_id(), "ex", "pipeline", name, "running", START + timedelta(minutes=at), **more)
    stores.runs.create(run)
    write(stores, run.id, *nodes)
    return run.id


def write(stores: Stores, run: str, *nodes: GraphNode) -> None:
    stores.steps.advance(Advance(run, "somebody", START, nodes=nodes))


def fan(count: int = 3, **more: Any) -> list[GraphNode]:
    """`load`, some `fit`, `best`."""
    load = GraphNode(0, "load", "finished", change=1, duration_s=0.5, reason="first run", started_at=9.0)
    fits = [GraphNode(one, "fit", "waiting", (0,), group="inner/", change=1) for one in range(1, count + 1)]
    return [load, *fits, GraphNode(count + 1, "best", "waiting", tuple(range(1, count + 1)), change=1, **more)]


def test_pipelines_are_listed_with_what_starts_them(stores: Stores, get: Get) -> None:
    begin(stores, name="weekly")
    old, new = begin(stores, at=1), begin(stores, at=5)
    stores.runs.end(old, status="failed", ended_at=START + timedelta(minutes=2), error=FAILURE)
    order = {"target": "train.py:nightly", "folder": "/", "arguments": {"day": "{date}"}}
    triggers = (
        Trigger("a-night", "pipeline", cron="0 4 * * *", time_zone="Europe/Berlin", params=order),
        Trigger("b-off", "pipeline", cron="0 4 * * *", params={**order, "target": "a.py"}, enabled=False),
        Trigger("c-event", "retrain", on="alert.opened", where={"subject": "alert:x"}, params={"recipe": "r"}),
        Trigger("d-broken", "pipeline", cron="never", params=order),
    )
    for trigger in triggers:
        stores.triggers.apply(trigger)
    found = get("/api/v1/pipelines").json(PipelineList)
    assert [(one.name, one.runs, one.schedules) for one in found.pipelines] == [
        ("nightly", 2, ("a-night", "d-broken")),
        ("weekly", 1, ()),
    ]
    assert [(run.id, run.error) for run in found.pipelines[0].recent] == [
        (new, None),
        (old, "step 'fit' failed on alpha=1 [IL520]; because: ValueError: no"),
    ]
    night, off, event, broken = found.schedules
    assert night.next_at is not None
    assert (night.pipeline, night.arguments, off.pipeline, off.next_at) == ("nightly", {"day": "{date}"}, "b-off", None)
    assert (event.pipeline, event.action, event.arguments) == ("", "retrain", {"recipe": "r"})
    assert broken.next_at is None


def test_an_empty_workspace_has_an_empty_list(get: Get) -> None:
    assert get("/api/v1/pipelines").json(PipelineList) == PipelineList(pipelines=(), schedules=())


def test_the_history_is_a_grid(stores: Stores, get: Get) -> None:
    begin(stores, fan())
    failed = GraphNode(2, "fit", "failed", (0,), group="inner/", error="it broke", duration_s=1.0, change=1)
    second = begin(stores, [fan()[0], failed, GraphNode(3, "new", "skipped", change=1)], at=1)
    begin(stores, name="another", at=2)
    found = get("/api/v1/pipelines/nightly").json(PipelineHistory)
    assert [run.id for run in found.runs][0] == second
    grid = {row.step: [cell and (cell.status, cell.calls, cell.node) for cell in row.cells] for row in found.steps}
    assert grid == {
        "load": [("finished", 1, 0), ("finished", 1, 0)],
        "inner/fit": [("failed", 1, 2), ("waiting", 3, 1)],
        "new": [("skipped", 1, 3), None],
        "best": [None, ("waiting", 1, 4)],
    }
    assert found.steps[1].cells[0] is not None
    assert found.steps[1].cells[0].reason == "it broke"


def test_the_history_is_read_page_by_page(stores: Stores, get: Get) -> None:
    runs = [begin(stores, at=minute) for minute in range(3)]
    first = get("/api/v1/pipelines/nightly?limit=2").json(PipelineHistory)
    assert [run.id for run in first.runs] == [runs[2], runs[1]]
    rest = get(f"/api/v1/pipelines/nightly?limit=2&after={first.after}").json(PipelineHistory)
    assert ([run.id for run in rest.runs], rest.after) == ([runs[0]], None)


def test_an_unknown_pipeline_is_said_so_and_a_scheduled_one_is_not(stores: Stores, get: Get) -> None:
    begin(stores)
    problem = get("/api/v1/pipelines/nigthly").problem
    assert (problem.code, "did you mean 'nightly'" in problem.why) == ("IL404", True)
    stores.triggers.apply(Trigger("soon", "pipeline", on="x", params={"target": "a.py:later", "folder": "/"}))
    assert get("/api/v1/pipelines/later").json(PipelineHistory).runs == ()


def test_equal_calls_are_one_node_unless_each_is_wanted_apart(stores: Stores, get: Get) -> None:
    run = begin(stores, fan(600))
    graph = get(f"/api/v1/pipelines/runs/{run}/graph").json(PipelineGraph)
    assert [(one.step, one.calls, one.status) for one in graph.nodes] == [
        ("load", 1, "finished"),
        ("fit", 600, "waiting"),
        ("best", 1, "waiting"),
    ]
    assert [(edge.source, edge.target) for edge in graph.edges] == [(0, 1), (1, 601)]
    assert (graph.is_whole, graph.calls, graph.statuses) == (True, 602, {"finished": 1, "waiting": 601})
    assert graph.width > 0 == graph.height
    apart = get(f"/api/v1/pipelines/runs/{run}/graph?apart=true").json(PipelineGraph)
    assert (len(apart.nodes), len(apart.edges)) == (602, 1200)
    assert len({(one.x, one.y) for one in apart.nodes}) == 602


def test_of_a_graph_that_goes_on_only_what_changed_is_sent(stores: Stores, get: Get) -> None:
    run = begin(stores, fan())
    path = f"/api/v1/pipelines/runs/{run}/graph"
    assert get(path).json(PipelineGraph).change == 1
    still = get(f"{path}?after=1&known=5").json(PipelineGraph)
    assert (still.is_whole, still.nodes, still.change, still.calls) == (False, (), 1, 5)
    write(stores, run, GraphNode(2, "fit", "running", (0,), group="inner/", change=2, reason="first run"))
    moved = get(f"{path}?after=1&known=5").json(PipelineGraph)
    assert (moved.is_whole, moved.change, [(one.id, one.node, one.status) for one in moved.nodes]) == (
        False,
        2,
        [(1, 2, "running")],
    )
    assert moved.nodes[0].statuses == {"waiting": 2, "running": 1}
    write(stores, run, GraphNode(5, "report", "waiting", (4,), change=3))
    grown = get(f"{path}?after=2&known=5").json(PipelineGraph)
    assert (grown.is_whole, len(grown.nodes), grown.calls) == (True, 4, 6)
    stores.runs.end(run, status="finished", ended_at=START)
    assert get(f"{path}?after=3&known=6").json(PipelineGraph).run.status == "finished"


def test_a_run_without_a_graph_shows_its_outcomes(stores: Stores, get: Get) -> None:
    run = begin(stores)
    assert get(f"/api/v1/pipelines/runs/{run}/graph").json(PipelineGraph).nodes == ()
    outcomes = [
        StepOutcome("prepare", "k", True, "reused: …", 2.5, "r", path="inner/prepare"),
        StepOutcome("train", "k2", False, "re-ran: …", 0.4, "r2", error="no"),
        StepOutcome("after", "", False, "", 0.0, ""),
    ]
    blob = stores.artifacts.put(msgspec.json.encode(outcomes))
    stores.runs.log(run, RunBatch(artifacts=(ArtifactEntry(STEPS_FILE, blob.digest, blob.size_bytes),)))
    graph = get(f"/api/v1/pipelines/runs/{run}/graph").json(PipelineGraph)
    assert [(one.group, one.step, one.status) for one in graph.nodes] == [
        ("inner/", "prepare", "reused"),
        ("", "train", "failed"),
        ("", "after", "skipped"),
    ]


def test_only_runs_of_pipelines_have_a_graph(stores: Stores, get: Get) -> None:
    stores.runs.create(Run("r1", "ex", "training", "t", "running", START))
    assert get("/api/v1/pipelines/runs/r1/graph").problem.why == "it is a training, not a pipeline"
    assert get("/api/v1/pipelines/runs/r2/graph").problem.code == "IL404"
    assert get("/api/v1/pipelines/runs/r1/graph?after=-1").problem.code == "IL400"


@pytest.fixture
def called(stores: Stores) -> str:
    """A pipeline's run with one call of everything."""
    table = stores.artifacts.put(msgspec.msgpack.encode([1, 2]))
    model = stores.artifacts.put(msgspec.msgpack.encode("model:delay@1"))
    card = stores.artifacts.put(b"# Delay\nIt predicts.")
    version = ModelVersion(
        "delay",
        0,
        START,
        (PackageFile("MLmodel", card.digest, 1),),
        Signature((), ()),
        "sklearn",
        "onnx",
        card=card.digest,
    )
    stores.models.add_version(version)
    stores.models.add_version(msgspec.structs.replace(version, card=None))
    run = begin(stores)
    step = stores.runs.create(
        Run("step1", "ex", "step", "fit", "running", START, parent=run, params={"alpha": 0.5, "day": "x"})
    )
    log = stores.artifacts.put(b"first line\n" + b"x" * 70_000 + b"\nlast line\n")
    stores.runs.log(step.id, RunBatch(artifacts=(ArtifactEntry(CONSOLE_FILE, log.digest, log.size_bytes),)))
    stores.runs.end(step.id, status="failed", ended_at=START, error="Traceback\nValueError: no")
    stores.journal.link([Edge("run:step1", "model:delay@2", "produced")])
    record = StepRecord(
        key="k1",
        step="m.fit",
        run="step1",
        created_at=START,
        duration_s=1.0,
        symbols={},
        inputs={"alpha": "i", "t": "j"},
        libraries={},
        output=model.digest,
        output_form="msgpack",
        shown={"input:alpha": "0.5", "m.CONST": "1"},
        doubts=("clock: time.time",),
    )
    stores.steps.put(record)
    write(
        stores,
        run,
        GraphNode(0, "load", "finished", change=1, output=table.digest, output_form="msgpack"),
        GraphNode(1, "fit", "reused", (0,), key="k1", run="step1", reason="reused: …", output=model.digest,
                  output_form="msgpack", change=1),
        GraphNode(2, "fit", "failed", (0,), key="k2", run="step1", reason="first run", error="short", change=1),
        GraphNode(3, "gone", "finished", (0,), run="purged", change=1),
    )  # fmt: skip
    return run


def test_a_call_shows_what_it_was_given_and_what_it_gave(get: Get, called: str) -> None:
    call = get(f"/api/v1/pipelines/runs/{called}/calls/1").json(StepCall)
    assert [(one.name, one.text) for one in call.arguments] == [("alpha", "0.5"), ("t", ""), ("day", "x")]
    assert [(one.node, one.step, one.output and one.output.text) for one in call.sources] == [
        (0, "load", "[\n 1,\n 2\n]")
    ]
    assert call.output is not None
    assert call.output.text == "model:delay@1"
    assert [(one.ref, one.card) for one in call.models] == [
        ("model:delay@1", "# Delay\nIt predicts."),
        ("model:delay@2", ""),
    ]
    assert (call.doubts, call.error, call.is_log_whole) == (("clock: time.time",), None, False)
    assert call.log.endswith("\nlast line\n")
    assert "first line" not in call.log
    assert [one.node for one in call.alike] == [2, 1]


def test_a_failed_call_shows_its_error_in_full(get: Get, called: str) -> None:
    call = get(f"/api/v1/pipelines/runs/{called}/calls/2").json(StepCall)
    assert (call.error, call.output) == ("Traceback\nValueError: no", None)
    assert [(one.name, one.text) for one in call.arguments] == [("alpha", "0.5"), ("day", "x")]


def test_a_call_whose_run_is_purged_is_still_shown(get: Get, called: str) -> None:
    call = get(f"/api/v1/pipelines/runs/{called}/calls/3").json(StepCall)
    assert (call.log, call.arguments, call.output) == ("", (), None)


@pytest.mark.parametrize("number", ["9", "-1", "x", "1" * 30])
def test_a_call_that_was_not_made_is_said_so(get: Get, called: str, number: str) -> None:
    assert get(f"/api/v1/pipelines/runs/{called}/calls/{number}").problem.code == "IL404"


def test_what_a_running_step_prints_is_shown_as_it_comes(stores: Stores, tmp_path: Path) -> None:
    node = GraphNode(0, "load", "running", run="now", change=1)
    (tmp_path / "steps" / "live").mkdir(parents=True)
    (tmp_path / "steps" / "live" / "now.log").write_text("half way\n")
    assert step_call(stores, [node], 0, uri=str(tmp_path)).log == "half way\n"
    assert step_call(stores, [node], 0, uri="memory:").log == ""


def test_all_of_it_wants_the_token(make_app: Any) -> None:
    app = make_app(token="open-sesame")
    for path in ("", "/nightly", "/runs/x/graph", "/runs/x/calls/0"):
        assert call(app, "GET", f"/api/v1/pipelines{path}").status == 401
