"""The monitor store on every backend."""

from __future__ import annotations

from interlock.testing.monitor_store import MONITOR_STORE_PLAYS, MonitorStoreContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "monitors"
    plays = MONITOR_STORE_PLAYS


class TestMemory(Backed, MonitorStoreContract):
    backend = "memory"


class TestSqlite(_Compared, MonitorStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, MonitorStoreContract):
    backend = "postgres"


class TestRemote(_Compared, MonitorStoreContract):
    backend = "remote"
