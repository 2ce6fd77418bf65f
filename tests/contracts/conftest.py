"""Open each backend fresh and empty, and name them for the contract suites."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import Dialect, PostgresDialect, SqliteDialect
from interlock.adapters.sql.stores import sql_stores
from interlock.core.clock import FrozenClock
from interlock.ports.stores import Stores
from interlock.testing.machine import Plays, state_machine
from tests.contracts.remote_server import RemoteServer
from tests.engines import dask_processes, dask_threads, ray_cluster
from tests.postgres import empty, fresh_schema

__all__ = ["dask_processes", "dask_threads", "ray_cluster"]

Opener = Callable[[], AbstractContextManager[Stores]]
START = datetime(2026, 1, 1, tzinfo=UTC)
_counter = itertools.count()


@contextmanager
def open_memory() -> Iterator[Stores]:
    yield memory_stores(clock=FrozenClock(START))


@contextmanager
def open_sql(dialect: Dialect) -> Iterator[Stores]:
    database = Database(dialect, clock=FrozenClock(START))
    with contextlib.closing(database):
        yield sql_stores(database)


@pytest.fixture(scope="session")
def postgres_schema(postgres_uri: str) -> Iterator[str]:
    """Make one schema for the session; each test finds it empty."""
    with fresh_schema(postgres_uri) as uri:
        yield uri


@pytest.fixture(scope="session")
def remote_server() -> Iterator[RemoteServer]:
    """Start one server of memory stores for the session."""
    with RemoteServer(lambda: memory_stores(clock=FrozenClock(START))).running() as server:
        yield server


@pytest.fixture
def opener(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opener:
    """Return how to open fresh stores of the backend named by the class's `backend` attribute."""
    backend = request.cls.backend
    if backend == "memory":
        return open_memory
    if backend == "sqlite":
        folder = tmp_path_factory.mktemp("sqlite")
        return lambda: open_sql(SqliteDialect(folder / f"{next(_counter)}.db"))
    if backend == "remote":
        server: RemoteServer = request.getfixturevalue("remote_server")
        return server.open
    uri: str = request.getfixturevalue("postgres_schema")
    return lambda: open_postgres(uri)


@contextmanager
def open_postgres(schema_uri: str) -> Iterator[Stores]:
    empty(schema_uri)
    with open_sql(PostgresDialect(schema_uri)) as stores:
        yield stores


class Backed:
    """Mix-in: the fixture `stores` of the class's backend."""

    backend: str

    @pytest.fixture
    def stores(self, opener: Opener) -> Iterator[Stores]:
        with opener() as stores:
            yield stores


class Compared(Backed):
    """Mix-in: random operations on the class's backend must end as they do in memory."""

    port: str
    plays: Plays
    forget: Mapping[type, tuple[str, ...]] = {}

    def test_random_operations_agree_with_memory(self, opener: Opener) -> None:
        machine = state_machine(self.port, self.plays, model=open_memory, backend=opener, forget=self.forget)
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
