"""The record store on every backend."""

from __future__ import annotations

from interlock.testing.record_store import RECORD_STORE_PLAYS, RecordStoreContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "records"
    plays = RECORD_STORE_PLAYS


class TestMemory(Backed, RecordStoreContract):
    backend = "memory"


class TestSqlite(_Compared, RecordStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, RecordStoreContract):
    backend = "postgres"


class TestRemote(_Compared, RecordStoreContract):
    backend = "remote"
