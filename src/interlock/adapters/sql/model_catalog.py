"""Keep what is said of registered models and their versions in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.adapters.sql import model_records
from interlock.adapters.sql.database import Database, Readable, Transaction, encode
from interlock.adapters.sql.model_search import MODEL_LAYOUT, VERSION_LAYOUT
from interlock.adapters.sql.searching import find
from interlock.adapters.sql.versions import VersionTable
from interlock.core.clock import to_micros
from interlock.core.refs import check_title, ref_of
from interlock.ports.checks import unknown_version
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
from interlock.ports.model_store import AliasMove, ModelVersion, Verdict
from interlock.ports.search import Filter, OrderBy

_ENDPOINTS = 1_000_000
_ROWS_PER_STATEMENT = 1000

_decode_move = msgspec.msgpack.Decoder(AliasMove).decode
_decode_version = msgspec.msgpack.Decoder(ModelVersion).decode
_decode_verdict = msgspec.msgpack.Decoder(Verdict).decode


class SqlModelCatalog(ModelCatalog):
    """Registered models in SQL: a row each, and a row for each tag.

    Args:
        database: Where the model store is too.
        deployments: What is routed to.
    """

    def __init__(self, database: Database, deployments: DeploymentStore) -> None:
        self._database = database
        self._deployments = deployments
        self._versions = VersionTable(database, "model_versions", "model", ModelVersion)

    def create(self, name: str, *, description: str = "", tags: dict[str, str] | None = None) -> RegisteredModel:
        check_title(name, of="model")
        check_model_change(RegisteredModelChange(description=description, tags=tags or {}))
        with self._database.write() as tx:
            if model_records.is_known(tx, name):
                raise model_taken(name)
            model_records.insert_model(tx, name, description, tags or {}, now=self._database.clock.now())
            tx.event("model.created", ref_of("model", name))
            return _model(tx, name)

    def get(self, name: str) -> RegisteredModel:
        return _model(self._database, name)

    def update(self, name: str, change: RegisteredModelChange) -> RegisteredModel:
        check_model_change(change)
        with self._database.write() as tx:
            before = _model(tx, name)
            after, told = changed_model(before, change, now=self._database.clock.now())
            if told:
                row = tx.one(
                    "UPDATE registered_models SET description = ?, updated = ? WHERE name = ? RETURNING seq",
                    (after.description, to_micros(after.updated_at), name),
                )
                assert row is not None
                model_records.write_tags(
                    tx, "registered_model_tags", "model", row[0], before=before.tags, after=after.tags
                )
                tx.event("model.updated", ref_of("model", name), told)
            return _model(tx, name)

    def rename(self, name: str, new_name: str) -> RegisteredModel:
        check_title(new_name, of="model")
        with self._database.write() as tx:
            model_records.check_known(tx, name)
            if new_name == name:
                return _model(tx, name)
            if model_records.is_known(tx, new_name):
                raise model_taken(new_name)
            refuse_routed(self._deployments.endpoints(limit=_ENDPOINTS), name, verb="renamed")
            _move(tx, name, new_name, now=self._database.clock.now())
            tx.event("model.renamed", ref_of("model", new_name), {"from": name, "to": new_name})
            return _model(tx, new_name)

    def delete(self, name: str) -> None:
        with self._database.write() as tx:
            model_records.check_known(tx, name)
            refuse_routed(self._deployments.endpoints(limit=_ENDPOINTS), name)
            gone = [
                int(version)
                for (version,) in tx.query(
                    "SELECT version FROM version_notes WHERE model = ? ORDER BY version", (name,)
                )
            ]
            tx.execute(
                "DELETE FROM version_tags WHERE note IN (SELECT seq FROM version_notes WHERE model = ?)", (name,)
            )
            tx.execute(
                "DELETE FROM registered_model_tags WHERE model IN (SELECT seq FROM registered_models WHERE name = ?)",
                (name,),
            )
            for table, column in (*_BY_MODEL, ("model_versions", "name"), ("registered_models", "name")):
                tx.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))
            tx.event("model.deleted", ref_of("model", name), {"versions": gone})

    def search(
        self,
        *,
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        limit: int = 100,
        after: str | None = None,
    ) -> RegisteredModelPage:
        rows, following = find(
            self._database,
            self._database.dialect,
            MODEL_LAYOUT,
            where=where,
            order=order,
            limit=limit,
            after=after,
        )
        found: dict[int, RegisteredModel] = {}
        for part in _parts(rows):
            found |= model_records.read_models(self._database, *_among(part))
        return RegisteredModelPage(tuple(found[seq] for seq in rows if seq in found), following)

    def notes(self, model: str, version: int) -> VersionNotes:
        return _note(self._database, model, version)[1]

    def newest_by_stage(self, models: Sequence[str]) -> list[VersionNotes]:
        names = sorted(set(models))
        if not names:
            return []
        marks = ", ".join("?" * len(names))
        newest = f"SELECT MAX(seq) FROM version_notes WHERE model IN ({marks}) GROUP BY model, stage"
        found = model_records.read_notes(self._database, f"seq IN ({newest})", names)
        return sorted(found.values(), key=lambda one: (one.model, -one.version))

    def annotate(self, model: str, version: int, change: VersionChange) -> VersionNotes:
        check_version_change(change)
        with self._database.write() as tx:
            seq, before = _note(tx, model, version)
            now = self._database.clock.now()
            after, told = changed_version(before, change, now=now)
            if told:
                _write_notes(tx, seq, before, after, told)
            if change.archive_others:
                condition = "model = ? AND stage = ? AND version <> ?"
                others = model_records.read_notes(tx, condition, [model, change.stage, version])
                for at, other in sorted(others.items(), key=lambda one: one[1].version):
                    _write_notes(tx, at, other, *changed_version(other, ARCHIVE, now=now))
            return after

    def delete_version(self, model: str, version: int) -> None:
        with self._database.write() as tx:
            seq, notes = _note(tx, model, version)
            refuse_routed(self._deployments.endpoints(limit=_ENDPOINTS), model, version=version)
            now = self._database.clock.now()
            for alias in notes.aliases:
                move = alias_gone(model, alias, version, now=now)
                tx.execute("DELETE FROM model_aliases WHERE model = ? AND alias = ?", (model, alias))
                tx.execute(
                    "INSERT INTO alias_moves (model, alias, record) VALUES (?, ?, ?)", (model, alias, encode(move))
                )
                tx.event("model.alias_set", ref_of("model", model), told_of_move(move))
            tx.execute("DELETE FROM version_tags WHERE note = ?", (seq,))
            tx.execute("DELETE FROM version_notes WHERE seq = ?", (seq,))
            self._versions.remove(tx, model, version)
            model_records.touch(tx, model, now=now)
            tx.event("model.version_deleted", f"{ref_of('model', model)}@{version}")

    def search_versions(
        self,
        *,
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        limit: int = 100,
        after: str | None = None,
    ) -> VersionPage:
        rows, following = find(
            self._database,
            self._database.dialect,
            VERSION_LAYOUT,
            where=where,
            order=order,
            limit=limit,
            after=after,
        )
        found: dict[int, VersionNotes] = {}
        for part in _parts(rows):
            found |= model_records.read_notes(self._database, *_among(part))
        return VersionPage(tuple(found[seq] for seq in rows if seq in found), following)


_BY_MODEL = (("version_notes", "model"), ("model_aliases", "model"), ("alias_moves", "model"))
"""Tables with a row for each thing of a model, and the column that names the model."""


def _model(source: Readable, name: str) -> RegisteredModel:
    found = model_records.read_models(source, "name = ?", [name])
    if not found:
        model_records.check_known(source, name)
    return next(iter(found.values()))


def _parts(rows: Sequence[int]) -> list[Sequence[int]]:
    """Return the numbers of rows in parts that fit into a statement."""
    return [rows[start : start + _ROWS_PER_STATEMENT] for start in range(0, len(rows), _ROWS_PER_STATEMENT)]


def _among(rows: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Return the condition that a row is one of some, and its parameters."""
    return f"seq IN ({', '.join('?' * len(rows))})", rows


def _note(source: Readable, model: str, version: int) -> tuple[int, VersionNotes]:
    found = model_records.read_notes(source, "model = ? AND version = ?", [model, version])
    if not found:
        model_records.check_known(source, model)
        row = source.one("SELECT MAX(version) FROM version_notes WHERE model = ?", (model,))
        raise unknown_version("model", model, version, int(row[0]) if row and row[0] is not None else 0)
    return next(iter(found.items()))


def _write_notes(tx: Transaction, seq: int, before: VersionNotes, after: VersionNotes, told: dict[str, Any]) -> None:
    tx.execute(
        """UPDATE version_notes SET updated = ?, description = ?, stage = ?, source = ?, run_link = ?, logged_model = ?
           WHERE seq = ?""",
        (
            to_micros(after.updated_at),
            after.description,
            after.stage,
            after.source,
            after.run_link,
            after.logged_model,
            seq,
        ),
    )
    model_records.write_tags(tx, "version_tags", "note", seq, before=before.tags, after=after.tags)
    if "stage" in told:
        model_records.touch(tx, after.model, now=after.updated_at)
    tx.event("model.version_updated", f"{ref_of('model', after.model)}@{after.version}", told)


def _move(tx: Transaction, name: str, new_name: str, *, now: datetime) -> None:
    """Put everything known of a model under another name, lineage included."""
    tx.execute("UPDATE registered_models SET name = ?, updated = ? WHERE name = ?", (new_name, to_micros(now), name))
    row = tx.one("SELECT MAX(last) FROM model_numbers WHERE model IN (?, ?)", (name, new_name))
    if row is not None and row[0] is not None:
        tx.execute(
            """INSERT INTO model_numbers (model, last) VALUES (?, ?)
               ON CONFLICT (model) DO UPDATE SET last = excluded.last""",
            (new_name, row[0]),
        )
    for seq, record in tx.query("SELECT seq, record FROM alias_moves WHERE model = ?", (name,)):
        move = msgspec.structs.replace(_decode_move(record), model=new_name)
        tx.execute("UPDATE alias_moves SET record = ? WHERE seq = ?", (encode(move), seq))
    for seq, record in tx.query("SELECT seq, record FROM model_versions WHERE name = ?", (name,)):
        version = msgspec.structs.replace(_decode_version(record), model=new_name)
        tx.execute("UPDATE model_versions SET name = ?, record = ? WHERE seq = ?", (new_name, encode(version), seq))
    for seq, record in tx.query("SELECT seq, record FROM verdicts WHERE model = ?", (name,)):
        verdict = renamed_verdict(_decode_verdict(record), name, new_name)
        tx.execute(
            "UPDATE verdicts SET model = ?, candidate = ?, record = ? WHERE seq = ?",
            (new_name, verdict.candidate, encode(verdict), seq),
        )
    for table, column in _BY_MODEL:
        tx.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new_name, name))
    _redirect(tx, ref_of("model", name), ref_of("model", new_name))


def _redirect(tx: Transaction, ref: str, new_ref: str) -> None:
    """Have the edges of a thing, and of its versions, name it by another Ref."""
    for column in ("source", "target"):
        others = ", ".join(
            f"? || substr({one}, ?)" if one == column else one for one in ("source", "target", "relation")
        )
        # a range instead of LIKE: `A` follows `@`
        condition = f"{column} = ? OR ({column} >= ? AND {column} < ?)"
        named = [ref, ref + "@", ref + "A"]
        tx.execute(
            f"""INSERT INTO edges (source, target, relation) SELECT {others} FROM edges WHERE {condition}
                ON CONFLICT DO NOTHING""",
            [new_ref, len(ref) + 1, *named],
        )
        tx.execute(f"DELETE FROM edges WHERE {condition}", named)
