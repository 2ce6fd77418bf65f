"""Let one thread write several times within one transaction, as if each were a transaction of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from interlock.adapters.sql.connections import Row, nested_write
from interlock.adapters.sql.dialect import Connection

_CALL, _WRITE = "one_call", "one_write"


class JointWrites:
    """The open transaction of one thread, and what is marked in it.

    Args:
        connection: The writer, inside its transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self.thread = threading.get_ident()
        self._connection = connection
        self._is_writing = False
        self._fresh_call = False

    def fetch(self, sql: str, params: Sequence[Any]) -> list[Row]:
        """Return all rows of a query, which sees what was written here."""
        return self._connection.execute(sql, params).fetchall()  # type: ignore[no-any-return]

    @contextmanager
    def call(self) -> Iterator[None]:
        """Mark one call: its error takes along what it wrote."""
        with self._marked(_CALL):
            self._fresh_call = True
            yield

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend the connection for one write, whose error takes along what it wrote."""
        if self._is_writing:
            raise nested_write()
        self._is_writing = True
        # nothing was written since the call began: going back to there is going back to before this write
        first, self._fresh_call = self._fresh_call, False
        try:
            if not first:
                with self._marked(_WRITE):
                    yield self._connection
                return
            try:
                yield self._connection
            except BaseException:
                self._connection.execute(f"ROLLBACK TO {_CALL}")
                self._fresh_call = True
                raise
        finally:
            self._is_writing = False

    def check_whole(self) -> None:
        """Raise if the transaction cannot be committed: PostgreSQL would then roll back without a word."""
        self._connection.execute("SELECT 1")

    @contextmanager
    def _marked(self, name: str) -> Iterator[None]:
        self._connection.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            self._connection.execute(f"ROLLBACK TO {name}")
            self._connection.execute(f"RELEASE {name}")
            raise
        self._connection.execute(f"RELEASE {name}")
