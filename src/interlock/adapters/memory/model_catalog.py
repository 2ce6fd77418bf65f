"""Keep what is said of registered models and their versions in dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.model_shelf import ModelShelf
from interlock.adapters.memory.searching import page_of
from interlock.core.clock import Clock
from interlock.core.plain import pack
from interlock.core.refs import check_title, ref_of
from interlock.ports.deployment_store import DeploymentStore
from interlock.ports.model_catalog import (
    ModelCatalog,
    RegisteredModel,
    RegisteredModelChange,
    RegisteredModelPage,
    VersionChange,
    VersionNotes,
    VersionPage,
)
from interlock.ports.model_rules import (
    ARCHIVE,
    alias_gone,
    changed_model,
    changed_version,
    check_model_change,
    check_version_change,
    model_taken,
    refuse_routed,
    renamed_verdict,
    told_of_move,
)
from interlock.ports.model_store import Verdict
from interlock.ports.search import Filter, OrderBy
from interlock.ports.search_fields import MODELS, VERSIONS

_ENDPOINTS = 1_000_000

_decode_verdict = msgspec.msgpack.Decoder(Verdict).decode


class MemoryModelCatalog(ModelCatalog):
    """Registered models in memory.

    Args:
        journal: Whose lock all memory stores share.
        clock: Tells the time of changes.
        shelf: What the model store over the same journal holds.
        deployments: What is routed to.
    """

    def __init__(self, journal: MemoryJournal, clock: Clock, shelf: ModelShelf, deployments: DeploymentStore) -> None:
        self._journal = journal
        self._clock = clock
        self._shelf = shelf
        self._deployments = deployments

    def create(self, name: str, *, description: str = "", tags: dict[str, str] | None = None) -> RegisteredModel:
        check_title(name, of="model")
        check_model_change(RegisteredModelChange(description=description, tags=tags or {}))
        with self._journal.lock:
            if name in self._shelf.records:
                raise model_taken(name)
            now = self._clock.now()
            self._shelf.add(RegisteredModel(name, now, now, description, dict(tags or {})))
            self._journal.append("model.created", ref_of("model", name))
            return self._shelf.model(name)

    def get(self, name: str) -> RegisteredModel:
        with self._journal.lock:
            return self._shelf.model(name)

    def update(self, name: str, change: RegisteredModelChange) -> RegisteredModel:
        check_model_change(change)
        with self._journal.lock:
            after, told = changed_model(self._shelf.model(name), change, now=self._clock.now())
            if told:
                self._shelf.records[name] = after
                self._journal.append("model.updated", ref_of("model", name), payload=told)
            return self._shelf.model(name)

    def rename(self, name: str, new_name: str) -> RegisteredModel:
        check_title(new_name, of="model")
        with self._journal.lock:
            self._shelf.check_known(name)
            if new_name == name:
                return self._shelf.model(name)
            if new_name in self._shelf.records:
                raise model_taken(new_name)
            refuse_routed(self._deployments.endpoints(limit=_ENDPOINTS), name, verb="renamed")
            self._move(name, new_name)
            self._journal.redirect(ref_of("model", name), ref_of("model", new_name))
            self._journal.append("model.renamed", ref_of("model", new_name), payload={"from": name, "to": new_name})
            return self._shelf.model(new_name)

    def delete(self, name: str) -> None:
        with self._journal.lock:
            self._shelf.check_known(name)
            refuse_routed(self._deployments.endpoints(limit=_ENDPOINTS), name)
            shelf = self._shelf
            gone = sorted(shelf.notes.pop(name))
            for number in gone:
                shelf.versions.remove(name, number)
            del shelf.records[name], shelf.aliases[name]
            shelf.moves = [move for move in shelf.moves if move.model != name]
            self._journal.append("model.deleted", ref_of("model", name), payload={"versions": gone})

    def search(
        self,
        *,
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        limit: int = 100,
        after: str | None = None,
    ) -> RegisteredModelPage:
        with self._journal.lock:
            records = [self._shelf.model(name) for name in self._shelf.records]
        found, following = page_of(records, of=MODELS, where=where, order=order, limit=limit, after=after)
        return RegisteredModelPage(tuple(found), following)

    def notes(self, model: str, version: int) -> VersionNotes:
        with self._journal.lock:
            return self._shelf.note(model, version)

    def newest_by_stage(self, models: Sequence[str]) -> list[VersionNotes]:
        with self._journal.lock:
            found: list[VersionNotes] = []
            for model in sorted(set(models) & self._shelf.records.keys()):
                newest: dict[str, int] = {}
                for number in sorted(self._shelf.notes[model]):
                    newest[self._shelf.notes[model][number].stage] = number
                found += [self._shelf.note(model, number) for number in sorted(newest.values(), reverse=True)]
            return found

    def annotate(self, model: str, version: int, change: VersionChange) -> VersionNotes:
        check_version_change(change)
        with self._journal.lock:
            before = self._shelf.note(model, version)
            now = self._clock.now()
            after, told = changed_version(before, change, now=now)
            if told:
                self._note(after, told)
            for other in self._others_in_stage(before, change):
                self._note(*changed_version(other, ARCHIVE, now=now))
            return self._shelf.note(model, version)

    def delete_version(self, model: str, version: int) -> None:
        with self._journal.lock:
            shelf = self._shelf
            aliases = shelf.note(model, version).aliases
            refuse_routed(self._deployments.endpoints(limit=_ENDPOINTS), model, version=version)
            now = self._clock.now()
            shelf.versions.remove(model, version)
            del shelf.notes[model][version]
            for alias in aliases:
                del shelf.aliases[model][alias]
                move = alias_gone(model, alias, version, now=now)
                shelf.moves.append(move)
                self._journal.append("model.alias_set", ref_of("model", model), payload=told_of_move(move))
            shelf.touch(model, now)
            self._journal.append("model.version_deleted", f"{ref_of('model', model)}@{version}")

    def search_versions(
        self,
        *,
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        limit: int = 100,
        after: str | None = None,
    ) -> VersionPage:
        with self._journal.lock:
            records = [self._shelf.note(model, number) for model, held in self._shelf.notes.items() for number in held]
        found, following = page_of(records, of=VERSIONS, where=where, order=order, limit=limit, after=after)
        return VersionPage(tuple(found), following)

    def _note(self, after: VersionNotes, told: dict[str, Any]) -> None:
        self._shelf.notes[after.model][after.version] = after
        if "stage" in told:
            self._shelf.touch(after.model, after.updated_at)
        ref = f"{ref_of('model', after.model)}@{after.version}"
        self._journal.append("model.version_updated", ref, payload=told)

    def _others_in_stage(self, notes: VersionNotes, change: VersionChange) -> list[VersionNotes]:
        if not change.archive_others:
            return []
        held = self._shelf.notes[notes.model]
        numbers = [number for number in sorted(held) if held[number].stage == change.stage]
        return [self._shelf.note(notes.model, number) for number in numbers if number != notes.version]

    def _move(self, name: str, new_name: str) -> None:
        """Put everything known of a model under another name."""
        shelf = self._shelf
        now = self._clock.now()
        record, notes, aliases = shelf.records.pop(name), shelf.notes.pop(name), shelf.aliases.pop(name)
        shelf.add(msgspec.structs.replace(record, name=new_name, updated_at=now))
        shelf.aliases[new_name] = aliases
        shelf.numbers[new_name] = max(shelf.numbers.get(new_name, 0), shelf.numbers.get(name, 0))
        for number, note in notes.items():
            shelf.notes[new_name][number] = msgspec.structs.replace(note, model=new_name)
            version = shelf.versions.remove(name, number)
            shelf.versions.add(new_name, msgspec.structs.replace(version, model=new_name), number=number)
        shelf.moves = [
            msgspec.structs.replace(move, model=new_name) if move.model == name else move for move in shelf.moves
        ]
        shelf.verdicts = {
            key: pack(renamed_verdict(_decode_verdict(data), name, new_name)) for key, data in shelf.verdicts.items()
        }
