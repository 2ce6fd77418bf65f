"""Hold registered models, their versions and what is said of them, for the two stores that share them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from interlock.adapters.memory.versions import Versions
from interlock.ports.checks import unknown_name, unknown_version
from interlock.ports.model_catalog import RegisteredModel, VersionNotes
from interlock.ports.model_store import AliasMove, ModelVersion


class ModelShelf:
    """Everything known of registered models; the caller holds the journal's lock."""

    def __init__(self) -> None:
        self.records: dict[str, RegisteredModel] = {}
        self.versions = Versions("model", ModelVersion)
        self.notes: dict[str, dict[int, VersionNotes]] = {}
        self.aliases: dict[str, dict[str, int]] = {}
        self.moves: list[AliasMove] = []
        self.verdicts: dict[str, bytes] = {}
        self.numbers: dict[str, int] = {}
        """The last number given under each name, also under names and to versions that are no more."""

    def check_known(self, model: str) -> None:
        """Refuse a name that names no model."""
        if model not in self.records:
            raise unknown_name("model", model, self.records)

    def model(self, name: str) -> RegisteredModel:
        """Return a model, with its versions counted and its aliases."""
        self.check_known(name)
        record = self.records[name]
        return msgspec.structs.replace(
            record, tags=dict(record.tags), versions=len(self.notes[name]), aliases=dict(self.aliases[name])
        )

    def note(self, model: str, version: int) -> VersionNotes:
        """Return what is said of a version, with its aliases."""
        self.check_known(model)
        if version not in self.notes[model]:
            raise unknown_version("model", model, version, self.versions.newest(model))
        record = self.notes[model][version]
        aliases = sorted(alias for alias, number in self.aliases[model].items() if number == version)
        return msgspec.structs.replace(record, tags=dict(record.tags), aliases=tuple(aliases))

    def add(self, record: RegisteredModel) -> None:
        """Name a model whose name is free."""
        self.records[record.name] = record
        self.notes[record.name] = {}
        self.aliases[record.name] = {}

    def touch(self, model: str, now: datetime) -> None:
        """Remember that a model changed."""
        self.records[model] = msgspec.structs.replace(self.records[model], updated_at=now)
