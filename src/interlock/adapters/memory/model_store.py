"""Keep registered models, aliases and verdicts in dictionaries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.model_shelf import ModelShelf
from interlock.core.clock import Clock
from interlock.core.errors import Conflict, InvalidInput
from interlock.core.plain import pack
from interlock.core.refs import ref_of
from interlock.ports.checks import check_limit, check_text, pointed_at, unknown_name
from interlock.ports.journal import Edge
from interlock.ports.model_catalog import RegisteredModel, VersionChange
from interlock.ports.model_rules import check_version_change, first_notes, told_of_move
from interlock.ports.model_store import AliasMove, ModelStore, ModelVersion, Verdict
from interlock.ports.record_checks import check_alias, check_model_draft, check_verdict

_decode_verdict = msgspec.msgpack.Decoder(Verdict).decode


class MemoryModelStore(ModelStore):
    """Models in memory."""

    def __init__(self, journal: MemoryJournal, clock: Clock, shelf: ModelShelf) -> None:
        self._journal = journal
        self._clock = clock
        self._shelf = shelf
        self._versions = shelf.versions

    def add_version(
        self,
        draft: ModelVersion,
        *,
        edges: Sequence[Edge] = (),
        notes: VersionChange = VersionChange(),  # noqa: B008 (frozen)
    ) -> ModelVersion:
        check_model_draft(draft)
        check_version_change(notes)
        with self._journal.lock:
            number = self._shelf.numbers.get(draft.model, 0) + 1
            version = self._versions.add(draft.model, msgspec.structs.replace(draft, version=number), number=number)
            now = self._clock.now()
            if draft.model not in self._shelf.records:
                self._shelf.add(RegisteredModel(draft.model, now, now))
                self._journal.append("model.created", ref_of("model", draft.model))
            self._shelf.touch(draft.model, now)
            self._shelf.numbers[draft.model] = number
            self._shelf.notes[draft.model][number] = first_notes(version, notes)
            links = pointed_at(edges, version.ref)
            if version.run is not None:
                links.append(Edge(f"run:{version.run}", version.ref, "produced"))
            self._journal.append(
                "model.registered",
                version.ref,
                payload={"flavor": version.flavor, "engine": version.engine, "run": version.run},
                edges=links,
            )
            return version

    def get(self, model: str, *, version: int | None = None, alias: str | None = None) -> ModelVersion:
        with self._journal.lock:
            if alias is None:
                return self._versions.get(model, version)
            found = self.find(model, version=version, alias=alias)
            if found is None:
                raise unknown_name(f"alias of model '{model}' called", alias, self.aliases(model))
            return found

    def find(self, model: str, *, version: int | None = None, alias: str | None = None) -> ModelVersion | None:
        with self._journal.lock:
            if alias is None:
                return self._versions.find(model, version)
            if version is not None:
                raise InvalidInput(
                    f"model '{model}' was asked for by version and by alias", why="they may disagree", fix="give one"
                )
            number = self._shelf.aliases.get(model, {}).get(alias)
            return None if number is None else self._versions.find(model, number)

    def versions(self, model: str, *, before: int | None = None, limit: int = 100) -> list[ModelVersion]:
        check_limit(limit)
        with self._journal.lock:
            self._shelf.check_known(model)
            return self._versions.line(model, before=before, limit=limit) if self._versions.newest(model) else []

    def models(self, *, after: str = "", limit: int = 100) -> list[ModelVersion]:
        with self._journal.lock:
            return self._versions.heads(after=after, limit=limit)

    def set_alias(
        self,
        model: str,
        alias: str,
        *,
        version: int | None,
        expect: int | None = None,
        reason: str = "",
        verdict: str | None = None,
    ) -> AliasMove:
        check_alias(alias)
        check_text(reason, of="reason of an alias")
        with self._journal.lock:
            self._shelf.check_known(model)
            if version is not None:
                self._versions.get(model, version)
            held = self._shelf.aliases[model]
            previous = held.get(alias)
            if expect is not None and expect != (previous or 0):
                raise Conflict(
                    f"alias '{alias}' of model '{model}' was moved: it points at {previous or 'nothing'}",
                    why=f"it was expected to point at {expect or 'nothing'}",
                    fix="read the aliases and decide again",
                )
            if version is None and previous is None:
                raise unknown_name(f"alias of model '{model}' called", alias, held)
            move = AliasMove(model, alias, version, previous, self._clock.now(), reason, verdict)
            if version is None:
                del held[alias]
            else:
                held[alias] = version
            self._shelf.moves.append(move)
            self._journal.append(
                "model.alias_set",
                ref_of("model", model) + ("" if version is None else f"@{version}"),
                payload=told_of_move(move),
            )
            return move

    def aliases(self, model: str) -> dict[str, int]:
        with self._journal.lock:
            self._shelf.check_known(model)
            return dict(sorted(self._shelf.aliases[model].items()))

    def alias_history(self, model: str, *, alias: str | None = None, limit: int = 100) -> list[AliasMove]:
        check_limit(limit)
        with self._journal.lock:
            self._shelf.check_known(model)
            moves = [move for move in self._shelf.moves if move.model == model and alias in (None, move.alias)]
            return moves[::-1][:limit]

    def add_verdict(self, verdict: Verdict) -> Verdict:
        candidate = check_verdict(verdict)
        data = pack(verdict)
        with self._journal.lock:
            self._versions.get(verdict.model, candidate)
            if verdict.id in self._shelf.verdicts:
                raise Conflict(f"verdict '{verdict.id}' exists", why="a verdict is given once", fix="use a new id")
            self._shelf.verdicts[verdict.id] = data
            ref = f"verdict:{verdict.id}"
            links = [Edge(verdict.candidate, ref, "judged_in")]
            if verdict.data is not None:
                links.append(Edge(verdict.data, ref, "judged_in"))
            self._journal.append(
                "gate.passed" if verdict.passed else "gate.refused",
                ref,
                payload={
                    "candidate": verdict.candidate,
                    "champion": verdict.champion,
                    "stage": verdict.stage,
                    "reason": verdict.reason,
                },
                edges=links,
            )
            return _decode_verdict(data)

    def verdicts(self, *, model: str | None = None, candidate: str | None = None, limit: int = 100) -> list[Verdict]:
        check_limit(limit)
        with self._journal.lock:
            decoded = [_decode_verdict(data) for data in reversed(self._shelf.verdicts.values())]
        found = [one for one in decoded if model in (None, one.model) and candidate in (None, one.candidate)]
        return found[:limit]

    def get_verdict(self, verdict_id: str) -> Verdict:
        with self._journal.lock:
            if verdict_id not in self._shelf.verdicts:
                raise unknown_name("verdict", verdict_id, self._shelf.verdicts)
            return _decode_verdict(self._shelf.verdicts[verdict_id])
