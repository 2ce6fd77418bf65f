"""What the pages about pipelines read: pipelines by name, their history as a grid, the drawn graph, one step call."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec


class ScheduleRow(msgspec.Struct, frozen=True):
    """What starts something by itself: a schedule of a pipeline, or another trigger.

    Args:
        name: Name of the trigger.
        action: What it sets off.
        pipeline: The name of the pipeline it starts; empty where it starts none, or its target does not say which.
        target: What it starts, as `interlock pipeline run` takes it.
        arguments: What it is started with.
        cron: The times, if it goes by time.
        time_zone: The zone they are read in.
        on: The kind of event, if it goes by events.
        where: What the event has to be.
        next_at: When it is due next, if it goes by time and is live.
        is_enabled: Whether it is live.
    """

    name: str
    action: str
    pipeline: str
    target: str
    arguments: dict[str, Any]
    cron: str | None
    time_zone: str
    on: str | None
    where: dict[str, Any]
    next_at: datetime | None
    is_enabled: bool


class PipelineRunRow(msgspec.Struct, frozen=True):
    """One run of a pipeline, in short."""

    id: str
    name: str
    experiment: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    error: str | None
    resumes: str


class PipelineRow(msgspec.Struct, frozen=True):
    """A pipeline by its name: how many of the newest runs are its, and the newest of them."""

    name: str
    experiment: str
    runs: int
    recent: tuple[PipelineRunRow, ...]
    schedules: tuple[str, ...]


class PipelineList(msgspec.Struct, frozen=True):
    """`GET /api/v1/pipelines`: those that ran of late, newest first, and everything that starts by itself."""

    pipelines: tuple[PipelineRow, ...]
    schedules: tuple[ScheduleRow, ...]


class GridCell(msgspec.Struct, frozen=True):
    """What became of the calls of one step in one run; `node` is the one to look at first."""

    status: str
    calls: int
    node: int
    duration_s: float
    reason: str


class GridRow(msgspec.Struct, frozen=True):
    """One step of a pipeline, run by run, in the order of the runs."""

    step: str
    cells: tuple[GridCell | None, ...]


class PipelineHistory(msgspec.Struct, frozen=True):
    """`GET /api/v1/pipelines/{name}`: runs newest first, steps in the order of their calls; pass `after` for more."""

    name: str
    runs: tuple[PipelineRunRow, ...]
    steps: tuple[GridRow, ...]
    schedules: tuple[ScheduleRow, ...]
    after: str | None


class DrawnNode(msgspec.Struct, frozen=True):
    """Calls that are drawn as one node; x and y of its middle in pixels, laid out on the server.

    Args:
        id: The first of the calls.
        node: The call to look at first: one that failed or runs, if any does.
        step: The step.
        group: The pipelines inside the running one that called it, as a path; empty for none.
        calls: How many calls it stands for.
        status: How they stand; of several ways the worst.
        statuses: How many stand how.
        reason: Why it ran, was reused or was not run; empty where the calls differ in that.
        started_at: When the first began, in seconds since 1970 UTC; 0 if none did.
        duration_s: How long they took together.
        error: Why one failed, if so.
        x: How far to the right.
        y: How far down.
    """

    id: int
    node: int
    step: str
    group: str
    calls: int
    status: str
    statuses: dict[str, int]
    reason: str
    started_at: float
    duration_s: float
    error: str | None
    x: float
    y: float


class DrawnEdge(msgspec.Struct, frozen=True):
    """An output that goes from one drawn node to another; `bends` are x and y in turn of the points between them."""

    source: int
    target: int
    bends: tuple[float, ...]


class PipelineGraph(msgspec.Struct, frozen=True):
    """`GET /api/v1/pipelines/runs/{id}/graph`: the whole picture, or the nodes of it that changed.

    Args:
        run: The run.
        change: The newest change that is in here; pass it as `after`.
        calls: How many calls there are; pass it as `known`.
        is_whole: Whether this is the whole picture; if not, only `nodes`, those that changed.
        statuses: How many calls stand how.
        nodes: The drawn nodes.
        edges: The edges between them.
        width: How wide the picture is, from the first middle to the last.
        height: How high.
    """

    run: PipelineRunRow
    change: int
    calls: int
    is_whole: bool
    statuses: dict[str, int]
    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]
    width: float
    height: float


class OutputPreview(msgspec.Struct, frozen=True):
    """The beginning of a stored output, as far as it can be shown without running anything.

    Args:
        form: How it is stored.
        digest: The digest of what is stored.
        size_bytes: How long that is.
        kind: How to show it; `hidden` is not shown.
        text: A value as text.
        columns: The columns of a table.
        rows: Its first rows.
        total_rows: How many it has, if that is known.
        picture: A picture, as an address that holds it.
        refs: The Refs that it is or holds.
        why: Why it is not shown, or not in full.
        parts: The fields of several outputs, by name.
    """

    form: str
    digest: str
    size_bytes: int
    kind: Literal["table", "picture", "text", "fields", "hidden"]
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    total_rows: int | None = None
    picture: str = ""
    refs: tuple[str, ...] = ()
    why: str = ""
    parts: dict[str, OutputPreview] = {}


class CallRow(msgspec.Struct, frozen=True):
    """One of several calls that are drawn as one node."""

    node: int
    status: str
    duration_s: float
    reason: str


class CallArgument(msgspec.Struct, frozen=True):
    """An argument of a call as people are shown it; empty for what another step gave."""

    name: str
    text: str


class CallSource(msgspec.Struct, frozen=True):
    """A call whose output is taken by another."""

    node: int
    step: str
    status: str
    output: OutputPreview | None


class MadeModel(msgspec.Struct, frozen=True):
    """A model that a step made or returned, with its card."""

    ref: str
    card: str


class StepCall(msgspec.Struct, frozen=True):
    """`GET /api/v1/pipelines/runs/{id}/calls/{node}`: one step call, with its inputs and its output previewed.

    Args:
        node: Its place among the calls of the run.
        step: The step.
        group: The pipelines inside the running one that called it.
        status: How it stands.
        reason: Why it ran, was reused or was not run.
        key: Its cache key, once its inputs are known.
        run: Id of the run that executed it, now or then.
        started_at: When it began, in seconds since 1970 UTC; 0 if it did not.
        duration_s: How long the execution took.
        error: Why it failed, in full.
        arguments: What it was given.
        sources: The calls whose outputs it takes; the first of them.
        source_count: How many there are.
        output: Its output, once it has one.
        models: The models that it made or returned.
        log: The end of what it printed and logged.
        is_log_whole: Whether that is all of it.
        doubts: Why executing it again might give something else.
        alike: The calls drawn as one with it, those that failed or run first; the first of them.
        alike_count: How many there are.
    """

    node: int
    step: str
    group: str
    status: str
    reason: str
    key: str
    run: str
    started_at: float
    duration_s: float
    error: str | None
    arguments: tuple[CallArgument, ...]
    sources: tuple[CallSource, ...]
    source_count: int
    output: OutputPreview | None
    models: tuple[MadeModel, ...]
    log: str
    is_log_whole: bool
    doubts: tuple[str, ...]
    alike: tuple[CallRow, ...]
    alike_count: int
