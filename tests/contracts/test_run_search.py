"""Searches of runs on every backend; in SQL also the ways that are taken where there are very many runs."""

from __future__ import annotations

import pytest

from interlock.adapters.sql import search_walks
from interlock.testing.run_search import RUN_SEARCH_PLAYS, RunSearchContract
from tests.contracts.conftest import Backed, Compared


class TestMemory(Backed, RunSearchContract):
    backend = "memory"


class _Compared(Compared):
    port, plays = "runs", RUN_SEARCH_PLAYS


class TestSqlite(_Compared, RunSearchContract):
    backend = "sqlite"


class TestPostgres(_Compared, RunSearchContract):
    backend = "postgres"


class TestRemote(_Compared, RunSearchContract):
    backend = "remote"


class _Walking(_Compared):
    @pytest.fixture(autouse=True)
    def _few_are_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(search_walks, "FEW", 0)
        monkeypatch.setattr(search_walks, "FEW_PAGES", 0)
        monkeypatch.setattr(search_walks, "PATIENCE", 3)
        monkeypatch.setattr(search_walks, "SMALLEST_CHUNK", 1)


class TestSqliteOfMany(_Walking, RunSearchContract):
    backend = "sqlite"


class TestPostgresOfMany(_Walking, RunSearchContract):
    backend = "postgres"
