"""The store of feature views on every backend."""

from __future__ import annotations

from interlock.testing.feature_store import FEATURE_VIEW_STORE_PLAYS, FeatureViewStoreContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "features"
    plays = FEATURE_VIEW_STORE_PLAYS


class TestMemory(Backed, FeatureViewStoreContract):
    backend = "memory"


class TestSqlite(_Compared, FeatureViewStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, FeatureViewStoreContract):
    backend = "postgres"


class TestRemote(_Compared, FeatureViewStoreContract):
    backend = "remote"
