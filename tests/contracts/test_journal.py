"""The journal on every backend."""

from __future__ import annotations

from interlock.testing.journal import JOURNAL_PLAYS, JournalContract
from tests.contracts.conftest import Backed, Compared


class TestMemory(Backed, JournalContract):
    backend = "memory"


class _Compared(Compared):
    port, plays = "journal", JOURNAL_PLAYS


class TestSqlite(_Compared, JournalContract):
    backend = "sqlite"


class TestPostgres(_Compared, JournalContract):
    backend = "postgres"


class TestRemote(_Compared, JournalContract):
    backend = "remote"
