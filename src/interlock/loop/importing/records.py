"""Say what a foreign tracker holds in our own records, so that one writer serves every format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from interlock.core.hashing import digest_of
from interlock.core.plain import pack
from interlock.ports.logged_model_store import LoggedModel
from interlock.ports.model_catalog import VersionChange
from interlock.ports.run_store import Run, Series

FROM = "interlock.imported_from"
"""The tag that says which thing of which source was brought here."""
STATE = "interlock.imported_state"
"""The tag that is set last, once all is here and was compared: the digest of what the source held."""
NUMBER = "interlock.imported_version"
"""The tag of a model version that says which number it had."""

RECORDED = (FROM, STATE, NUMBER)


@dataclass(frozen=True)
class ForeignFile:
    """One file of a foreign run or model.

    Args:
        path: Where it is within its run.
        size_bytes: Its length, -1 where the source does not say.
        stamp: What changes when its content does.
        read: Yields its content.
    """

    path: str
    size_bytes: int
    stamp: str
    read: Callable[[], Iterator[bytes]] = field(compare=False)


@dataclass(frozen=True)
class ForeignExperiment:
    """One experiment as its source holds it.

    Args:
        key: What the source calls it.
        name: Its name here.
        tags: Its tags.
        deleted: Whether it was deleted there.
    """

    key: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True)
class ForeignRun:
    """One run as its source holds it.

    Args:
        run: The run as it is to be here in the end, without its metrics.
        key: What the source calls it.
        stamps: Plain values that change when its metrics do.
        series: Yields its metric series, each key perhaps in several parts.
        files: Its files.
        left_out: What of it cannot be brought, in words.
    """

    run: Run
    key: str
    stamps: tuple[Any, ...]
    series: Callable[[], Iterator[Series]]
    files: tuple[ForeignFile, ...] = ()
    left_out: tuple[str, ...] = ()

    def state(self) -> str:
        """Return the digest of what the source holds of it."""
        run = self.run
        parts = [
            [run.name, run.experiment, run.status, run.started_at, run.ended_at, run.parent, run.params, run.tags],
            [[one.name, one.digest, one.context] for one in run.datasets],
            [[one.model, one.role, one.step] for one in run.models],
            [run.deleted_at is not None, list(self.stamps), list(self.left_out)],
            [[one.path, one.size_bytes, one.stamp] for one in self.files],
        ]
        return digest_of(pack(parts))


@dataclass(frozen=True)
class ForeignLoggedModel:
    """One logged model as its source holds it: as it is to be here in the end, and its files."""

    model: LoggedModel
    files: tuple[ForeignFile, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignVersion:
    """One version of a registered model.

    Args:
        number: Its number there.
        notes: What is said of it: description, stage, tags, source, run link, logged model.
        created_micros: When it was registered.
        run: Id of the run that made it.
        of_logged_model: The logged model whose files it has.
        of_run: The run, and the path within it, whose files it has.
        files: Its files, where they belong to neither.
        left_out: What of it cannot be brought, in words.
    """

    number: int
    notes: VersionChange
    created_micros: int
    run: str | None = None
    of_logged_model: str | None = None
    of_run: tuple[str, str] | None = None
    files: tuple[ForeignFile, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForeignModel:
    """One registered model with the versions that were not deleted, oldest first."""

    name: str
    description: str
    tags: dict[str, str]
    aliases: dict[str, int]
    versions: tuple[ForeignVersion, ...]


class Source(Protocol):
    """A foreign tracker, opened for reading; nothing is ever written to it."""

    @property
    def kind(self) -> str:
        """Its format (`mlflow`, `wandb` …)."""

    @property
    def uri(self) -> str:
        """Where it is, without secrets."""

    def experiments(self) -> Iterator[ForeignExperiment]:
        """Yield its experiments, deleted ones too."""

    def runs(self, experiment: ForeignExperiment) -> Iterator[ForeignRun]:
        """Yield the runs of an experiment, the oldest first."""

    def logged_models(self, experiment: ForeignExperiment) -> Iterator[ForeignLoggedModel]:
        """Yield the logged models of an experiment."""

    def models(self) -> Iterator[ForeignModel]:
        """Yield the registered models."""
