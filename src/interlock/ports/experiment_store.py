"""Port: experiments, the named groups of runs."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

import msgspec

from interlock.ports.search import Filter, Lifecycle, OrderBy


class Experiment(msgspec.Struct, frozen=True):
    """A named group of runs; a `/` in its name puts it into a folder.

    Args:
        id: A number that stays when the name changes; 0 is the experiment `Default`.
        name: Any text without control characters; unique, also among deleted experiments.
        created_at: When it was created.
        updated_at: When it was last renamed, tagged, deleted or restored.
        tags: Short strings for people and filters.
        deleted_at: When it was deleted, if it was; its runs went with it and come back with it.
        artifact_root: Where clients put its artifacts, if not into this workspace; never opened by a server.
    """

    id: int
    name: str
    created_at: datetime
    updated_at: datetime
    tags: dict[str, str] = {}
    deleted_at: datetime | None = None
    artifact_root: str = ""


class ExperimentChange(msgspec.Struct, frozen=True):
    """What to change of an experiment; what is None stays as it is."""

    name: str | None = None
    tags: dict[str, str] = {}
    remove_tags: tuple[str, ...] = ()
    deleted: bool | None = None


class ExperimentPage(msgspec.Struct, frozen=True):
    """Some experiments, and what to pass as `after` for the next ones, None at the end."""

    experiments: tuple[Experiment, ...]
    after: str | None


class ExperimentStore(Protocol):
    """Experiments.

    Thread-safe and process-safe; every method is one transaction with its events. Ids are 0, 1, 2 …, never used
    twice; the id 0 is for `ensure("Default")` alone. A name in use raises `Conflict`, an unknown id `NotFound`. A
    deleted experiment keeps its name and takes no changes but `deleted=False` (`Conflict`). Deleting marks its active
    runs as deleted with it; restoring brings back exactly those. Changing nothing writes nothing.

    Searchable attributes: `id`, `name`, `created_at`, `updated_at`; and tags. Ties, and no order, are newest first
    (`created_at`, then id, descending).

    Events: `experiment.created`, `experiment.updated`, `experiment.deleted`, `experiment.restored`.
    """

    @abstractmethod
    def create(self, name: str, *, tags: dict[str, str] | None = None, artifact_root: str = "") -> Experiment:
        """Create an experiment."""

    @abstractmethod
    def ensure(self, name: str) -> Experiment:
        """Return the experiment of a name, created if there is none, deleted ones as they are."""

    @abstractmethod
    def get(self, experiment_id: int) -> Experiment:
        """Return an experiment, deleted or not."""

    @abstractmethod
    def find(self, name: str) -> Experiment | None:
        """Return the experiment of a name, deleted or not, or None."""

    @abstractmethod
    def update(self, experiment_id: int, change: ExperimentChange) -> Experiment:
        """Rename, tag, delete or restore an experiment."""

    @abstractmethod
    def experiments(self, *, after: str = "", limit: int = 100) -> list[Experiment]:
        """List the active experiments by name."""

    @abstractmethod
    def search(
        self,
        *,
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        lifecycle: Lifecycle = "active",
        limit: int = 1000,
        after: str | None = None,
    ) -> ExperimentPage:
        """Find experiments; `after` is what the page before returned."""

    @abstractmethod
    def delete(self, experiment_id: int) -> int:
        """Forget a deleted experiment with all its runs for good; return how many runs that were."""
