"""What becomes of connections: reused, dropped, closed, left behind by a fork."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from interlock.adapters.sql.connections import MAX_IDLE
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import Connection, Dialect, PostgresDialect, SqliteDialect
from interlock.core.errors import Unavailable
from tests.forks import play
from tests.unit.adapters.sql.conftest import Opener

INSERT = "INSERT INTO notes (id) VALUES (?)"


def watch(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """Return a list that every connection of the dialect will be added to."""
    made: list[Connection] = []
    connect = dialect.connect

    def connect_and_tell() -> Connection:
        made.append(connect())
        return made[-1]

    monkeypatch.setattr(dialect, "connect", connect_and_tell)
    return made


def is_closed(connection: Connection, dialect: Dialect) -> bool:
    try:
        connection.execute("SELECT 1")
    except dialect.driver_error:
        return True
    return False


def cut_off(dialect: PostgresDialect) -> None:
    """Let the server drop every other connection."""
    with psycopg.connect(dialect.uri, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )


def test_one_thread_needs_one_reader(dialect: Dialect, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    made = watch(dialect, monkeypatch)
    database = opened(dialect)
    for _ in range(10):
        database.query("SELECT 1")
    assert len(made) == 1


def test_a_wrong_question_costs_no_reader(dialect: Dialect, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    made = watch(dialect, monkeypatch)
    database = opened(dialect)
    for _ in range(3):
        with pytest.raises(dialect.driver_error):
            database.query("SELECT * FROM nothing")
        assert database.query("SELECT 1") == [(1,)]
    assert len(made) == 1


def test_connections_of_all_threads_are_closed_with_the_database(
    dialect: Dialect, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = watch(dialect, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: database.query("SELECT COUNT(*) FROM notes"), range(20)))
        with database.write() as tx:
            tx.execute(INSERT, ("a",))
        database.close()
        assert made
        assert all(is_closed(connection, dialect) for connection in made)


class Slow:
    """A connection whose statements wait at a barrier until all threads are there."""

    def __init__(self, connection: Connection, gate: threading.Barrier) -> None:
        self._connection = connection
        self._gate = gate

    def execute(self, sql: str, params: Any = ()) -> Any:
        self._gate.wait(timeout=30)
        return self._connection.execute(sql, params)

    def cursor(self) -> Any:
        return self._connection.cursor()

    def close(self) -> None:
        self._connection.close()


def slow_down(dialect: Dialect, monkeypatch: pytest.MonkeyPatch, gate: threading.Barrier) -> list[Connection]:
    """Make every connection of the dialect wait at the gate; return the list that they will be in."""
    made = watch(dialect, monkeypatch)
    connect = dialect.connect
    monkeypatch.setattr(dialect, "connect", lambda: Slow(connect(), gate))
    return made


def test_a_burst_of_readers_leaves_few_idle(
    sqlite: SqliteDialect, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = MAX_IDLE + 4
    made = slow_down(sqlite, monkeypatch, threading.Barrier(threads))
    database = opened(sqlite)
    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(lambda _: database.query("SELECT 1"), range(threads))) == [[(1,)]] * threads
    assert len(made) == threads
    assert sum(not is_closed(connection, sqlite) for connection in made) == MAX_IDLE


def test_a_reader_in_use_is_closed_when_it_is_given_back(
    sqlite: SqliteDialect, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Barrier(2, action=lambda: database.close())
    made = slow_down(sqlite, monkeypatch, gate)
    database = opened(sqlite)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(database.query, "SELECT 1")
        gate.wait(timeout=30)
        assert answer.result() == [(1,)]
    assert [is_closed(connection, sqlite) for connection in made] == [True]


@pytest.mark.parametrize("dialect", ["postgres"], indirect=True)
class TestDroppedByTheServer:
    """The server hung up: it was restarted, or a network device forgot an idle connection."""

    def test_an_idle_reader_is_replaced_unnoticed(self, dialect: PostgresDialect, database: Database) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: database.query("SELECT * FROM notes"), range(20)))
        cut_off(dialect)
        assert database.query("SELECT COUNT(*) FROM notes") == [(0,)]

    def test_an_idle_writer_is_replaced_unnoticed(self, dialect: PostgresDialect, database: Database) -> None:
        cut_off(dialect)
        with database.write() as tx:
            tx.execute(INSERT, ("a",))
        assert database.query("SELECT id FROM notes") == [("a",)]

    def test_a_write_that_is_cut_off_leaves_nothing(self, dialect: PostgresDialect, database: Database) -> None:
        with pytest.raises(Unavailable), database.write() as tx:
            tx.execute(INSERT, ("a",))
            cut_off(dialect)
            tx.execute(INSERT, ("b",))
        with pytest.raises(Unavailable), database.write() as tx:
            tx.execute(INSERT, ("c",))
            cut_off(dialect)
        with database.write() as tx:
            tx.execute(INSERT, ("d",))
        assert database.query("SELECT id FROM notes") == [("d",)]

    def test_a_server_that_stays_away_is_unavailable(
        self, dialect: PostgresDialect, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cut_off(dialect)
        there, dialect.uri = dialect.uri, "postgresql://nobody@127.0.0.1:1/nothing"
        with pytest.raises(Unavailable) as raised:
            database.query("SELECT 1")
        assert raised.value.why
        assert "workspace URI" in raised.value.fix
        with pytest.raises(Unavailable), database.write():
            pass
        dialect.uri = there
        assert database.query("SELECT 1") == [(1,)]


FORKING = """
from pathlib import Path
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import PostgresDialect, SqliteDialect
from interlock.adapters.sql.journal import SqlJournal
from interlock.adapters.sql.schema import migrate

def open_database(where):
    return Database(PostgresDialect(where) if where.startswith("postgres") else SqliteDialect(Path(where)))

def in_children(count, work):
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            try:
                work(number)
            except BaseException as error:
                print(f"child {number}: {error!r}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        children.append(child)
    assert not any(os.waitpid(child, 0)[1] for child in children)

"""


def where_of(dialect: Dialect) -> str:
    return dialect.uri if isinstance(dialect, PostgresDialect) else str(dialect.path)  # type: ignore[attr-defined]


def test_parent_and_child_both_go_on_after_a_fork(dialect: Dialect) -> None:
    code = """
database = open_database(sys.argv[1])
migrate(database)
journal = SqlJournal(database)
journal.append("before.fork", "run:parent")
assert journal.last_seq() == 1

def work(number):
    assert len(journal.events()) >= 1
    journal.append("in.child", f"run:{number}")
    database.close()

in_children(4, work)
journal.append("after.fork", "run:parent")
print(sorted(event.kind for event in journal.events()))
database.close()
"""
    assert play(FORKING + code, where_of(dialect)).strip() == str(["after.fork", "before.fork", *["in.child"] * 4])


def test_a_fork_waits_for_the_threads_of_the_parent(sqlite: SqliteDialect) -> None:
    code = """
import threading
database = open_database(sys.argv[1])
migrate(database)
journal = SqlJournal(database)
stop = threading.Event()

def keep_busy():
    while not stop.is_set():
        journal.append("in.thread", "run:parent")
        journal.events(limit=5)

threads = [threading.Thread(target=keep_busy) for _ in range(3)]
for thread in threads:
    thread.start()
for number in range(10):
    in_children(1, lambda n: journal.append("in.child", "run:child"))
stop.set()
for thread in threads:
    thread.join()
print(len(journal.events(kinds=["in.child"])))
assert database.query("PRAGMA integrity_check") == [("ok",)]
database.close()
"""
    assert play(FORKING + code, str(sqlite.path)).strip() == "10"


def test_a_fork_inside_a_write_keeps_the_write(sqlite: SqliteDialect) -> None:
    code = """
database = open_database(sys.argv[1])
migrate(database)
with database.write() as tx:
    tx.event("in.parent", "run:parent")
    in_children(1, lambda n: None)
journal = SqlJournal(database)
in_children(1, lambda n: journal.append("in.child", "run:child"))
print([event.kind for event in journal.events()])
database.close()
"""
    assert play(FORKING + code, str(sqlite.path)).strip() == "['in.parent', 'in.child']"


def test_eight_processes_open_a_new_workspace_at_once(dialect: Dialect) -> None:
    code = """
ready, go = os.pipe()

def work(number):
    os.close(go)
    os.read(ready, 1)
    database = open_database(sys.argv[1])
    migrate(database)
    SqlJournal(database).append("opened", f"run:{number}")
    database.close()

def all_at_once():
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:
            try:
                work(number)
            except BaseException as error:
                print(f"child {number}: {error!r}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(go)
    assert not any(os.waitpid(child, 0)[1] for child in children)

all_at_once()
database = open_database(sys.argv[1])
print(len(SqlJournal(database).events()), database.query("SELECT COUNT(*) FROM schema_versions"))
database.close()
"""
    assert play(FORKING + code, where_of(dialect)).strip() == "8 [(1,)]"


def test_sixteen_processes_write_without_a_lock_error(tmp_path: Path) -> None:
    code = """
def work(number):
    database = open_database(sys.argv[1])
    migrate(database)
    journal = SqlJournal(database)
    for step in range(50):
        journal.append("written", f"run:{number}", payload={"step": step})
    database.close()

in_children(16, work)
database = open_database(sys.argv[1])
journal = SqlJournal(database)
for number in range(16):
    steps = [event.payload["step"] for event in journal.events(subject=f"run:{number}", limit=1000)]
    assert steps == list(range(50)), steps
print(journal.last_seq(), journal.counts())
database.close()
"""
    assert play(FORKING + code, str(tmp_path / "shared.db")).strip() == "800 {'written': 800}"
