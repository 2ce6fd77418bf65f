"""Say what differs between SQLite and PostgreSQL: connecting, placeholders, types, errors."""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from interlock.core.errors import (
    Corrupt,
    InterlockError,
    InvalidInput,
    Overloaded,
    StorageFull,
    TimedOut,
    Unauthorised,
    Unavailable,
)

BUSY_TIMEOUT_S = 60.0


class Connection(Protocol):
    """The little of a DB-API connection that both drivers share."""

    def execute(self, sql: str, params: Sequence[Any] = ..., /) -> Any:
        """Run one statement and return its cursor."""
        ...

    def cursor(self) -> Any:
        """Return a cursor."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Dialect(Protocol):
    """What a database needs to be told differently. Statements are written once, with `?` placeholders."""

    name: str
    begin_write: tuple[str, ...]
    begin_read: str
    list_tables: str
    byte_order: str
    position: str
    """The function that says where in a text another begins, 0 if nowhere."""

    def connect(self) -> Connection:
        """Open a connection in autocommit mode."""
        ...

    def statement(self, sql: str) -> str:
        """Return the statement with this database's placeholders."""
        ...

    def schema(self, sql: str) -> str:
        """Return a CREATE statement with this database's types."""
        ...

    def like(self, text: str, pattern: str, *, any_case: bool) -> tuple[str, str]:
        """Return the condition that a text has the form of a pattern of `%` and `_`, and the parameter for its mark.

        Of letters in any case, those from A to Z are taken for each other.
        """
        ...

    def is_lost(self, connection: Connection) -> bool:
        """Say whether the connection is of no more use."""
        ...

    def translate(self, error: Exception) -> InterlockError | None:
        """Return the error of ours that a driver's error means, if it means one."""
        ...

    @property
    def driver_error(self) -> type[Exception]:
        """The root of the driver's errors."""
        ...


class SqliteDialect:
    """SQLite in WAL mode: many readers, one writer, over one local file."""

    name = "sqlite"
    begin_write: tuple[str, ...] = ("BEGIN IMMEDIATE",)
    begin_read = "BEGIN"
    list_tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    byte_order = ""
    position = "instr"
    driver_error = sqlite3.Error

    def __init__(self, path: Path) -> None:
        self.path = path

    def connect(self) -> Connection:
        """Open the file, waiting for other processes rather than failing."""
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            _enter_wal(connection)
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA temp_store=MEMORY")
            # pages that are written again and again (indexes, counters) are moved to the file a quarter as often
            connection.execute("PRAGMA wal_autocheckpoint=4000")
            connection.create_function("rlike", 2, is_found, deterministic=True)
        except BaseException:
            connection.close()
            raise
        return connection

    def statement(self, sql: str) -> str:
        """Return it unchanged."""
        return sql

    def schema(self, sql: str) -> str:
        """Write `AUTOSEQ` as SQLite's rowid key that never reuses a number."""
        return sql.replace("AUTOSEQ", "INTEGER PRIMARY KEY AUTOINCREMENT")

    def like(self, text: str, pattern: str, *, any_case: bool) -> tuple[str, str]:
        """Write it with GLOB, which tells case, or with LIKE, which does not."""
        if any_case:
            return f"{text} LIKE ?", pattern
        return f"{text} GLOB ?", pattern.translate(_AS_GLOB)

    def is_lost(self, connection: Connection) -> bool:
        """Say no: a file does not hang up."""
        return False

    def translate(self, error: Exception) -> InterlockError | None:
        """Read SQLite's result code."""
        extended = getattr(error, "sqlite_errorcode", 0)
        code = extended & 0xFF
        if code == sqlite3.SQLITE_FULL or extended in _NO_ROOM:
            return StorageFull(f"{self.path} cannot grow", why=str(error), fix="free some space and run again")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Corrupt(
                f"{self.path} is damaged",
                why=str(error),
                fix="interlock verify, then restore the file from a backup",
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return TimedOut(
                f"{self.path} stayed locked for {BUSY_TIMEOUT_S:.0f} s",
                why="another process holds a write transaction open",
                fix="interlock doctor",
            )
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return Unavailable(
                f"{self.path} cannot be opened for writing",
                why=str(error),
                fix="check that its folder exists and that you may write there",
            )
        if code == sqlite3.SQLITE_IOERR:
            return Unavailable(f"{self.path} cannot be read or written", why=str(error), fix="check the disk")
        if "binding parameter" in str(error) or code == sqlite3.SQLITE_TOOBIG:
            return _unfit(error)
        return None


def is_found(pattern: str, text: str | None) -> bool | None:
    """Say whether a regular expression of RE2, whose time grows with the text alone, is found in a text.

    Raises:
        InvalidInput: It is no regular expression.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if text is None:
        return None
    try:
        return bool(pc.match_substring_regex(pa.scalar(text, pa.large_string()), pattern=pattern).as_py())
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"'{pattern:.80}' is no regular expression", why=str(error)) from error


_AS_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})
_NO_ROOM = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE)


def _enter_wal(connection: sqlite3.Connection) -> None:
    # the switch asks for the whole file, and SQLite gives up on it at once where two processes switch together
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


class PostgresDialect:
    """PostgreSQL; writers take one advisory lock, so that `seq` order is commit order."""

    name = "postgres"
    begin_write: tuple[str, ...] = ("BEGIN", "SELECT pg_advisory_xact_lock(4711013)")
    # a search knows its values; a plan that does not looks at every row for each of some hundred ids
    begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan"
    list_tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    byte_order = ' COLLATE "C"'
    position = "strpos"

    def __init__(self, uri: str) -> None:
        import psycopg

        self._psycopg = psycopg
        self.uri = uri

    @property
    def driver_error(self) -> type[Exception]:
        """The root of psycopg's errors."""
        return self._psycopg.Error

    def connect(self) -> Connection:
        """Open a connection that prepares repeated statements and does not wait for ever."""
        connection = self._psycopg.connect(self.uri, autocommit=True, prepare_threshold=3, client_encoding="utf8")
        connection.execute(f"SET lock_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        return connection

    def statement(self, sql: str) -> str:
        """Write `?` as `%s`."""
        return _percent(sql)

    def schema(self, sql: str) -> str:
        """Write SQLite's types as PostgreSQL's; text compares by bytes, as in SQLite."""
        return (
            sql.replace("AUTOSEQ", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
            .replace("INTEGER", "BIGINT")
            .replace("REAL", "DOUBLE PRECISION")
            .replace("BLOB", "BYTEA")
            .replace("TEXT", 'TEXT COLLATE "C"')
            .replace(" WITHOUT ROWID", "")
        )

    def like(self, text: str, pattern: str, *, any_case: bool) -> tuple[str, str]:
        """Write it without an escape character."""
        return f"{text} {'ILIKE' if any_case else 'LIKE'} ? ESCAPE ''", pattern

    def is_lost(self, connection: Connection) -> bool:
        """Say whether the server, or the network, hung up."""
        return bool(connection.closed)  # type: ignore[attr-defined]

    def translate(self, error: Exception) -> InterlockError | None:
        """Read the SQLSTATE, by class where the class says enough."""
        state = getattr(error, "sqlstate", None) or ""
        why = str(error).strip().partition("\n")[0] or "the connection was closed"
        if state.startswith("533") or state == "57P03":
            return Overloaded("the PostgreSQL server takes no more connections now", why=why, fix="try again")
        if state.startswith("53"):
            return StorageFull(
                "the PostgreSQL server is out of resources", why=why, fix="free some space and run again"
            )
        if state == "55P03":
            return TimedOut(
                f"the workspace stayed locked for {BUSY_TIMEOUT_S:.0f} s",
                why="another process holds a write transaction open",
                fix="interlock doctor",
            )
        if state.startswith("XX"):
            return Corrupt("the PostgreSQL server found damage", why=why, fix="restore the database from a backup")
        if state in ("42501", "25006"):
            return Unauthorised(
                "the PostgreSQL user may not do this", why=why, fix="GRANT CREATE, USAGE ON SCHEMA ... TO the user"
            )
        if isinstance(error, self._psycopg.DataError) or "cannot adapt type" in why:
            return _unfit(error)
        if isinstance(error, self._psycopg.OperationalError):
            return Unavailable(
                "the PostgreSQL server does not answer",
                why=why,
                fix="check the host, port, user and password of the workspace URI",
            )
        return None


@functools.lru_cache(maxsize=1024)
def _percent(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


@contextmanager
def translated(dialect: Dialect) -> Iterator[None]:
    """Raise our errors for the driver's."""
    try:
        yield
    except (OverflowError, UnicodeEncodeError) as error:
        # SQLite's driver refuses these before it asks the database
        raise _unfit(error) from error
    except dialect.driver_error as error:
        ours = dialect.translate(error)
        if ours is None:
            raise
        raise ours from error


def _unfit(error: Exception) -> InvalidInput:
    return InvalidInput(
        "a value does not fit the database",
        why=f"{str(error).strip()}; expected integers of 64 bits, and text without NUL or half a surrogate pair",
    )
