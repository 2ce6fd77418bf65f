"""A view of one moment, on both dialects."""

from __future__ import annotations

import threading

import pytest

from interlock.adapters.sql.database import Database
from interlock.core.errors import InvalidInput, Unavailable


def add(database: Database, name: str) -> None:
    with database.write() as tx:
        tx.execute("INSERT INTO notes (id) VALUES (?)", (name,))


def test_a_snapshot_does_not_move(database: Database) -> None:
    add(database, "a")
    with database.snapshot() as view:
        assert view.query("SELECT id FROM notes") == [("a",)]
        add(database, "b")
        assert view.query("SELECT id FROM notes") == [("a",)]
        with view.snapshot() as same:
            assert same.one("SELECT COUNT(*) FROM notes") == (1,)
    assert database.one("SELECT COUNT(*) FROM notes") == (2,)


def test_a_transaction_is_its_own_snapshot(database: Database) -> None:
    with database.write() as tx:
        tx.execute("INSERT INTO notes (id) VALUES (?)", ("a",))
        with tx.snapshot() as view:
            assert view.one("SELECT id FROM notes") == ("a",)


def test_an_error_within_a_snapshot_leaves_the_database_usable(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), database.snapshot() as view:
            view.query("SELECT id FROM notes")
            raise ZeroDivisionError
        with pytest.raises(InvalidInput), database.snapshot() as view:
            view.query("SELECT id FROM notes WHERE size = ?", (object(),))
    add(database, "a")
    with database.snapshot() as view:
        assert view.query("SELECT id FROM notes WHERE id = ?", ("b",)) == []
        assert view.one("SELECT id FROM notes") == ("a",)


def test_snapshots_go_side_by_side(database: Database) -> None:
    add(database, "a")
    met = threading.Barrier(4, timeout=30)
    found: list[object] = []

    def look() -> None:
        with database.snapshot() as view:
            met.wait()
            found.append(view.one("SELECT id FROM notes"))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [("a",)] * 4


def test_a_closed_database_has_no_snapshots(database: Database) -> None:
    database.close()
    with pytest.raises(Unavailable), database.snapshot():
        pass
