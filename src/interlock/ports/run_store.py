"""Port: experiments, runs, and what runs log."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from interlock.ports.journal import Edge

RunStatus = Literal["running", "finished", "failed", "killed"]


class Experiment(msgspec.Struct, frozen=True):
    """A named group of runs."""

    name: str
    created_at: datetime
    tags: dict[str, str] = {}


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


class RunBatch(msgspec.Struct, frozen=True):
    """What a run logs at once; all of it is written, or none."""

    metrics: tuple[MetricPoint, ...] = ()
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    artifacts: tuple[ArtifactEntry, ...] = ()
    edges: tuple[Edge, ...] = ()


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs to list; every field given must match."""

    experiment: str | None = None
    kind: str | None = None
    status: str | None = None
    parent: str | None = None
    tags: dict[str, str] = {}


class RunStore(Protocol):
    """Experiments and runs.

    Thread-safe and process-safe; every method is one transaction that also writes its events and edges. Ids
    come from the caller, so creating the same run again raises `Conflict` and a retry is harmless. A param
    once set keeps its value: another value raises `Conflict` and nothing of the batch is written. Metric points
    are appended in any step order; summaries are exact. Unknown ids raise `NotFound`. Times are aware UTC. Edges with
    an empty target point to the run. Ending a run as it ended writes nothing; reopening one tells `run.started`.

    Events: `experiment.created`, `run.started`, `run.finished`, `run.failed`, `run.killed`; edge
    parent run → run (`contains`).
    """

    @abstractmethod
    def create_experiment(self, name: str, *, tags: dict[str, str] | None = None) -> Experiment:
        """Create an experiment; return the existing one if there is one of that name."""

    @abstractmethod
    def experiments(self, *, after: str = "", limit: int = 100) -> list[Experiment]:
        """List experiments by name."""

    @abstractmethod
    def create(self, run: Run, *, edges: Sequence[Edge] = ()) -> Run:
        """Record a run that begins; its experiment is created if need be."""

    @abstractmethod
    def get(self, run_id: str) -> Run:
        """Return a run with its params, tags and metric summaries."""

    @abstractmethod
    def end(self, run_id: str, *, status: RunStatus, ended_at: datetime, error: str | None = None) -> Run:
        """Close a run, or reopen it with status `running`."""

    @abstractmethod
    def runs(
        self,
        *,
        where: RunFilter = RunFilter(),  # noqa: B008 (frozen)
        before: str | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """List runs, newest first, those with an id less than `before`."""

    @abstractmethod
    def count(self, *, where: RunFilter = RunFilter()) -> int:  # noqa: B008 (frozen)
        """Return how many runs match."""

    @abstractmethod
    def log(self, run_id: str, batch: RunBatch) -> None:
        """Append a batch to a run."""

    @abstractmethod
    def history(self, run_id: str, key: str) -> list[MetricPoint]:
        """Return a whole metric series by step, then time, then order of arrival."""

    @abstractmethod
    def artifacts(self, run_id: str) -> list[ArtifactEntry]:
        """List the files of a run by path."""
