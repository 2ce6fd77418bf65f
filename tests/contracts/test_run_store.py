"""The run store on every backend."""

from __future__ import annotations

from interlock.testing.run_store import RUN_STORE_PLAYS, RunStoreContract
from tests.contracts.conftest import Backed, Compared


class TestMemory(Backed, RunStoreContract):
    backend = "memory"


class _Compared(Compared):
    port, plays = "runs", RUN_STORE_PLAYS


class TestSqlite(_Compared, RunStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, RunStoreContract):
    backend = "postgres"


class TestRemote(_Compared, RunStoreContract):
    backend = "remote"
