"""The experiment store on every backend."""

from __future__ import annotations

from interlock.testing.experiment_store import EXPERIMENT_STORE_PLAYS, ExperimentStoreContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "experiments"
    plays = EXPERIMENT_STORE_PLAYS


class TestMemory(Backed, ExperimentStoreContract):
    backend = "memory"


class TestSqlite(_Compared, ExperimentStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, ExperimentStoreContract):
    backend = "postgres"


class TestRemote(_Compared, ExperimentStoreContract):
    backend = "remote"
