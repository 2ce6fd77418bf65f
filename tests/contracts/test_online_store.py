"""The online store on every backend."""

from __future__ import annotations

from interlock.testing.feature_store import ONLINE_STORE_PLAYS, OnlineStoreContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "online"
    plays = ONLINE_STORE_PLAYS


class TestMemory(Backed, OnlineStoreContract):
    backend = "memory"


class TestSqlite(_Compared, OnlineStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, OnlineStoreContract):
    backend = "postgres"


class TestRemote(_Compared, OnlineStoreContract):
    backend = "remote"
