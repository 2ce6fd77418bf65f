"""Keep numbered versions of named things in a table of their own."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from interlock.adapters.sql.database import Database, Readable, Transaction, encode
from interlock.core.errors import NotFound
from interlock.ports.checks import check_limit, unknown_name, unknown_version

T = TypeVar("T", bound=msgspec.Struct)


def versions_schema(table: str) -> tuple[str, ...]:
    """Return the statements that create a table of versions."""
    return (
        f"""CREATE TABLE {table} (
            seq AUTOSEQ, name TEXT NOT NULL, version INTEGER NOT NULL, record BLOB NOT NULL, UNIQUE (name, version))""",
    )


class VersionTable(Generic[T]):
    """Records under a name and the number 1, 2, 3 …, immutable once written.

    Args:
        database: Where the table is.
        table: Its name.
        kind: What a name names, for messages.
        record: The type of the records.
    """

    def __init__(self, database: Database, table: str, kind: str, record: type[T]) -> None:
        self._database = database
        self._table = table
        self._kind = kind
        self._decode = msgspec.msgpack.Decoder(record).decode

    def add(self, tx: Transaction, name: str, version: int, record: T) -> T:
        """Write the next version; return it as it will be read."""
        data = encode(record)
        tx.execute(f"INSERT INTO {self._table} (name, version, record) VALUES (?, ?, ?)", (name, version, data))
        return self._decode(data)

    def remove(self, tx: Transaction, name: str, version: int) -> T | None:
        """Forget a version; return what it was, or None."""
        found = self.find(name, version, source=tx)
        tx.execute(f"DELETE FROM {self._table} WHERE name = ? AND version = ?", (name, version))
        return found

    def newest(self, source: Readable, name: str) -> int:
        """Return the newest number under a name, or 0."""
        row = source.one(f"SELECT MAX(version) FROM {self._table} WHERE name = ?", (name,))
        return int(row[0]) if row and row[0] is not None else 0

    def find(self, name: str, version: int | None = None, *, source: Readable | None = None) -> T | None:
        """Return a version, by default the newest, or None."""
        asked = source or self._database
        if version is None:
            row = asked.one(f"SELECT record FROM {self._table} WHERE name = ? ORDER BY version DESC LIMIT 1", (name,))
        else:
            row = asked.one(f"SELECT record FROM {self._table} WHERE name = ? AND version = ?", (name, version))
        return self._decode(row[0]) if row else None

    def get(self, name: str, version: int | None = None, *, source: Readable | None = None) -> T:
        """Return a version, by default the newest."""
        found = self.find(name, version, source=source)
        if found is None:
            raise self._unknown(source or self._database, name, version)
        return found

    def line(self, name: str, *, before: int | None = None, limit: int) -> list[T]:
        """List the versions under a name, newest first."""
        condition, params = ("", [name]) if before is None else (" AND version < ?", [name, before])
        rows = self._database.query(
            f"SELECT record FROM {self._table} WHERE name = ?{condition} ORDER BY version DESC LIMIT ?",
            [*params, check_limit(limit)],
        )
        if not rows and not self.newest(self._database, name):
            raise self._unknown(self._database, name, None)
        return [self._decode(record) for (record,) in rows]

    def heads(self, *, after: str, limit: int) -> list[T]:
        """List the newest version under each name, by name."""
        rows = self._database.query(
            f"""SELECT record FROM {self._table} JOIN (
                    SELECT name, MAX(version) AS version FROM {self._table}
                    WHERE name > ? GROUP BY name ORDER BY name LIMIT ?) AS newest USING (name, version)
                ORDER BY name""",
            (after, check_limit(limit)),
        )
        return [self._decode(record) for (record,) in rows]

    def arrivals(self, *, limit: int) -> list[T]:
        """List the versions under all names, newest first."""
        rows = self._database.query(
            f"SELECT record FROM {self._table} ORDER BY seq DESC LIMIT ?", (check_limit(limit),)
        )
        return [self._decode(record) for (record,) in rows]

    def _unknown(self, source: Readable, name: str, version: int | None) -> NotFound:
        newest = self.newest(source, name)
        if version is None or not newest:
            known = source.query(f"SELECT DISTINCT name FROM {self._table} ORDER BY name LIMIT 1000")
            return unknown_name(self._kind, name, (row[0] for row in known))
        return unknown_version(self._kind, name, version, newest)
