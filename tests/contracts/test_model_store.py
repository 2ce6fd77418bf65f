"""The model store on every backend."""

from __future__ import annotations

from interlock.testing.model_store import MODEL_STORE_PLAYS, ModelStoreContract
from tests.contracts.conftest import Backed, Compared


class TestMemory(Backed, ModelStoreContract):
    backend = "memory"


class _Compared(Compared):
    port, plays = "models", MODEL_STORE_PLAYS


class TestSqlite(_Compared, ModelStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, ModelStoreContract):
    backend = "postgres"


class TestRemote(_Compared, ModelStoreContract):
    backend = "remote"
