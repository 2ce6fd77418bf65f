"""Hold one process's connections to one database: many readers, one writer, and none across a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from interlock.adapters.sql.dialect import Connection, Dialect
from interlock.core.errors import InterlockError, Unavailable

Row = tuple[Any, ...]
MAX_IDLE = 8
"""Idle readers kept open; a burst of threads may open more for its time."""


class Connections:
    """Lend connections to threads.

    A connection that the server dropped is discarded, and the call that met it is asked again on a new one where
    that is harmless: a read, or a write that has not begun. Before a fork every connection is closed, since neither
    driver survives one: SQLite's locks belong to the parent, and a PostgreSQL socket would be shared.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._closed = False
        self._start()
        _everywhere.add(self)

    def _start(self) -> None:
        self._gate = threading.Condition(threading.Lock())
        self._idle: list[Connection] = []
        self._reading = 0
        self._write_lock = threading.Lock()
        self._writing_thread: int | None = None
        self._writer: Connection | None = None

    def fetch(self, sql: str, params: Sequence[Any]) -> list[Row]:
        """Return all rows of a query, on a reader of this thread's own."""
        with self._gate:
            self._check_open()
            self._reading += 1
            reader = self._idle.pop() if self._idle else None
        try:
            if reader is not None:
                try:
                    return reader.execute(sql, params).fetchall()  # type: ignore[no-any-return]
                except self._dialect.driver_error:
                    if not self._dialect.is_lost(reader):
                        raise
                    reader.close()
                    self._drop_idle()
            reader = self._dialect.connect()
            return reader.execute(sql, params).fetchall()  # type: ignore[no-any-return]
        finally:
            self._give_back(reader)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a reader of this thread's own inside a read transaction: all that is asked of it is of one moment."""
        with self._gate:
            self._check_open()
            self._reading += 1
            idle = self._idle.pop() if self._idle else None
        reader = None
        try:
            reader = self._begun(idle)
            try:
                yield reader
                reader.execute("COMMIT")
            except BaseException:
                # what state it is in is not worth finding out
                reader.close()
                reader = None
                raise
        finally:
            self._give_back(reader)

    def _begun(self, reader: Connection | None) -> Connection:
        if reader is not None:
            try:
                reader.execute(self._dialect.begin_read)
                return reader
            except self._dialect.driver_error:
                lost = self._dialect.is_lost(reader)
                reader.close()
                if not lost:
                    raise
                self._drop_idle()
        reader = self._dialect.connect()
        reader.execute(self._dialect.begin_read)
        return reader

    def _give_back(self, reader: Connection | None) -> None:
        with self._gate:
            self._reading -= 1
            self._gate.notify_all()
            if reader is None:
                return
            if not self._closed and len(self._idle) < MAX_IDLE and not self._dialect.is_lost(reader):
                self._idle.append(reader)
            else:
                reader.close()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend the writer inside a transaction, which commits at the end and rolls back on any exception."""
        self._check_not_writing()
        with self._write_lock:
            self._writing_thread = threading.get_ident()
            try:
                writer = self._begin()
                try:
                    yield writer
                    writer.execute("COMMIT")
                except BaseException:
                    self._roll_back(writer)
                    raise
            finally:
                self._writing_thread = None

    def _begin(self) -> Connection:
        self._check_open()
        may_ask_again = self._writer is not None
        while True:
            writer = self._writer = self._writer or self._dialect.connect()
            try:
                for statement in self._dialect.begin_write:
                    writer.execute(statement)
                return writer
            except BaseException:
                lost = self._dialect.is_lost(writer)
                self._roll_back(writer)
                if not (lost and may_ask_again):
                    raise
                may_ask_again = False

    def _roll_back(self, writer: Connection) -> None:
        try:
            writer.execute("ROLLBACK")
        except self._dialect.driver_error:
            # there is nothing left to roll back, or nobody to tell: closing ends the transaction in any case
            writer.close()
            self._writer = None

    def _drop_idle(self) -> None:
        with self._gate:
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()

    def close(self) -> None:
        """Close every connection; one that is in use now is closed when it is given back."""
        self._check_not_writing()
        with self._write_lock:
            self._closed = True
            self._close_writer()
            self._drop_idle()

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the workspace is closed", why="close() was called", fix="interlock.open(...)")

    def _check_not_writing(self) -> None:
        if self._writing_thread == threading.get_ident():
            raise nested_write()

    def before_fork(self) -> bool:
        """Wait until nothing is in use, close everything, and stay locked; say whether that was done."""
        if self._writing_thread == threading.get_ident():
            return False
        self._write_lock.acquire()
        self._gate.acquire()
        self._gate.wait_for(lambda: self._reading == 0)
        self._close_writer()
        while self._idle:
            self._idle.pop().close()
        return True

    def after_fork(self) -> None:
        """Go on in the parent."""
        self._gate.release()
        self._write_lock.release()

    def after_fork_in_child(self) -> None:
        """Begin anew in the child; what it inherited stays open, since closing it would disturb the parent."""
        _inherited.extend(self._idle)
        if self._writer is not None:
            _inherited.append(self._writer)
        self._start()


def nested_write() -> InterlockError:
    """Build the error for a write that is begun inside another."""
    return InterlockError(
        "a write was begun inside a write",
        why="this thread holds the one write transaction, and would wait for itself",
        fix="use the transaction that is open",
    )


_everywhere: WeakSet[Connections] = WeakSet()
_held: list[Connections] = []
_inherited: list[Connection] = []


def _before_fork() -> None:
    for one in sorted(_everywhere, key=id):
        if one.before_fork():
            _held.append(one)


def _after_fork() -> None:
    while _held:
        _held.pop().after_fork()


def _after_fork_in_child() -> None:
    _held.clear()
    for one in list(_everywhere):
        one.after_fork_in_child()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
