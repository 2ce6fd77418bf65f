"""Port: runs, and what they log."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from interlock.ports.journal import Edge
from interlock.ports.search import Filter, Lifecycle, OrderBy

RunStatus = Literal["running", "scheduled", "finished", "failed", "killed"]


class MetricSummary(msgspec.Struct, frozen=True):
    """What a metric series comes to: first and last are by step, then time, then arrival.

    `min`, `max` and `mean` are of the values that are not NaN (NaN if there are none); `count` is of all.
    """

    key: str
    last: float
    first: float
    min: float
    max: float
    mean: float
    count: int
    last_step: float
    last_time: int = 0


class DatasetUse(msgspec.Struct, frozen=True):
    """A dataset that a run read, as its client described it.

    Args:
        name: Its name.
        digest: What tells its contents from others, in the client's words.
        context: What it was read for (`training`, `eval`).
        source_type: What kind of source it has.
        source: Where it lies, as JSON.
        schema: Its columns, as JSON.
        profile: Its figures, as JSON.
        tags: Short strings.
    """

    name: str
    digest: str
    context: str = ""
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""
    tags: dict[str, str] = {}


class ModelUse(msgspec.Struct, frozen=True):
    """A logged model that a run read or made, at a step."""

    model: str
    role: Literal["input", "output"]
    step: int = 0


class Run(msgspec.Struct, frozen=True):
    """Any recorded execution.

    Args:
        id: Time-sortable id; the Ref is `run:<id>`.
        experiment: Name of its experiment.
        kind: `training`, `pipeline`, `step`, `study`, `trial`, `evaluation`, …
        name: A name for people.
        status: Where it stands.
        started_at: When it began.
        ended_at: When it ended, if it has.
        parent: Id of the run that contains it.
        params: Parameters, typed and possibly nested.
        tags: Short strings for people and filters.
        code: Commit, branch, whether dirty, digest of the uncommitted diff, entry point.
        libraries: Distribution name to version.
        environment: Host, Python, platform, command line.
        metrics: Summary of each series, by key.
        error: Why it failed, if it did.
        datasets: The datasets it read, in order of arrival.
        models: The logged models it read and made, in order of arrival.
        deleted_at: When it was deleted, if it was.
    """

    id: str
    experiment: str
    kind: str
    name: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None = None
    parent: str | None = None
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    code: dict[str, Any] = {}
    libraries: dict[str, str] = {}
    environment: dict[str, Any] = {}
    metrics: dict[str, MetricSummary] = {}
    error: str | None = None
    datasets: tuple[DatasetUse, ...] = ()
    models: tuple[ModelUse, ...] = ()
    deleted_at: datetime | None = None


DIFF_FILE = "code/uncommitted.diff"
"""Path of the artifact of a run that holds the uncommitted changes it ran with."""


class Provenance(msgspec.Struct, frozen=True):
    """Under which code and in which environment something runs.

    Args:
        code: `vcs` (`git` or `none`), and for git `commit`, `branch`, `dirty` and `untracked`; `entry_point`.
        environment: `host`, `user`, `python`, `platform`, `argv`, `folder`.
        libraries: Distribution name to version.
        diff: The uncommitted changes to tracked files, as a patch; empty if there are none.
    """

    code: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    libraries: dict[str, str] = {}
    diff: bytes = b""


class MetricPoint(msgspec.Struct, frozen=True):
    """One value of a series. `time` is microseconds since 1970 UTC; `step` may be fractional and late."""

    key: str
    value: float
    step: float
    time: int


class ArtifactEntry(msgspec.Struct, frozen=True):
    """One file of a run: a path within the run, and the content it names."""

    path: str
    digest: str
    size_bytes: int


class Series(msgspec.Struct, frozen=True):
    """Points of one series as packed little-endian columns of 8 bytes: float64 values and steps, int64 times."""

    key: str
    values: bytes
    steps: bytes
    times: bytes


class RunBatch(msgspec.Struct, frozen=True):
    """What a run logs at once; all of it is written, or none.

    Metrics may come as points, or as columns, which cost far less where there are many.
    """

    metrics: tuple[MetricPoint, ...] = ()
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    artifacts: tuple[ArtifactEntry, ...] = ()
    edges: tuple[Edge, ...] = ()
    series: tuple[Series, ...] = ()
    datasets: tuple[DatasetUse, ...] = ()
    models: tuple[ModelUse, ...] = ()


class RunChange(msgspec.Struct, frozen=True):
    """What to change of a run besides what it logs and how it ends; what is None stays.

    Args:
        name: A new name.
        experiment: Name of the experiment to move it to, created if need be.
        remove_tags: Keys of tags to remove; those it has not raise `NotFound`.
        remove_artifacts: Paths of files to remove, each with everything below it.
        deleted: Whether it is to be deleted; a deleted run takes no batches.
    """

    name: str | None = None
    experiment: str | None = None
    remove_tags: tuple[str, ...] = ()
    remove_artifacts: tuple[str, ...] = ()
    deleted: bool | None = None


class RunPage(msgspec.Struct, frozen=True):
    """Some runs, and what to pass as `after` for the next ones, None at the end."""

    runs: tuple[Run, ...]
    after: str | None


Sampling = Literal["minmax", "lttb"]
"""How a series is thinned out: the extremes of every stretch, or the points that keep its shape."""


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs to list; every field given must match."""

    experiment: str | None = None
    kind: str | None = None
    status: str | None = None
    parent: str | None = None
    tags: dict[str, str] = {}


class RunStore(Protocol):
    """Runs.

    Thread-safe and process-safe; every method is one transaction that also writes its events and edges. Ids come from
    the caller, so creating the same run again raises `Conflict` and a retry is harmless. A param once set keeps its
    value: another value raises `Conflict` and nothing of the batch is written. Metric points are appended in any step
    order, a point that is there already (same key, step, time and value) once, so that a batch may be sent again;
    summaries are exact. Unknown ids raise `NotFound`. Times are aware UTC. Edges with an empty target point to the
    run. Ending a run as it ended writes nothing; reopening one tells `run.started`. A deleted run, and a deleted
    experiment, take nothing more (`Conflict`); deleting one again, or restoring an active one, changes nothing.

    Searchable attributes: `id`, `name`, `status`, `kind`, `experiment`, `parent`, `user`, `started_at`, `ended_at`;
    metrics, params, tags, datasets. Ties, and no order, are newest first: `started_at` descending, then id.

    Events: `run.started`, `run.finished`, `run.failed`, `run.killed`, `run.deleted`, `run.restored`, `run.moved`,
    `run.purged`; edge
    parent run → run (`contains`).
    """

    @abstractmethod
    def create(self, run: Run, *, edges: Sequence[Edge] = ()) -> Run:
        """Record a run that begins; its experiment is created if need be."""

    @abstractmethod
    def get(self, run_id: str) -> Run:
        """Return a run with its params, tags and metric summaries, deleted or not."""

    @abstractmethod
    def end(self, run_id: str, *, status: RunStatus, ended_at: datetime, error: str | None = None) -> Run:
        """Close a run, or reopen it with status `running` or `scheduled`."""

    @abstractmethod
    def update(self, run_id: str, change: RunChange) -> Run:
        """Rename, move, delete or restore a run, or take tags or files from it."""

    @abstractmethod
    def runs(
        self,
        *,
        where: RunFilter = RunFilter(),  # noqa: B008 (frozen)
        before: str | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """List active runs, newest first, those with an id less than `before`."""

    @abstractmethod
    def search(
        self,
        *,
        experiments: tuple[str, ...] = (),
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        lifecycle: Lifecycle = "active",
        limit: int = 1000,
        after: str | None = None,
    ) -> RunPage:
        """Find runs, of some experiments if any are named; `after` is what the page before returned."""

    @abstractmethod
    def count(self, *, where: RunFilter = RunFilter()) -> int:  # noqa: B008 (frozen)
        """Return how many active runs match."""

    @abstractmethod
    def log(self, run_id: str, batch: RunBatch) -> None:
        """Append a batch to a run."""

    @abstractmethod
    def history(self, run_id: str, key: str) -> list[MetricPoint]:
        """Return a whole metric series by step, then time, then order of arrival."""

    @abstractmethod
    def sampled(self, run_id: str, key: str, *, points: int = 2000, by: Sampling = "minmax") -> Series:
        """Return a metric series thinned out to about so many points, by step; shorter ones whole.

        Source: Steinarsson 2013, Downsampling Time Series for Visual Representation (largest triangle three buckets).
        """

    @abstractmethod
    def artifacts(self, run_id: str) -> list[ArtifactEntry]:
        """List the files of a run by path."""

    @abstractmethod
    def delete(self, run_id: str) -> bool:
        """Forget a deleted run for good, with all it logged; return whether it was there."""
