"""Keep what must outlive the process beside the log: how far it was forwarded, which ids were given, what was seen."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from interlock.core.errors import Conflict, StorageFull, Unavailable

SEEN_KEPT = 100_000
"""How many things of a kind are remembered; the ones not seen for longest are forgotten when a spool starts."""
INTENTS_KEPT_S = 3600.0
"""For how long a client may ask again for what it did not get."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS made (
    given TEXT PRIMARY KEY, kind TEXT NOT NULL, upstream TEXT NOT NULL, root TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS intents (asked TEXT PRIMARY KEY, given TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (
    kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_by_name ON seen (kind, name);
"""


class Made(NamedTuple):
    """What became of an id that the spool gave.

    Args:
        given: The id.
        kind: Of what (`experiment`, `run`, `model`).
        upstream: The id that the upstream server gave; empty where it refused to create the thing.
        root: Where the upstream server keeps its artifacts, as a URI.
    """

    given: str
    kind: str
    upstream: str
    root: str


class Seen(NamedTuple):
    """What a thing of the upstream server looked like, as JSON."""

    kind: str
    id: str
    name: str
    body: bytes


class State:
    """A small database in the spool's folder; thread-safe.

    Every change is on disk when its method returns.

    Args:
        path: The database file; made if need be.
        upstream: The server to which the folder belongs; None for whichever it is.

    Raises:
        Conflict: The folder holds what is on its way to another server.
    """

    def __init__(self, path: Path, *, upstream: str | None) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO facts VALUES ('upstream', ?), ('done', '0')", (upstream or "",))
        self.upstream = self._fact("upstream")
        if upstream is not None and upstream != self.upstream:
            self._db.close()
            raise Conflict(
                f"the folder {path.parent} belongs to another server",
                why=f"it holds what is on its way to {self.upstream}",
                fix=f"interlock spool --to {self.upstream}, or take another folder: --dir FOLDER",
            )
        self._db.execute("DELETE FROM intents WHERE at < ?", (time.time() - INTENTS_KEPT_S,))
        self._db.execute(
            "DELETE FROM seen WHERE at < (SELECT at FROM seen ORDER BY at DESC LIMIT 1 OFFSET ?)", (SEEN_KEPT,)
        )

    def done(self) -> int:
        """Return the number of the first write that is not known to have been forwarded."""
        return int(self._fact("done"))

    def advance(self, done: int, *, made: Made | None = None) -> None:
        """Note how far the log was forwarded, and in the same transaction what became of an id."""
        with self._writing() as db:
            if made is not None:
                db.execute("INSERT OR REPLACE INTO made VALUES (?, ?, ?, ?)", made)
            db.execute("UPDATE facts SET value = ? WHERE name = 'done'", (str(done),))

    def made(self) -> list[Made]:
        """List what became of the ids that were given."""
        with self._lock:
            return [Made(*row) for row in self._db.execute("SELECT given, kind, upstream, root FROM made")]

    def forget(self, given: str) -> None:
        """Forget what became of an id: the thing is to be created again."""
        with self._writing() as db:
            db.execute("DELETE FROM made WHERE given = ?", (given,))

    def intend(self, asked: str, given: str) -> None:
        """Note that something is about to be created without the log, and the id that marks it."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO intents VALUES (?, ?, ?)", (asked, given, time.time()))

    def fulfil(self, asked: str) -> None:
        """Note that whoever asked has the answer."""
        with self._writing() as db:
            db.execute("DELETE FROM intents WHERE asked = ?", (asked,))

    def intents(self) -> dict[str, str]:
        """Return what was about to be created when the process before this one ended: ids by what was asked."""
        with self._lock:
            return dict(self._db.execute("SELECT asked, given FROM intents").fetchall())

    def see(self, things: Sequence[Seen]) -> None:
        """Remember what things look like."""
        if things:
            now = time.time()
            with self._writing() as db:
                db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", [(*one, now) for one in things])

    def seen(self, kind: str, thing_id: str) -> bytes | None:
        """Return what a thing looked like when it was last seen."""
        return self._one("SELECT body FROM seen WHERE kind = ? AND id = ?", kind, thing_id)

    def seen_named(self, kind: str, name: str) -> bytes | None:
        """Return the thing of a name that was seen last."""
        return self._one("SELECT body FROM seen WHERE kind = ? AND name = ? ORDER BY at DESC LIMIT 1", kind, name)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def _fact(self, name: str) -> str:
        with self._lock:
            row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def _one(self, query: str, *values: str) -> bytes | None:
        with self._lock:
            row = self._db.execute(query, values).fetchone()
        return None if row is None else bytes(row[0])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    raise StorageFull("the spool cannot note how far it got", why="the disk is full") from error
                raise Unavailable("the spool cannot note how far it got", why=str(error)) from error
