"""The step cache on every backend."""

from __future__ import annotations

from interlock.testing.step_cache import STEP_CACHE_PLAYS, StepCacheContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "steps"
    plays = STEP_CACHE_PLAYS


class TestMemory(Backed, StepCacheContract):
    backend = "memory"


class TestSqlite(_Compared, StepCacheContract):
    backend = "sqlite"


class TestPostgres(_Compared, StepCacheContract):
    backend = "postgres"


class TestRemote(_Compared, StepCacheContract):
    backend = "remote"
