"""Answer about pipelines: by name, their history as a grid, a run's graph drawn and live, one step call."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import InterlockError, NotFound, did_you_mean
from interlock.loop.starting import PIPELINE
from interlock.loop.triggers import next_time
from interlock.pipelines.outcomes import STEPS_FILE, StepOutcome
from interlock.pipelines.runner import RESUMES_TAG
from interlock.ports.run_store import Run, RunFilter
from interlock.ports.search import AllOf, Compare, Field
from interlock.ports.step_cache import GraphNode
from interlock.ports.stores import Stores
from interlock.ports.trigger_store import Trigger
from interlock.server.pipeline_graphs import bundled, drawn_edges, drawn_node, placed, worst
from interlock.server.pipeline_views import (
    GridCell,
    GridRow,
    PipelineGraph,
    PipelineHistory,
    PipelineList,
    PipelineRow,
    PipelineRunRow,
    ScheduleRow,
    StepCall,
)
from interlock.server.step_calls import step_call
from interlock.server.view_routes import NoQuery, Source, View

_NEWEST = 1000
_RECENT = 12
_KIND = re.compile(r"^\w+: error: ")
_clock: Clock = SystemClock()


class HistoryQuery(msgspec.Struct, frozen=True):
    """How many runs to show; `after` is what the page before returned."""

    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=50)] = 16


class GraphQuery(msgspec.Struct, frozen=True):
    """Whether each call is drawn by itself; for what changed alone, what the last answer said."""

    apart: bool = False
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    known: Annotated[int, msgspec.Meta(ge=0)] = 0


def list_pipelines(source: Source, query: NoQuery) -> PipelineList:
    """List the pipelines that ran of late, and everything that starts by itself."""
    stores = source.stores
    schedules = _schedules(stores)
    by_name: dict[str, list[Run]] = {}
    for run in stores.runs.runs(where=RunFilter(kind="pipeline"), limit=_NEWEST):
        by_name.setdefault(run.name, []).append(run)
    rows = [
        PipelineRow(
            name=name,
            experiment=runs[0].experiment,
            runs=len(runs),
            recent=tuple(_run_row(run) for run in runs[:_RECENT]),
            schedules=tuple(one.name for one in schedules if one.pipeline == name),
        )
        for name, runs in by_name.items()
    ]
    return PipelineList(pipelines=tuple(rows), schedules=schedules)


def show_history(source: Source, query: HistoryQuery, *, name: str) -> PipelineHistory:
    """Show the newest runs of a pipeline, step by step."""
    stores = source.stores
    is_its = AllOf(
        (
            Compare(Field("attribute", "kind"), "=", "pipeline"),
            Compare(Field("attribute", "name"), "=", name),
        )
    )
    page = stores.runs.search(where=is_its, limit=query.limit, after=query.after)
    schedules = tuple(one for one in _schedules(stores) if one.pipeline == name)
    if not page.runs and not schedules and query.after is None:
        known = {run.name for run in stores.runs.runs(where=RunFilter(kind="pipeline"), limit=_NEWEST)}
        raise NotFound(f"no pipeline '{name[:200]}' has run", why=did_you_mean(name[:200], known))
    return PipelineHistory(
        name=name,
        runs=tuple(_run_row(run) for run in page.runs),
        steps=_grid([_nodes(stores, run.id) for run in page.runs]),
        schedules=schedules,
        after=page.after,
    )


def show_graph(source: Source, query: GraphQuery, *, run_id: str) -> PipelineGraph:
    """Draw the graph of a run; given what is known already, only the nodes that changed since."""
    stores = source.stores
    run = _pipeline_run(stores, run_id)
    changed: set[int] | None = None
    if query.after and query.known:
        newest = stores.steps.nodes(run_id, after=query.after)
        if not newest:
            return _picture(run, (), change=query.after, calls=query.known)
        changed = {node.node for node in newest}
    nodes = _nodes(stores, run_id)
    if changed is not None and len(nodes) == query.known:
        bundles = [one for one in bundled(nodes, apart=query.apart) if any(call.node in changed for call in one.calls)]
        picture = _picture(run, nodes)
        return msgspec.structs.replace(picture, nodes=tuple(drawn_node(one, (0.0, 0.0)) for one in bundles))
    bundles = bundled(nodes, apart=query.apart)
    layout = placed(bundles)
    return msgspec.structs.replace(
        _picture(run, nodes),
        is_whole=True,
        nodes=tuple(drawn_node(one, layout.places[one.id]) for one in bundles),
        edges=drawn_edges(bundles, layout),
        width=layout.width,
        height=layout.height,
    )


def show_call(source: Source, query: NoQuery, *, run_id: str, node: str) -> StepCall:
    """Show one step call of a run."""
    _pipeline_run(source.stores, run_id)
    if not (node.isascii() and node.isdigit() and len(node) < 10):
        raise NotFound(f"the run made no call '{node[:40]}'", why="calls have numbers from 0", fix="look at its graph")
    return step_call(source.stores, _nodes(source.stores, run_id), int(node), uri=source.uri)


def _picture(run: Run, nodes: Sequence[GraphNode], *, change: int = 0, calls: int = 0) -> PipelineGraph:
    return PipelineGraph(
        run=_run_row(run),
        change=max((node.change for node in nodes), default=change),
        calls=len(nodes) or calls,
        is_whole=False,
        statuses=dict(Counter(node.status for node in nodes)),
        nodes=(),
        edges=(),
        width=0.0,
        height=0.0,
    )


def _pipeline_run(stores: Stores, run_id: str) -> Run:
    run = stores.runs.get(run_id)
    if run.kind != "pipeline":
        raise NotFound(f"run:{run_id} has no graph", why=f"it is a {run.kind}, not a pipeline")
    return run


def _nodes(stores: Stores, run_id: str) -> list[GraphNode]:
    """Return the calls of a run; of one that was recorded without a graph, what became of its steps."""
    nodes = stores.steps.nodes(run_id)
    if nodes:
        return nodes
    entry = next((file for file in stores.runs.artifacts(run_id) if file.path == STEPS_FILE), None)
    if entry is None or stores.artifacts.find(entry.digest) is None:
        return []
    outcomes = msgspec.json.decode(stores.artifacts.get(entry.digest), type=tuple[StepOutcome, ...])
    return [_node_of(number, outcome) for number, outcome in enumerate(outcomes)]


def _node_of(number: int, outcome: StepOutcome) -> GraphNode:
    ran = "failed" if outcome.error is not None else "finished"
    return GraphNode(
        node=number,
        step=outcome.step,
        status="reused" if outcome.reused else ran if outcome.run_id else "skipped",  # type: ignore[arg-type]
        group=outcome.path.removesuffix(outcome.step),
        key=outcome.key,
        run=outcome.run_id,
        reason=outcome.reason,
        duration_s=outcome.duration_s,
        error=outcome.error,
    )


def _grid(runs: Sequence[Sequence[GraphNode]]) -> tuple[GridRow, ...]:
    """Return a row for each step that one of the runs called, in the order of the newest run, then of the older."""
    calls: dict[str, dict[int, list[GraphNode]]] = {}
    for place, nodes in enumerate(runs):
        for node in nodes:
            calls.setdefault(node.group + node.step, {}).setdefault(place, []).append(node)
    return tuple(
        GridRow(step, tuple(_cell(found[place]) if place in found else None for place in range(len(runs))))
        for step, found in calls.items()
    )


def _cell(calls: Sequence[GraphNode]) -> GridCell:
    first = worst(calls)
    took_s = sum(call.duration_s for call in calls)
    return GridCell(first.status, len(calls), first.node, took_s, first.error or first.reason)


def _run_row(run: Run) -> PipelineRunRow:
    return PipelineRunRow(
        id=run.id,
        name=run.name,
        experiment=run.experiment,
        status=run.status,
        started_at=run.started_at,
        ended_at=run.ended_at,
        error=_said(run.error) if run.error else None,
        resumes=run.tags.get(RESUMES_TAG, ""),
    )


def _said(error: str) -> str:
    """Return what an error says and why, without its traceback and what to try."""
    lines = [line for line in error.strip().splitlines() if not line.startswith("try: ")]
    why = next((place for place, line in enumerate(lines) if line.startswith("because: ")), 0)
    return _KIND.sub("", "; ".join(lines[max(why - 1, 0) :] if why else lines[-1:]))[:500]


def _schedules(stores: Stores) -> tuple[ScheduleRow, ...]:
    return tuple(_schedule_row(one) for one in stores.triggers.triggers())


def _schedule_row(trigger: Trigger) -> ScheduleRow:
    target = str(trigger.params.get("target", "")) if trigger.action == PIPELINE else ""
    arguments: dict[str, Any] = trigger.params.get("arguments", {}) if target else dict(trigger.params)
    return ScheduleRow(
        name=trigger.name,
        action=trigger.action,
        # a target without the name of a pipeline starts the one that its file has, after which the schedule is named
        pipeline=(target.rpartition(":")[2] if ":" in target else trigger.name) if target else "",
        target=target,
        arguments=arguments,
        cron=trigger.cron,
        time_zone=trigger.time_zone,
        on=trigger.on,
        where=trigger.where,
        next_at=_next_at(trigger) if trigger.enabled else None,
        is_enabled=trigger.enabled,
    )


def _next_at(trigger: Trigger) -> datetime | None:
    if trigger.cron is None:
        return None
    try:
        return next_time(trigger.cron, trigger.time_zone, after=_clock.now())
    except InterlockError:  # written by another version: the schedule is shown without its next time
        return None


VIEWS = (
    View(path="/pipelines", read=list_pipelines),
    View(path="/pipelines/{name}", read=show_history, query=HistoryQuery),
    View(path="/pipelines/runs/{run_id}/graph", read=show_graph, query=GraphQuery),
    View(path="/pipelines/runs/{run_id}/calls/{node}", read=show_call),
)
