"""Run queries and transactions on a database, and write events and edges inside them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from interlock.adapters.sql.connections import Connections, Row
from interlock.adapters.sql.dialect import Connection, Dialect, translated
from interlock.adapters.sql.joint_writes import JointWrites
from interlock.core.clock import Clock, SystemClock, to_micros
from interlock.core.ids import new_id
from interlock.core.plain import pack
from interlock.ports.journal import Edge, Event
from interlock.ports.shared_commit import SharedCommit

__all__ = ["Database", "Readable", "Row", "Transaction", "encode"]

encode = pack
"""Write a record for a BLOB column."""


class Readable(Protocol):
    """What can be asked: a database, or a transaction on it, which also sees its own writes."""

    def snapshot(self) -> AbstractContextManager[Readable]:
        """Open a view of one moment, in which several queries agree with each other."""
        ...

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query."""
        ...

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        ...


_ROWS_PER_STATEMENT = (256, 32, 4, 1)
"""Few sizes, so that statements stay prepared."""


class Transaction(Readable):
    """One write transaction; everything done through it is committed together or not at all."""

    def __init__(self, connection: Connection, dialect: Dialect, *, actor: str, clock: Clock) -> None:
        self._connection = connection
        self._dialect = dialect
        self._actor = actor
        self._clock = clock

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement; return how many rows it changed."""
        return int(self._connection.execute(self._dialect.statement(sql), params).rowcount)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for many rows; return how many rows it changed."""
        listed = list(rows)
        if not listed:
            return 0
        cursor = self._connection.cursor()
        cursor.executemany(self._dialect.statement(sql), listed)
        return int(cursor.rowcount)

    def insert(self, into: str, rows: Sequence[Sequence[Any]], *, then: str = "") -> int:
        """Insert rows, many per statement; return how many were inserted or changed.

        SQLite's driver gives up the interpreter lock once per statement, and beside a busy thread each time costs
        more than the row itself.

        Args:
            into: Table and columns, as in `edges (source, target, relation)`.
            rows: Their values.
            then: What follows the values (`ON CONFLICT DO NOTHING`).
        """
        changed = start = 0
        for size in _ROWS_PER_STATEMENT:
            while len(rows) - start >= size:
                part = rows[start : start + size]
                marks = f"({', '.join('?' * len(part[0]))})"
                sql = f"INSERT INTO {into} VALUES {', '.join([marks] * size)} {then}"
                changed += self.execute(sql, [value for row in part for value in row])
                start += size
        return changed

    @contextmanager
    def snapshot(self) -> Iterator[Readable]:
        """Be the view: nobody else writes meanwhile."""
        yield self

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query, as this transaction sees them."""
        rows: list[Row] = self._connection.execute(self._dialect.statement(sql), params).fetchall()
        return rows

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        rows = self.query(sql, params)
        return rows[0] if rows else None

    def event(
        self,
        kind: str,
        subject: str,
        payload: dict[str, Any] | None = None,
        *,
        actor: str | None = None,
        edges: Iterable[Edge] = (),
    ) -> Event:
        """Write one event, and edges, in this transaction."""
        now = self._clock.now()
        event_id = new_id()
        who = actor or self._actor
        row = self.one(
            "INSERT INTO events (id, time, kind, subject, actor, payload) VALUES (?, ?, ?, ?, ?, ?) RETURNING seq",
            (event_id, to_micros(now), kind, subject, who, encode(payload or {})),
        )
        assert row is not None
        self.link(edges)
        return Event(
            seq=row[0], id=event_id, time=now, kind=kind, subject=subject, actor=who, payload=dict(payload or {})
        )

    def link(self, edges: Iterable[Edge]) -> int:
        """Add lineage edges in this transaction; return how many were new."""
        return self.many(
            "INSERT INTO edges (source, target, relation) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            [(edge.source, edge.target, edge.relation) for edge in edges],
        )

    def tell(self, told: Sequence[tuple[str, str, dict[str, Any]]], edges: Iterable[Edge] = ()) -> None:
        """Write many events, each a kind, a subject and a payload, and edges, in this transaction."""
        now = to_micros(self._clock.now())
        rows = [(new_id(), now, kind, subject, self._actor, encode(payload)) for kind, subject, payload in told]
        self.insert("events (id, time, kind, subject, actor, payload)", rows)
        links = [(edge.source, edge.target, edge.relation) for edge in edges]
        self.insert("edges (source, target, relation)", links, then="ON CONFLICT DO NOTHING")


class Snapshot(Readable):
    """What a database held at one moment."""

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self._connection = connection
        self._dialect = dialect

    @contextmanager
    def snapshot(self) -> Iterator[Readable]:
        """Be the view."""
        yield self

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a query."""
        rows: list[Row] = self._connection.execute(self._dialect.statement(sql), params).fetchall()
        return rows

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        rows = self.query(sql, params)
        return rows[0] if rows else None


class Database(Readable, SharedCommit):
    """One database, shared by the threads of this process and by other processes.

    Reads go side by side; writes go one at a time, so that a process never waits on itself. Usable after a fork, in
    the parent and in the child.
    """

    def __init__(self, dialect: Dialect, *, actor: str = "user", clock: Clock | None = None) -> None:
        self.dialect = dialect
        self.clock = clock or SystemClock()
        self._actor = actor
        self._connections = Connections(dialect)
        self._joint: JointWrites | None = None

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """Return all rows of a read-only query; it sees one moment."""
        joint = self._my_joint()
        with translated(self.dialect):
            if joint is not None:
                return joint.fetch(self.dialect.statement(sql), params)
            return self._connections.fetch(self.dialect.statement(sql), params)

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """Return the first row of a read-only query, or None."""
        rows = self.query(sql, params)
        return rows[0] if rows else None

    @contextmanager
    def snapshot(self) -> Iterator[Readable]:
        """Open a view of one moment, in which several queries agree with each other."""
        joint = self._my_joint()
        if joint is not None:  # nobody else writes meanwhile
            yield self
            return
        with translated(self.dialect), self._connections.reading() as connection:
            yield Snapshot(connection, self.dialect)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Open a write transaction; it commits at the end of the block and rolls back on any exception."""
        joint = self._my_joint()
        with (
            translated(self.dialect),
            self._connections.writing() if joint is None else joint.writing() as connection,
        ):
            yield Transaction(connection, self.dialect, actor=self._actor, clock=self.clock)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Have all that this thread writes in the block committed at its end."""
        with translated(self.dialect), self._connections.writing() as connection:
            joint = self._joint = JointWrites(connection)
            try:
                yield
            finally:
                self._joint = None
            joint.check_whole()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Have an error that leaves the block take along what was written in it, and nothing else."""
        joint = self._my_joint()
        assert joint is not None, "apart() is for use within together()"
        with translated(self.dialect), joint.call():
            yield

    def close(self) -> None:
        """Close every connection of this process; a later call raises `Unavailable`."""
        self._connections.close()

    def _my_joint(self) -> JointWrites | None:
        joint = self._joint
        return joint if joint is not None and joint.thread == threading.get_ident() else None
