"""The step cache on every backend."""

from __future__ import annotations

from interlock.testing.step_cache import STEP_CACHE_PLAYS, StepCacheContract
from interlock.testing.step_progress import StepProgressContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "steps"
    plays = STEP_CACHE_PLAYS


class TestMemory(Backed, StepCacheContract, StepProgressContract):
    backend = "memory"


class TestSqlite(_Compared, StepCacheContract, StepProgressContract):
    backend = "sqlite"


class TestPostgres(_Compared, StepCacheContract, StepProgressContract):
    backend = "postgres"


class TestRemote(_Compared, StepCacheContract, StepProgressContract):
    backend = "remote"
