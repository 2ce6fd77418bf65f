"""The point-in-time join on every backend."""

from __future__ import annotations

import pytest

from interlock.adapters.duckdb.offline_store import DuckDbOfflineStore
from interlock.adapters.memory.offline_store import MemoryOfflineStore
from interlock.ports.feature_store import OfflineStore
from interlock.testing.offline_store import OfflineStoreContract


class _Judged:
    @pytest.fixture
    def oracle(self) -> OfflineStore:
        return MemoryOfflineStore()


class TestMemory(_Judged, OfflineStoreContract):
    @pytest.fixture
    def offline(self) -> OfflineStore:
        return MemoryOfflineStore()


class TestDuckDb(_Judged, OfflineStoreContract):
    @pytest.fixture
    def offline(self) -> OfflineStore:
        return DuckDbOfflineStore()
