"""Open a database on either dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import Dialect, PostgresDialect, SqliteDialect
from interlock.core.clock import FrozenClock
from tests.postgres import fresh_schema

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Opener = Callable[[Dialect], Database]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Return how to open a database that is closed after the test."""
    with ExitStack() as stack:

        def open_database(dialect: Dialect) -> Database:
            return stack.enter_context(closing(Database(dialect, actor="ada", clock=FrozenClock(NOW))))

        yield open_database


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteDialect:
    return SqliteDialect(tmp_path / "workspace.db")


@pytest.fixture
def postgres(postgres_uri: str) -> Iterator[PostgresDialect]:
    with fresh_schema(postgres_uri) as uri:
        yield PostgresDialect(uri)


@pytest.fixture(params=["sqlite", "postgres"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def database(dialect: Dialect, opened: Opener) -> Database:
    """Return an open database with one table of notes, besides those that events and edges need."""
    database = opened(dialect)
    with database.write() as tx:
        for statement in (
            "CREATE TABLE notes (id TEXT PRIMARY KEY, size INTEGER, body BLOB)",
            """CREATE TABLE events (seq AUTOSEQ, id TEXT, time INTEGER, kind TEXT, subject TEXT, actor TEXT,
               payload BLOB)""",
            "CREATE TABLE edges (source TEXT, target TEXT, relation TEXT, PRIMARY KEY (source, target, relation))",
        ):
            tx.execute(dialect.schema(statement))
    return database
