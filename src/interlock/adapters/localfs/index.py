"""Remember where each content lies; everything here can be rebuilt from the packs and objects."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from interlock.core.errors import Corrupt, InterlockError, NewerSchema, StorageFull, TimedOut
from interlock.core.ids import new_id

_VERSION = 1
_BUSY_TIMEOUT_S = 60.0
_ASKED_AT_ONCE = 500
_TABLES = (
    """CREATE TABLE IF NOT EXISTS blobs (
        digest TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, pack TEXT, offset INTEGER NOT NULL,
        stored_bytes INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS packs (name TEXT PRIMARY KEY, indexed_bytes INTEGER NOT NULL) WITHOUT ROWID",
    f"PRAGMA user_version = {_VERSION}",
)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Place(NamedTuple):
    """Where a content lies: an entry of a pack, or (without a pack) a file of its own."""

    digest: str
    size_bytes: int
    pack: str | None = None
    offset: int = 0
    stored_bytes: int = 0


class Index:
    """The index of one store, in a SQLite file; one connection, shared by the threads of a process.

    A damaged file is set aside and a new one begun; `is_new` then tells the store to read everything back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self.is_new = not path.exists()
        try:
            self._connection = self._connect()
        except Corrupt:
            self._set_aside()
            self.is_new = True
            self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            with self._translated():
                connection.execute("PRAGMA journal_mode = WAL")
                # a put is acknowledged by its row, so that the row must be on the disk
                connection.execute("PRAGMA synchronous = FULL")
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version < _VERSION:
                    for statement in _TABLES:
                        connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        if version > _VERSION:
            connection.close()
            raise NewerSchema(
                f"the artifact index has version {version}, and this Interlock knows {_VERSION}",
                why="a newer version of Interlock wrote it",
                fix="pip install --upgrade interlock",
            )
        return connection

    def _set_aside(self) -> None:
        damaged = self._path.with_name(f"{self._path.name}.damaged-{new_id()}")
        self._path.rename(damaged)
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def find(self, digest: str) -> Place | None:
        """Return where a content lies, or None."""
        rows = self._query("SELECT * FROM blobs WHERE digest = ?", (digest,))
        return Place(*rows[0]) if rows else None

    def find_many(self, digests: Sequence[str]) -> list[Place]:
        """Return where those contents lie that are there, in no order."""
        found: list[Place] = []
        for start in range(0, len(digests), _ASKED_AT_ONCE):
            part = tuple(digests[start : start + _ASKED_AT_ONCE])
            marks = ", ".join("?" * len(part))
            found += [Place(*row) for row in self._query(f"SELECT * FROM blobs WHERE digest IN ({marks})", part)]
        return found

    def places(self, *, after: str, limit: int) -> list[Place]:
        """List by digest those greater than `after`."""
        rows = self._query("SELECT * FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?", (after, limit))
        return [Place(*row) for row in rows]

    def indexed_bytes(self) -> dict[str, int]:
        """Return, for each pack, up to where its entries are indexed."""
        return dict(self._query("SELECT name, indexed_bytes FROM packs", ()))

    def _query(self, sql: str, params: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._lock, self._translated():
            return self._connection.execute(sql, params).fetchall()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Hold the write lock of all processes; what is changed in the block is committed at its end."""
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def add(self, place: Place) -> bool:
        """Add a content, inside `write`; return whether it was new. Its pack is then indexed up to its end."""
        added = self._connection.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?, ?, ?)", place).rowcount > 0
        if added and place.pack is not None:
            self.mark_indexed(place.pack, place.offset + place.stored_bytes)
        return added

    def mark_indexed(self, pack: str, upto_bytes: int) -> None:
        """Say, inside `write`, up to where a pack is indexed."""
        self._connection.execute(
            "INSERT INTO packs VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET indexed_bytes = excluded.indexed_bytes",
            (pack, upto_bytes),
        )

    def remove(self, digest: str) -> Place | None:
        """Remove a content, inside `write`; return where it lay."""
        row = self._connection.execute("DELETE FROM blobs WHERE digest = ? RETURNING *", (digest,)).fetchone()
        return Place(*row) if row else None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            ours = self._meaning(error)
            if ours is None:
                raise
            raise ours from error

    def _meaning(self, error: sqlite3.Error) -> InterlockError | None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            return Corrupt(
                f"{self._path} is damaged",
                why=str(error),
                fix=f"stop every process that uses it and remove {self._path.name}; it is rebuilt from the contents",
            )
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return StorageFull(f"{self._path} cannot grow", why=str(error), fix="free some space and run again")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return TimedOut(
                f"{self._path} stayed locked for {_BUSY_TIMEOUT_S:.0f} s", why="another process is writing to it"
            )
        return None
