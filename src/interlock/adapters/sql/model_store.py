"""Keep registered models, aliases and verdicts in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.adapters.sql import model_records
from interlock.adapters.sql.database import Database, Readable, encode
from interlock.adapters.sql.versions import VersionTable, versions_schema
from interlock.core.errors import Conflict, InvalidInput
from interlock.core.refs import ref_of
from interlock.ports.checks import check_limit, check_text, pointed_at, unknown_name
from interlock.ports.journal import Edge
from interlock.ports.model_catalog import VersionChange
from interlock.ports.model_rules import check_version_change, first_notes, told_of_move
from interlock.ports.model_store import AliasMove, ModelStore, ModelVersion, Verdict
from interlock.ports.record_checks import check_alias, check_model_draft, check_verdict

SCHEMA = (
    *versions_schema("model_versions"),
    """CREATE TABLE model_aliases (
        model TEXT NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (model, alias))""",
    "CREATE TABLE alias_moves (seq AUTOSEQ, model TEXT NOT NULL, alias TEXT NOT NULL, record BLOB NOT NULL)",
    "CREATE INDEX alias_moves_model ON alias_moves (model, seq)",
    """CREATE TABLE verdicts (
        seq AUTOSEQ, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, candidate TEXT NOT NULL, record BLOB NOT NULL)""",
    "CREATE INDEX verdicts_model ON verdicts (model, seq)",
    "CREATE INDEX verdicts_candidate ON verdicts (candidate, seq)",
)

_decode_move = msgspec.msgpack.Decoder(AliasMove).decode
_decode_verdict = msgspec.msgpack.Decoder(Verdict).decode


class SqlModelStore(ModelStore):
    """Versions, aliases, moves and verdicts, a table each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions = VersionTable(database, "model_versions", "model", ModelVersion)

    def add_version(
        self,
        draft: ModelVersion,
        *,
        edges: Sequence[Edge] = (),
        notes: VersionChange = VersionChange(),  # noqa: B008 (frozen)
    ) -> ModelVersion:
        check_model_draft(draft)
        check_version_change(notes)
        with self._database.write() as tx:
            now = self._database.clock.now()
            if not model_records.is_known(tx, draft.model):
                model_records.insert_model(tx, draft.model, "", {}, now=now)
                tx.event("model.created", ref_of("model", draft.model))
            model_records.touch(tx, draft.model, now=now)
            number = model_records.next_number(tx, draft.model)
            version = self._versions.add(tx, draft.model, number, msgspec.structs.replace(draft, version=number))
            model_records.insert_notes(tx, first_notes(version, notes))
            links = pointed_at(edges, version.ref)
            if version.run is not None:
                links.append(Edge(f"run:{version.run}", version.ref, "produced"))
            payload = {"flavor": version.flavor, "engine": version.engine, "run": version.run}
            tx.event("model.registered", version.ref, payload, edges=links)
            return version

    def get(self, model: str, *, version: int | None = None, alias: str | None = None) -> ModelVersion:
        if alias is None:
            return self._versions.get(model, version)
        found = self.find(model, version=version, alias=alias)
        if found is None:
            raise unknown_name(f"alias of model '{model}' called", alias, self.aliases(model))
        return found

    def find(self, model: str, *, version: int | None = None, alias: str | None = None) -> ModelVersion | None:
        if alias is None:
            return self._versions.find(model, version)
        if version is not None:
            raise InvalidInput(
                f"model '{model}' was asked for by version and by alias", why="they may disagree", fix="give one"
            )
        number = self._aliases(self._database, model).get(alias)
        return None if number is None else self._versions.find(model, number)

    def versions(self, model: str, *, before: int | None = None, limit: int = 100) -> list[ModelVersion]:
        check_limit(limit)
        if not self._versions.newest(self._database, model):
            model_records.check_known(self._database, model)
            return []
        return self._versions.line(model, before=before, limit=limit)

    def models(self, *, after: str = "", limit: int = 100) -> list[ModelVersion]:
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
        with self._database.write() as tx:
            model_records.check_known(tx, model)
            if version is not None:
                self._versions.get(model, version, source=tx)
            held = self._aliases(tx, model)
            previous = held.get(alias)
            if expect is not None and expect != (previous or 0):
                raise Conflict(
                    f"alias '{alias}' of model '{model}' was moved: it points at {previous or 'nothing'}",
                    why=f"it was expected to point at {expect or 'nothing'}",
                    fix="read the aliases and decide again",
                )
            if version is not None:
                tx.execute(
                    """INSERT INTO model_aliases (model, alias, version) VALUES (?, ?, ?)
                       ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version""",
                    (model, alias, version),
                )
            elif previous is not None:
                tx.execute("DELETE FROM model_aliases WHERE model = ? AND alias = ?", (model, alias))
            else:
                raise unknown_name(f"alias of model '{model}' called", alias, held)
            move = AliasMove(model, alias, version, previous, self._database.clock.now(), reason, verdict)
            tx.execute("INSERT INTO alias_moves (model, alias, record) VALUES (?, ?, ?)", (model, alias, encode(move)))
            at = "" if version is None else f"@{version}"
            tx.event("model.alias_set", ref_of("model", model) + at, told_of_move(move))
            return move

    def aliases(self, model: str) -> dict[str, int]:
        model_records.check_known(self._database, model)
        return self._aliases(self._database, model)

    def alias_history(self, model: str, *, alias: str | None = None, limit: int = 100) -> list[AliasMove]:
        check_limit(limit)
        model_records.check_known(self._database, model)
        condition, params = ("", [model]) if alias is None else (" AND alias = ?", [model, alias])
        rows = self._database.query(
            f"SELECT record FROM alias_moves WHERE model = ?{condition} ORDER BY seq DESC LIMIT ?", [*params, limit]
        )
        return [_decode_move(record) for (record,) in rows]

    def add_verdict(self, verdict: Verdict) -> Verdict:
        candidate = check_verdict(verdict)
        data = encode(verdict)
        ref = f"verdict:{verdict.id}"
        with self._database.write() as tx:
            self._versions.get(verdict.model, candidate, source=tx)
            if tx.one("SELECT 1 FROM verdicts WHERE id = ?", (verdict.id,)):
                raise Conflict(f"verdict '{verdict.id}' exists", why="a verdict is given once", fix="use a new id")
            tx.execute(
                "INSERT INTO verdicts (id, model, candidate, record) VALUES (?, ?, ?, ?)",
                (verdict.id, verdict.model, verdict.candidate, data),
            )
            links = [Edge(verdict.candidate, ref, "judged_in")]
            if verdict.data is not None:
                links.append(Edge(verdict.data, ref, "judged_in"))
            payload = {
                "candidate": verdict.candidate,
                "champion": verdict.champion,
                "stage": verdict.stage,
                "reason": verdict.reason,
            }
            tx.event("gate.passed" if verdict.passed else "gate.refused", ref, payload, edges=links)
        return _decode_verdict(data)

    def verdicts(self, *, model: str | None = None, candidate: str | None = None, limit: int = 100) -> list[Verdict]:
        wanted = {"model": model, "candidate": candidate}
        given: dict[str, Any] = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given) or "1 = 1"
        rows = self._database.query(
            f"SELECT record FROM verdicts WHERE {where} ORDER BY seq DESC LIMIT ?",
            [*given.values(), check_limit(limit)],
        )
        return [_decode_verdict(record) for (record,) in rows]

    def get_verdict(self, verdict_id: str) -> Verdict:
        row = self._database.one("SELECT record FROM verdicts WHERE id = ?", (verdict_id,))
        if row is None:
            known = self._database.query("SELECT id FROM verdicts ORDER BY seq DESC LIMIT 100")
            raise unknown_name("verdict", verdict_id, (one[0] for one in known))
        return _decode_verdict(row[0])

    def _aliases(self, source: Readable, model: str) -> dict[str, int]:
        rows = source.query("SELECT alias, version FROM model_aliases WHERE model = ? ORDER BY alias", (model,))
        return {alias: int(version) for alias, version in rows}
