"""Transactions, events and what comes back from a database."""

from __future__ import annotations

import threading

import pytest

from interlock.adapters.sql.database import Database, Transaction, encode
from interlock.core.errors import InterlockError, InvalidInput, Unavailable
from interlock.ports.journal import Edge
from tests.unit.adapters.sql.conftest import NOW

INSERT = "INSERT INTO notes (id, size, body) VALUES (?, ?, ?)"


def test_what_is_written_is_read(database: Database) -> None:
    with database.write() as tx:
        assert tx.execute(INSERT, ("a%?", 2**62, b"\x00\xff")) == 1
        assert tx.many(INSERT, [("b", 1, b""), ("c", None, b"c")]) == 2
        assert tx.one("SELECT COUNT(*) FROM notes") == (3,)
    assert database.query("SELECT id, size, body FROM notes ORDER BY id") == [
        ("a%?", 2**62, b"\x00\xff"),
        ("b", 1, b""),
        ("c", None, b"c"),
    ]
    assert database.one("SELECT id FROM notes WHERE id = ?", ("nobody",)) is None


def test_many_of_nothing_does_nothing(database: Database) -> None:
    with database.write() as tx:
        assert tx.many(INSERT, []) == 0


def test_an_exception_rolls_everything_back(database: Database) -> None:
    def fail(tx: Transaction) -> None:
        tx.execute(INSERT, ("a", 1, b""))
        tx.event("run.started", "run:a", edges=[Edge("x", "y", "z")])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), database.write() as tx:
        fail(tx)
    for table in ("notes", "events", "edges"):
        assert database.query(f"SELECT * FROM {table}") == []
    with database.write() as tx:
        tx.execute(INSERT, ("b", 1, b""))
    assert database.query("SELECT id FROM notes") == [("b",)]


def test_a_failed_statement_rolls_back_what_came_before(database: Database) -> None:
    with pytest.raises(database.dialect.driver_error), database.write() as tx:
        tx.execute(INSERT, ("a", 1, b""))
        tx.execute("INSERT INTO no_such_table VALUES (1)")
    assert database.query("SELECT * FROM notes") == []


def test_readers_see_only_what_is_committed(database: Database) -> None:
    with database.write() as tx:
        tx.execute(INSERT, ("a", 1, b""))
        assert database.query("SELECT * FROM notes") == []
    assert len(database.query("SELECT * FROM notes")) == 1


def test_an_event_says_who_and_when(database: Database) -> None:
    with database.write() as tx:
        first = tx.event("run.started", "run:a", {"n": 1}, edges=[Edge("x", "y", "z"), Edge("x", "y", "z")])
        second = tx.event("run.finished", "run:a", actor="loop")
        assert tx.link([Edge("x", "y", "z"), Edge("x", "y", "other")]) == 1
    assert (first.actor, first.time, first.payload) == ("ada", NOW, {"n": 1})
    assert second.actor == "loop"
    assert second.seq > first.seq
    assert database.query("SELECT seq, actor FROM events ORDER BY seq") == [(first.seq, "ada"), (second.seq, "loop")]
    assert len(database.query("SELECT * FROM edges")) == 2


def test_an_event_that_cannot_be_written_rolls_back(database: Database) -> None:
    with pytest.raises(InvalidInput), database.write() as tx:
        tx.execute(INSERT, ("a", 1, b""))
        tx.event("run.started", "run:a", {"model": object()})
    assert database.query("SELECT * FROM notes") == []


@pytest.mark.parametrize("value", ["a\ud800", 2**70, object()])
def test_a_value_that_does_not_fit_is_bad_input(database: Database, value: object) -> None:
    with pytest.raises(InvalidInput), database.write() as tx:
        tx.execute("INSERT INTO notes (id, size) VALUES ('a', 1)")
        tx.execute("UPDATE notes SET size = ?", (value,))
    assert database.query("SELECT * FROM notes") == []


def test_a_question_that_does_not_fit_is_bad_input(database: Database) -> None:
    with pytest.raises(InvalidInput):
        database.query("SELECT * FROM notes WHERE id = ?", ("a\ud800",))


def test_a_write_inside_a_write_is_refused_at_once(database: Database) -> None:
    with pytest.raises(InterlockError, match="inside a write"), database.write(), database.write():
        pass
    with pytest.raises(InterlockError, match="inside a write"), database.write():
        database.close()
    with database.write() as tx:
        tx.execute(INSERT, ("a", 1, b""))


def test_a_closed_database_says_so(database: Database) -> None:
    database.close()
    database.close()
    with pytest.raises(Unavailable, match="closed"):
        database.query("SELECT 1")
    with pytest.raises(Unavailable, match="closed"), database.write():
        pass


def test_writes_of_threads_go_one_at_a_time(database: Database) -> None:
    def count_up() -> None:
        for _ in range(10):
            with database.write() as tx:
                [(size,)] = tx.query("SELECT size FROM notes")
                tx.execute("UPDATE notes SET size = ?", (size + 1,))

    with database.write() as tx:
        tx.execute(INSERT, ("a", 0, b""))
    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.query("SELECT size FROM notes") == [(80,)]


def test_encode_sorts_keys() -> None:
    assert encode({"b": 1, "a": 2}) == encode({"a": 2, "b": 1})
