"""The trigger store on every backend."""

from __future__ import annotations

from interlock.testing.trigger_store import TRIGGER_STORE_PLAYS, TriggerStoreContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "triggers"
    plays = TRIGGER_STORE_PLAYS


class TestMemory(Backed, TriggerStoreContract):
    backend = "memory"


class TestSqlite(_Compared, TriggerStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, TriggerStoreContract):
    backend = "postgres"


class TestRemote(_Compared, TriggerStoreContract):
    backend = "remote"
