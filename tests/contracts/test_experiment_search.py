"""Searches of experiments on every backend."""

from __future__ import annotations

from interlock.testing.experiment_search import EXPERIMENT_SEARCH_PLAYS, ExperimentSearchContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port, plays = "experiments", EXPERIMENT_SEARCH_PLAYS


class TestMemory(Backed, ExperimentSearchContract):
    backend = "memory"


class TestSqlite(_Compared, ExperimentSearchContract):
    backend = "sqlite"


class TestPostgres(_Compared, ExperimentSearchContract):
    backend = "postgres"


class TestRemote(_Compared, ExperimentSearchContract):
    backend = "remote"
