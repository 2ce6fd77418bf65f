"""What the databases say when something is wrong, in our words."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from interlock.adapters.sql import dialect as dialect_module
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import Connection, Dialect, PostgresDialect, SqliteDialect, translated
from interlock.adapters.sql.journal import SqlJournal
from interlock.adapters.sql.schema import migrate
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
from tests.unit.adapters.sql.conftest import Opener


class SmallDisk(SqliteDialect):
    """A file that may not grow beyond some pages."""

    pages = 60

    def connect(self) -> Connection:
        connection = super().connect()
        connection.execute(f"PRAGMA max_page_count = {self.pages}")
        return connection


class LockedAway(SqliteDialect):
    """A file that may be read but not written, also for root."""

    def connect(self) -> Connection:
        connection = super().connect()
        connection.execute("PRAGMA query_only = ON")
        return connection


def explained(error: InterlockError) -> bool:
    return bool(error.what and error.why and error.fix)


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path, opened: Opener) -> None:
    database = opened(SmallDisk(tmp_path / "small.db"))
    with database.write() as tx:
        tx.execute("CREATE TABLE notes (body BLOB)")
    with pytest.raises(StorageFull) as raised, database.write() as tx:
        tx.execute("INSERT INTO notes VALUES (?)", (b"small",))
        tx.execute("INSERT INTO notes VALUES (?)", (bytes(1_000_000),))
    assert explained(raised.value)
    assert database.query("SELECT * FROM notes") == []
    with database.write() as tx:
        tx.execute("INSERT INTO notes VALUES (?)", (b"small",))
    assert database.query("SELECT * FROM notes") == [(b"small",)]


def test_random_bytes_are_no_workspace(sqlite: SqliteDialect, opened: Opener) -> None:
    sqlite.path.write_bytes(bytes(range(256)) * 64)
    with pytest.raises(Corrupt) as raised:
        migrate(opened(sqlite))
    assert explained(raised.value)
    assert str(sqlite.path) in raised.value.what


def test_a_page_that_was_overwritten_is_damage(sqlite: SqliteDialect, opened: Opener) -> None:
    with closing(Database(sqlite)) as database:
        migrate(database)
        journal = SqlJournal(database)
        for number in range(500):
            journal.append("a.b", f"run:{number}", payload={"text": "x" * 200})
    data = bytearray(sqlite.path.read_bytes())
    for page in range(len(data) // 8192, len(data) // 4096):
        data[page * 4096 : page * 4096 + 512] = b"\xff" * 512
    sqlite.path.write_bytes(data)
    with pytest.raises(Corrupt):
        SqlJournal(opened(sqlite)).events(limit=1000)


def test_a_folder_that_is_missing(tmp_path: Path, opened: Opener) -> None:
    with pytest.raises(Unavailable) as raised:
        migrate(opened(SqliteDialect(tmp_path / "missing" / "workspace.db")))
    assert explained(raised.value)


def test_a_folder_in_place_of_the_file(tmp_path: Path, opened: Opener) -> None:
    with pytest.raises(Unavailable):
        migrate(opened(SqliteDialect(tmp_path)))


def test_a_file_that_may_not_be_written(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "workspace.db"
    with closing(Database(SqliteDialect(path))) as database:
        migrate(database)
    locked = opened(LockedAway(path))
    assert migrate(locked) > 0
    assert SqlJournal(locked).events() == []
    with pytest.raises(Unavailable) as raised:
        SqlJournal(locked).append("a.b", "run:c")
    assert explained(raised.value)


def test_a_lock_that_is_never_released(dialect: Dialect, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect_module, "BUSY_TIMEOUT_S", 0.05)
    holder, other = opened(dialect), opened(dialect)
    with holder.write(), pytest.raises(TimedOut) as raised, other.write():
        pass
    assert explained(raised.value)
    with other.write() as tx:
        assert tx.query("SELECT 1") == [(1,)]


def test_a_new_file_that_another_process_keeps_locked(sqlite: SqliteDialect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect_module, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TimedOut), translated(sqlite):
            sqlite.connect()


def test_a_mistake_of_ours_keeps_its_own_error(dialect: Dialect, opened: Opener) -> None:
    with pytest.raises(dialect.driver_error):
        opened(dialect).query("SELECT FROM WHERE")


def test_text_with_a_nul_does_not_fit_postgres(postgres: PostgresDialect, opened: Opener) -> None:
    with pytest.raises(InvalidInput):
        opened(postgres).query("SELECT ?::text", ("a\0b",))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_IOERR_WRITE, StorageFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StorageFull),
        (sqlite3.SQLITE_IOERR_READ, Unavailable),
        (sqlite3.SQLITE_TOOBIG, InvalidInput),
        (sqlite3.SQLITE_READONLY_DIRECTORY, Unavailable),
        (sqlite3.SQLITE_CORRUPT_INDEX, Corrupt),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, TimedOut),
    ],
)
def test_sqlite_codes(sqlite: SqliteDialect, code: int, kind: type[InterlockError]) -> None:
    error = sqlite3.OperationalError("said by SQLite")
    error.sqlite_errorcode = code
    ours = sqlite.translate(error)
    assert type(ours) is kind
    assert "said by SQLite" in ours.why or kind is TimedOut


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull, StorageFull),
        (psycopg.errors.TooManyConnections, Overloaded),
        (psycopg.errors.CannotConnectNow, Overloaded),
        (psycopg.errors.LockNotAvailable, TimedOut),
        (psycopg.errors.DataCorrupted, Corrupt),
        (psycopg.errors.InsufficientPrivilege, Unauthorised),
        (psycopg.errors.ReadOnlySqlTransaction, Unauthorised),
        (psycopg.errors.AdminShutdown, Unavailable),
        (psycopg.errors.NumericValueOutOfRange, InvalidInput),
        (psycopg.OperationalError, Unavailable),
    ],
)
def test_postgres_states(error: type[psycopg.Error], kind: type[InterlockError]) -> None:
    ours = PostgresDialect("postgresql://").translate(error("said by\nthe server"))
    assert type(ours) is kind
    assert ours.what
    assert ours.why


def test_postgres_says_nothing_when_the_connection_breaks() -> None:
    ours = PostgresDialect("postgresql://").translate(psycopg.OperationalError(""))
    assert isinstance(ours, Unavailable)
    assert ours.why == "the connection was closed"


def test_placeholders_and_types_of_postgres() -> None:
    dialect = PostgresDialect("postgresql://")
    assert dialect.statement("SELECT '100%' WHERE a = ?") == "SELECT '100%%' WHERE a = %s"
    created = dialect.schema("CREATE TABLE t (seq AUTOSEQ, n INTEGER, x REAL, b BLOB, s TEXT)")
    assert "IDENTITY" in created
    assert "n BIGINT, x DOUBLE PRECISION, b BYTEA" in created
    assert 's TEXT COLLATE "C"' in created


def test_text_sorts_by_bytes_on_both(dialect: Dialect, opened: Opener) -> None:
    database = opened(dialect)
    with database.write() as tx:
        tx.execute(dialect.schema("CREATE TABLE words (word TEXT)"))
        tx.many("INSERT INTO words VALUES (?)", [(word,) for word in ("b", "B", "a/c", "a", "é", "Z", "a.b")])
    found = [word for (word,) in database.query("SELECT word FROM words ORDER BY word")]
    assert found == ["B", "Z", "a", "a.b", "a/c", "b", "é"]
