"""Port: registered models as people see them: descriptions, tags, stages, and what was deleted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from interlock.ports.search import Filter, OrderBy


class RegisteredModel(msgspec.Struct, frozen=True):
    """One registered model, with or without versions.

    Args:
        name: Any text without control characters, `:` and `/` excepted in new names.
        created_at: When it was first named.
        updated_at: When it last changed, or a version of it was added, deleted or moved to another stage.
        description: What it is for.
        tags: Short strings.
        versions: How many versions there are that were not deleted.
        aliases: Where each alias points.
    """

    name: str
    created_at: datetime
    updated_at: datetime
    description: str = ""
    tags: dict[str, str] = {}
    versions: int = 0
    aliases: dict[str, int] = {}


class RegisteredModelChange(msgspec.Struct, frozen=True):
    """What to change of a registered model; what is None stays."""

    description: str | None = None
    tags: dict[str, str] = {}
    remove_tags: tuple[str, ...] = ()


class VersionNotes(msgspec.Struct, frozen=True):
    """What people say of a version; the version itself is immutable (`ModelVersion`).

    Args:
        model: Name of the registered model.
        version: Its number.
        created_at: When it was registered.
        updated_at: When one of these last changed.
        description: What it is.
        stage: `None`, `Staging`, `Production` or `Archived`.
        tags: Those it was registered with, as changed since.
        aliases: The aliases that point at it.
        source: Where its files came from, as the client wrote it; never opened by a server.
        run: Id of the run that made it.
        run_link: An address of that run for people.
        logged_model: Id of the logged model it was made of.
    """

    model: str
    version: int
    created_at: datetime
    updated_at: datetime
    description: str = ""
    stage: str = "None"
    tags: dict[str, str] = {}
    aliases: tuple[str, ...] = ()
    source: str = ""
    run: str | None = None
    run_link: str = ""
    logged_model: str = ""


class VersionChange(msgspec.Struct, frozen=True):
    """What to change of a version's notes; what is None stays.

    With `archive_others` all other versions in the stage that is given are moved to `Archived` at once.
    """

    description: str | None = None
    stage: str | None = None
    tags: dict[str, str] = {}
    remove_tags: tuple[str, ...] = ()
    source: str | None = None
    run_link: str | None = None
    logged_model: str | None = None
    archive_others: bool = False


class RegisteredModelPage(msgspec.Struct, frozen=True):
    """Some registered models, and what to pass as `after` for the next ones, None at the end."""

    models: tuple[RegisteredModel, ...]
    after: str | None


class VersionPage(msgspec.Struct, frozen=True):
    """Some versions, and what to pass as `after` for the next ones, None at the end."""

    versions: tuple[VersionNotes, ...]
    after: str | None


class ModelCatalog(Protocol):
    """Registered models and the notes on their versions.

    Thread-safe and process-safe; every method is one transaction with its events. Versions are added through the
    `ModelStore`, which names the model here if it is new. A name in use raises `Conflict`, an unknown name or version
    `NotFound`, as does a tag to remove that is not there. Deleting a version removes its aliases and hides it
    everywhere, and its number is never used again; deleting a model does so to all its versions and frees the name.
    What an endpoint routes to can be neither deleted nor renamed (`Conflict`). Renaming takes versions, aliases,
    verdicts, history and lineage along. Changing nothing writes nothing.

    Searchable of models: `name`, `created_at`, `updated_at`, tags; of versions: `model`, `version`, `run`, `source`,
    `stage`, `created_at`, `updated_at`, tags. Without an order models come by name, versions by name and then newest
    first.

    Events: `model.created`, `model.updated`, `model.renamed`, `model.deleted`, `model.version_updated`,
    `model.version_deleted`.
    """

    @abstractmethod
    def create(self, name: str, *, description: str = "", tags: dict[str, str] | None = None) -> RegisteredModel:
        """Name a model that has no versions yet."""

    @abstractmethod
    def get(self, name: str) -> RegisteredModel:
        """Return a registered model."""

    @abstractmethod
    def update(self, name: str, change: RegisteredModelChange) -> RegisteredModel:
        """Describe or tag a model."""

    @abstractmethod
    def rename(self, name: str, new_name: str) -> RegisteredModel:
        """Give a model another name."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a model with its versions."""

    @abstractmethod
    def search(
        self,
        *,
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        limit: int = 100,
        after: str | None = None,
    ) -> RegisteredModelPage:
        """Find registered models."""

    @abstractmethod
    def notes(self, model: str, version: int) -> VersionNotes:
        """Return what is said of a version."""

    @abstractmethod
    def newest_by_stage(self, models: Sequence[str]) -> list[VersionNotes]:
        """Return the newest version in each stage of some models, by model and then newest first."""

    @abstractmethod
    def annotate(self, model: str, version: int, change: VersionChange) -> VersionNotes:
        """Describe or tag a version, or move it to another stage."""

    @abstractmethod
    def delete_version(self, model: str, version: int) -> None:
        """Delete a version."""

    @abstractmethod
    def search_versions(
        self,
        *,
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        limit: int = 100,
        after: str | None = None,
    ) -> VersionPage:
        """Find versions."""
