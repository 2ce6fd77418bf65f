"""Keep paths in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlock.adapters.sql.database import Database
from interlock.core.clock import from_micros, to_micros
from interlock.ports.checks import check_limit
from interlock.ports.file_index import FileEntry, FileIndex
from interlock.ports.file_rules import check_entries, check_file_path

SCHEMA = (
    """CREATE TABLE files (
        path TEXT PRIMARY KEY, digest TEXT NOT NULL, size_bytes INTEGER NOT NULL, time INTEGER NOT NULL)""",
)


class SqlFileIndex(FileIndex):
    """Paths in SQL, a row each; what lies in a folder is a range of the primary key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, entries: Sequence[FileEntry]) -> None:
        check_entries(entries)
        rows = [(one.path, one.digest, one.size_bytes, to_micros(one.time)) for one in entries]
        with self._database.write() as tx:
            tx.many(
                """INSERT INTO files (path, digest, size_bytes, time) VALUES (?, ?, ?, ?)
                   ON CONFLICT (path) DO UPDATE
                   SET digest = excluded.digest, size_bytes = excluded.size_bytes, time = excluded.time""",
                rows,
            )

    def find(self, path: str) -> FileEntry | None:
        row = self._database.one(
            "SELECT path, digest, size_bytes, time FROM files WHERE path = ?", (check_file_path(path),)
        )
        return None if row is None else _entry(row)

    def files(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> list[FileEntry]:
        condition, params = _below(prefix)
        rows = self._database.query(
            f"SELECT path, digest, size_bytes, time FROM files WHERE {condition} AND path > ? ORDER BY path LIMIT ?",
            [*params, after, check_limit(limit)],
        )
        return [_entry(row) for row in rows]

    def delete(self, prefix: str) -> int:
        condition, params = _below(prefix)
        with self._database.write() as tx:
            return tx.execute(f"DELETE FROM files WHERE {condition}", params)


def _below(prefix: str) -> tuple[str, list[str]]:
    if not prefix:
        return "1 = 1", []
    check_file_path(prefix)
    # '0' is the character after '/'
    return "(path = ? OR (path > ? AND path < ?))", [prefix, f"{prefix}/", f"{prefix}0"]


def _entry(row: tuple[Any, ...]) -> FileEntry:
    path, digest, size_bytes, time = row
    return FileEntry(path, digest, int(size_bytes), from_micros(time))
