"""The dataset store on every backend."""

from __future__ import annotations

from interlock.testing.dataset_store import DATASET_STORE_PLAYS, DatasetStoreContract
from tests.contracts.conftest import Backed, Compared


class TestMemory(Backed, DatasetStoreContract):
    backend = "memory"


class _Compared(Compared):
    port, plays = "datasets", DATASET_STORE_PLAYS


class TestSqlite(_Compared, DatasetStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, DatasetStoreContract):
    backend = "postgres"


class TestRemote(_Compared, DatasetStoreContract):
    backend = "remote"
