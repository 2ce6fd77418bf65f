"""The trace store on every backend."""

from __future__ import annotations

from interlock.testing.trace_plays import TRACE_STORE_PLAYS
from interlock.testing.trace_store import AssessmentContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "traces"
    plays = TRACE_STORE_PLAYS


class TestMemory(Backed, AssessmentContract):
    backend = "memory"


class TestSqlite(_Compared, AssessmentContract):
    backend = "sqlite"


class TestPostgres(_Compared, AssessmentContract):
    backend = "postgres"


class TestRemote(_Compared, AssessmentContract):
    backend = "remote"
