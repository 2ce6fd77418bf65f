"""Keep annotations and label sets in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.adapters.sql.database import Database, Readable, encode
from interlock.adapters.sql.versions import VersionTable, versions_schema
from interlock.core.clock import aware, to_micros
from interlock.core.hashing import Hasher
from interlock.ports.checks import check_limit, pointed_at, unknown_name
from interlock.ports.journal import Edge
from interlock.ports.label_store import Annotation, LabelSet, LabelStore
from interlock.ports.record_checks import check_annotations

SCHEMA = (
    """CREATE TABLE annotations (
        seq AUTOSEQ, name TEXT NOT NULL, id TEXT NOT NULL, time INTEGER NOT NULL, record BLOB NOT NULL,
        UNIQUE (name, id))""",
    *versions_schema("label_sets"),
)

_decode = msgspec.msgpack.Decoder(Annotation).decode


class _Frozen(msgspec.Struct, frozen=True):
    """A label set, and the last annotation that had arrived when it was frozen.

    Time alone does not say which annotations it holds: one that arrives later may bear an earlier time.
    """

    label_set: LabelSet
    arrived: int


class SqlLabelStore(LabelStore):
    """Annotations in one table, label sets in another."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sets = VersionTable(database, "label_sets", "labels", _Frozen)

    def add(self, name: str, annotations: Sequence[Annotation]) -> int:
        check_annotations(name, annotations)
        rows = [(name, one.id, to_micros(one.time), encode(one)) for one in annotations]
        with self._database.write() as tx:
            return tx.insert("annotations (name, id, time, record)", rows, then="ON CONFLICT DO NOTHING")

    def freeze(self, name: str, *, as_of: datetime, edges: Sequence[Edge] = ()) -> LabelSet:
        moment = aware(as_of)
        with self._database.write() as tx:
            self._check_known(tx, name)
            rows = tx.query(
                "SELECT seq, record FROM annotations WHERE name = ? AND time <= ? ORDER BY id",
                (name, to_micros(moment)),
            )
            hasher = Hasher()
            for _, record in rows:
                hasher.update(record)
            newest = self._sets.find(name, source=tx)
            if newest is not None and newest.label_set.content == hasher.digest():
                return newest.label_set
            label_set = LabelSet(
                name=name,
                version=newest.label_set.version + 1 if newest is not None else 1,
                created_at=self._database.clock.now(),
                count=len(rows),
                content=hasher.digest(),
                as_of=moment,
            )
            arrived = max((seq for seq, _ in rows), default=0)
            self._sets.add(tx, name, label_set.version, _Frozen(label_set, arrived))
            tx.event("labels.frozen", label_set.ref, {"count": label_set.count}, edges=pointed_at(edges, label_set.ref))
            return label_set

    def get(self, name: str, *, version: int | None = None) -> LabelSet:
        return self._sets.get(name, version).label_set

    def label_sets(self, *, name: str | None = None, limit: int = 100) -> list[LabelSet]:
        if name is None:
            found = self._sets.arrivals(limit=limit)
        else:
            self._check_known(self._database, name)
            found = self._sets.line(name, limit=limit) if self._sets.newest(self._database, name) else []
        return [one.label_set for one in found]

    def annotations(
        self, name: str, *, version: int | None = None, after: str = "", limit: int = 10_000
    ) -> list[Annotation]:
        check_limit(limit)
        self._check_known(self._database, name)
        condition = ""
        params: list[Any] = [name, after]
        if version is not None:
            frozen = self._sets.get(name, version)
            condition = " AND time <= ? AND seq <= ?"
            params += [to_micros(frozen.label_set.as_of), frozen.arrived]
        rows = self._database.query(
            f"SELECT record FROM annotations WHERE name = ? AND id > ?{condition} ORDER BY id LIMIT ?",
            [*params, limit],
        )
        return [_decode(record) for (record,) in rows]

    def _check_known(self, source: Readable, name: str) -> None:
        if source.one("SELECT 1 FROM annotations WHERE name = ? LIMIT 1", (name,)) is None:
            known = source.query("SELECT DISTINCT name FROM annotations LIMIT 1000")
            raise unknown_name("labels", name, (row[0] for row in known))
