"""The lease store on every backend."""

from __future__ import annotations

from interlock.testing.lease_store import LEASE_STORE_PLAYS, LeaseStoreContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "leases"
    plays = LEASE_STORE_PLAYS


class TestMemory(Backed, LeaseStoreContract):
    backend = "memory"


class TestSqlite(_Compared, LeaseStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, LeaseStoreContract):
    backend = "postgres"


class TestRemote(_Compared, LeaseStoreContract):
    backend = "remote"
