"""Keep records of small kinds in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from interlock.adapters.sql.database import Database, Readable
from interlock.core.clock import from_micros, to_micros
from interlock.core.plain import pack, unpack
from interlock.ports.checks import check_limit
from interlock.ports.record_rules import check_many, checked_records, told, unknown_record, written
from interlock.ports.record_store import Record, RecordStore

SCHEMA = (
    """CREATE TABLE records (
        seq AUTOSEQ, collection TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, revision INTEGER NOT NULL,
        created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (collection, id))""",
    "CREATE INDEX records_of_parent ON records (collection, parent, seq)",
)

_COLUMNS = "collection, id, body, parent, revision, seq, created_at, updated_at"
_AT_ONCE = 500


class SqlRecordStore(RecordStore):
    """Records of small kinds in one table, a row each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, records: Sequence[Record]) -> list[Record]:
        if not records:
            return []
        collection = checked_records(records)
        ids = [one.id for one in records]
        with self._database.write() as tx:
            now = self._database.clock.now()
            before = {one.id: one for one in _found(tx, collection, ids)}
            new = [written(one, before.get(one.id), now=now) for one in records]
            rows = [
                (
                    collection,
                    one.id,
                    one.parent,
                    one.revision,
                    to_micros(one.created_at),
                    to_micros(one.updated_at),
                    pack(one.body),
                )
                for one in new
            ]
            # an upsert would use up a number of the sequence for each row that it only replaces
            tx.insert(
                "records (collection, id, parent, revision, created_at, updated_at, body)",
                [row for row, one in zip(rows, new, strict=True) if one.id not in before],
            )
            tx.many(
                "UPDATE records SET revision = ?, updated_at = ?, body = ? WHERE collection = ? AND id = ?",
                [
                    (row[3], row[5], row[6], collection, one.id)
                    for row, one in zip(rows, new, strict=True)
                    if one.id in before
                ],
            )
            tx.event("records.put", f"record:{collection}", told(ids))
            kept = {one.id: one for one in _found(tx, collection, ids)}
        return [kept[one] for one in ids]

    def get(self, collection: str, record_id: str) -> Record:
        row = self._database.one(
            f"SELECT {_COLUMNS} FROM records WHERE collection = ? AND id = ?", (collection, record_id)
        )
        if row is None:
            raise unknown_record(collection, record_id)
        return _record(row)

    def find(self, collection: str, record_ids: Sequence[str]) -> list[Record]:
        check_many(record_ids)
        found = {one.id: one for one in _found(self._database, collection, record_ids)}
        return sorted(found.values(), key=lambda one: one.seq)

    def records(
        self, collection: str, *, parents: Sequence[str] | None = None, after: int = 0, limit: int = 1000
    ) -> list[Record]:
        check_limit(limit)
        if parents is None:
            return _listed(self._database, "", (collection, after), limit)
        check_many(parents)
        found = [
            one
            for part in _parts(list(dict.fromkeys(parents)))
            for one in _listed(self._database, f"AND parent IN ({_marks(part)})", (collection, after, *part), limit)
        ]
        return sorted(found, key=lambda one: one.seq)[:limit]

    def count(self, collection: str, *, parent: str | None = None) -> int:
        condition, params = ("", (collection,)) if parent is None else (" AND parent = ?", (collection, parent))
        row = self._database.one(f"SELECT COUNT(*) FROM records WHERE collection = ?{condition}", params)
        return int(row[0]) if row else 0

    def delete(self, collection: str, *, record_ids: Sequence[str] = (), parents: Sequence[str] = ()) -> int:
        check_many(record_ids)
        check_many(parents)
        with self._database.write() as tx:
            gone: list[tuple[int, str]] = []
            for column, wanted in (("id", record_ids), ("parent", parents)):
                for part in _parts(wanted):
                    condition = f"collection = ? AND {column} IN ({_marks(part)})"
                    gone += [
                        (int(seq), str(one))
                        for seq, one in tx.query(f"SELECT seq, id FROM records WHERE {condition}", (collection, *part))
                    ]
                    tx.execute(f"DELETE FROM records WHERE {condition}", (collection, *part))
            if gone:
                tx.event("records.deleted", f"record:{collection}", told([one for _, one in sorted(gone)]))
            return len(gone)


def _found(source: Readable, collection: str, record_ids: Sequence[str]) -> list[Record]:
    return [
        _record(row)
        for part in _parts(record_ids)
        for row in source.query(
            f"SELECT {_COLUMNS} FROM records WHERE collection = ? AND id IN ({_marks(part)})", (collection, *part)
        )
    ]


def _listed(source: Readable, condition: str, params: Sequence[Any], limit: int) -> list[Record]:
    rows = source.query(
        f"SELECT {_COLUMNS} FROM records WHERE collection = ? AND seq > ? {condition} ORDER BY seq LIMIT ?",
        (*params, limit),
    )
    return [_record(row) for row in rows]


def _record(row: tuple[Any, ...]) -> Record:
    collection, record_id, body, parent, revision, seq, created_at, updated_at = row
    return Record(
        collection,
        record_id,
        unpack(bytes(body)),
        parent,
        int(revision),
        int(seq),
        from_micros(created_at),
        from_micros(updated_at),
    )


def _parts(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def _marks(items: Sequence[str]) -> str:
    return ", ".join("?" * len(items))
