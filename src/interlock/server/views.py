"""What the web UI reads: the shapes of `/api/v1`, from which its TypeScript types are generated."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from interlock.experiments.comparing import Comparison as Comparison
from interlock.experiments.folders import ExperimentRow, Folder
from interlock.experiments.groups import Group as Group
from interlock.loop.stations import Station
from interlock.loop.tracing import Trace as Trace
from interlock.ports.dataset_store import Snapshot
from interlock.ports.deployment_store import Endpoint
from interlock.ports.experiment_store import Experiment as Experiment
from interlock.ports.journal import Event
from interlock.ports.model_store import AliasMove, ModelVersion, Verdict
from interlock.ports.monitor_store import Alert, Monitor, Report
from interlock.ports.run_store import ArtifactEntry, Run
from interlock.ports.run_store import RunPage as RunPage


class LoopView(msgspec.Struct, frozen=True):
    """`GET /api/v1/loop`: the home page."""

    workspace: str
    stations: tuple[Station, ...]
    recent: tuple[Event, ...]
    last_seq: int


class FileCount(msgspec.Struct, frozen=True):
    """How many files there are, and how large they are together."""

    files: int
    size_bytes: int


class RunDetail(msgspec.Struct, frozen=True):
    """`GET /api/v1/runs/{id}`: the first of its files that are no media, and how many there are in all."""

    run: Run
    children: tuple[Run, ...]
    artifacts: tuple[ArtifactEntry, ...]
    files: FileCount
    has_media: bool


class FileFolder(msgspec.Struct, frozen=True):
    """A folder of files, by its whole path."""

    path: str
    files: int
    size_bytes: int


class RunFiles(msgspec.Struct, frozen=True):
    """`GET /api/v1/runs/{id}/files?under=…`: what lies in one folder; pass `after` for the next files."""

    under: str
    folders: tuple[FileFolder, ...]
    files: tuple[ArtifactEntry, ...]
    after: str | None


class FileHead(msgspec.Struct, frozen=True):
    """`GET /api/v1/runs/{id}/head?path=…`: the beginning of a file, as far as it can be shown.

    Args:
        file: The file.
        kind: How to show it; `binary` is not shown.
        text: The beginning of a text, JSON or HTML.
        columns: The columns of a table.
        rows: Some of its rows.
        total_rows: How many it has, if that is known.
        is_whole: Whether nothing is left out.
        why: Why it is not shown.
    """

    file: ArtifactEntry
    kind: Literal["text", "json", "html", "table", "media", "binary"]
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    total_rows: int | None = None
    is_whole: bool = True
    why: str = ""


class MediaKey(msgspec.Struct, frozen=True):
    """What was logged under one key: at which steps, in order; an item has the number of its step here."""

    kind: str
    key: str
    steps: tuple[float, ...]


class MediaEntry(msgspec.Struct, frozen=True):
    """One thing that was logged at one step, its file to show first before its others."""

    step: float
    time: int
    caption: str
    facts: dict[str, Any]
    files: tuple[ArtifactEntry, ...]


class MediaPage(msgspec.Struct, frozen=True):
    """`GET /api/v1/runs/{id}/media/{kind}/{key}?start=…`: some items of one key, by step."""

    start: int
    total: int
    entries: tuple[MediaEntry, ...]


class ExperimentLevel(msgspec.Struct, frozen=True):
    """`GET /api/v1/experiments/level?under=…`: what lies in one folder of experiments."""

    under: str
    folders: tuple[Folder, ...]
    experiments: tuple[ExperimentRow, ...]
    total: int
    after: str | None


class RunKeys(msgspec.Struct, frozen=True):
    """What runs of late logged, by name."""

    attributes: tuple[str, ...]
    params: tuple[str, ...]
    metrics: tuple[str, ...]
    tags: tuple[str, ...]
    experiments: tuple[str, ...]


class Series(msgspec.Struct, frozen=True):
    """`GET /api/v1/runs/{id}/metrics/{key}`: parallel arrays; times in microseconds since 1970 UTC."""

    key: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    times: tuple[int, ...]


class ModelSummary(msgspec.Struct, frozen=True):
    """One row of `GET /api/v1/models`."""

    name: str
    newest: ModelVersion
    aliases: dict[str, int]


class ModelDetail(msgspec.Struct, frozen=True):
    """`GET /api/v1/models/{name}`."""

    name: str
    versions: tuple[ModelVersion, ...]
    aliases: dict[str, int]
    moves: tuple[AliasMove, ...]
    verdicts: tuple[Verdict, ...]
    card: str | None


class PredictionRow(msgspec.Struct, frozen=True):
    """One answer, with its truth if that is known."""

    id: str
    model: str
    role: str
    event_time: datetime
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    truth: Any


class EndpointDetail(msgspec.Struct, frozen=True):
    """`GET /api/v1/endpoints/{name}`; `example` is a row that the live version takes, by column, if one is kept."""

    endpoint: Endpoint
    history: tuple[Endpoint, ...]
    counts: dict[str, int]
    recent: tuple[PredictionRow, ...]
    versions: tuple[ModelVersion, ...]
    example: dict[str, Any] | None


class MonitorSummary(msgspec.Struct, frozen=True):
    """One row of `GET /api/v1/monitors`."""

    monitor: Monitor
    latest: Report | None
    open_alerts: int


class MonitorDetail(msgspec.Struct, frozen=True):
    """`GET /api/v1/monitors/{name}`: reports oldest first."""

    monitor: Monitor
    reports: tuple[Report, ...]
    alerts: tuple[Alert, ...]


class GraphNode(msgspec.Struct, frozen=True):
    """One thing in a lineage picture; x and y in pixels, laid out on the server."""

    ref: str
    kind: str
    label: str
    x: float
    y: float


class GraphEdge(msgspec.Struct, frozen=True):
    """One edge of a lineage picture."""

    source: str
    target: str
    relation: str


class LineageView(msgspec.Struct, frozen=True):
    """`GET /api/v1/lineage?ref=…`: what a thing was made from and what was made from it."""

    ref: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    width: float
    height: float


class DatasetDetail(msgspec.Struct, frozen=True):
    """`GET /api/v1/datasets/{name}`: snapshots newest first; the profile of the newest as plain values."""

    name: str
    snapshots: tuple[Snapshot, ...]
    profile: dict[str, Any] | None


class Problem(msgspec.Struct, frozen=True):
    """The body of every error answer."""

    code: str
    what: str
    why: str
    fix: str
