"""Several writes of one thread are committed together, each standing or falling by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import PostgresDialect, SqliteDialect
from interlock.core.errors import Conflict, InterlockError, NotFound
from tests.postgres import fresh_schema


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with ExitStack() as exits:
        if request.param == "sqlite":
            made = Database(SqliteDialect(tmp_path / "a.db"))
        else:
            made = Database(PostgresDialect(exits.enter_context(fresh_schema(request.getfixturevalue("postgres_uri")))))
        exits.enter_context(closing(made))
        with made.write() as tx:
            tx.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        yield made


def add(database: Database, number: int, text: str = "x") -> None:
    with database.write() as tx:
        tx.execute("INSERT INTO notes (id, text) VALUES (?, ?)", (number, text))


def ids(database: Database) -> list[int]:
    return [row[0] for row in database.query("SELECT id FROM notes ORDER BY id")]


def ids_elsewhere(database: Database) -> list[int]:
    found: list[list[int]] = []
    other = threading.Thread(target=lambda: found.append(ids(database)))
    other.start()
    other.join()
    return found[0]


def test_others_see_the_writes_once_the_block_has_ended(database: Database) -> None:
    with database.together():
        for number in range(3):
            with database.apart():
                add(database, number)
                assert ids(database) == list(range(number + 1))
                with database.snapshot() as view:
                    assert view.one("SELECT COUNT(*) FROM notes") == (number + 1,)
        assert ids_elsewhere(database) == []
    assert ids_elsewhere(database) == [0, 1, 2]


def test_a_call_that_fails_takes_its_own_writes_along(database: Database) -> None:
    with database.together():
        with database.apart():
            add(database, 1)
        with pytest.raises(Conflict), database.apart():
            add(database, 2)
            add(database, 3)
            raise Conflict("no")
        with database.apart():
            add(database, 4)
    assert ids(database) == [1, 4]


def test_a_write_that_fails_takes_only_itself_along(database: Database) -> None:
    with database.together(), database.apart():
        with pytest.raises(NotFound), database.write() as tx:
            tx.execute("INSERT INTO notes (id, text) VALUES (7, 'x')")
            raise NotFound("gone")
        add(database, 1)
        with pytest.raises(NotFound), database.write() as tx:
            tx.execute("INSERT INTO notes (id, text) VALUES (8, 'x')")
            raise NotFound("gone")
        add(database, 2)
    assert ids(database) == [1, 2]


def test_an_error_of_the_database_spoils_nothing_else(database: Database) -> None:
    with database.together():
        with database.apart():
            add(database, 1)
        with pytest.raises(database.dialect.driver_error), database.apart():
            add(database, 1)
        with pytest.raises(database.dialect.driver_error), database.apart():
            add(database, 2)
            database.query("SELECT nothing FROM nowhere")
        with database.apart():
            add(database, 3)
    assert ids(database) == [1, 3]


def test_an_error_that_leaves_the_block_takes_everything_along(database: Database) -> None:
    with pytest.raises(Conflict), database.together():
        with database.apart():
            add(database, 1)
        raise Conflict("no")
    assert ids(database) == []
    add(database, 2)
    assert ids(database) == [2]


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_transaction_that_cannot_be_committed_is_no_success(database: Database) -> None:
    with pytest.raises((InterlockError, database.dialect.driver_error)), database.together():
        with database.apart():
            add(database, 1)
        # outside any call, so that nothing brings the transaction back
        with pytest.raises(database.dialect.driver_error):
            database.query("SELECT nothing FROM nowhere")
    assert ids(database) == []


def test_a_write_inside_a_write_is_refused_as_ever(database: Database) -> None:
    with database.together(), database.apart(), database.write(), pytest.raises(InterlockError, match="inside a write"):
        add(database, 1)


def test_another_thread_waits_for_the_block(database: Database) -> None:
    with database.together():
        other = threading.Thread(target=add, args=(database, 2))
        with database.apart():
            add(database, 1)
        other.start()
        other.join(0.05)
        assert other.is_alive()
    other.join()
    assert ids(database) == [1, 2]
