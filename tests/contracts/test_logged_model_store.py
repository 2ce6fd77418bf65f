"""The store of logged models on every backend."""

from __future__ import annotations

from interlock.testing.logged_model_search import LoggedModelSearchContract
from interlock.testing.logged_model_store import LOGGED_MODEL_STORE_PLAYS, LoggedModelStoreContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port, plays = "logged_models", LOGGED_MODEL_STORE_PLAYS


class TestMemory(Backed, LoggedModelStoreContract, LoggedModelSearchContract):
    backend = "memory"


class TestSqlite(_Compared, LoggedModelStoreContract, LoggedModelSearchContract):
    backend = "sqlite"


class TestPostgres(_Compared, LoggedModelStoreContract, LoggedModelSearchContract):
    backend = "postgres"


class TestRemote(_Compared, LoggedModelStoreContract, LoggedModelSearchContract):
    backend = "remote"
