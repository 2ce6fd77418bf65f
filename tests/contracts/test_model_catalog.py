"""The model catalog on every backend."""

from __future__ import annotations

from interlock.testing.model_catalog import SHELF_PLAYS, ModelCatalogContract, ModelCatalogSearchContract
from interlock.testing.version_notes import VersionNotesContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port, plays = "catalog", SHELF_PLAYS


class TestMemory(Backed, ModelCatalogContract, ModelCatalogSearchContract, VersionNotesContract):
    backend = "memory"


class TestSqlite(_Compared, ModelCatalogContract, ModelCatalogSearchContract, VersionNotesContract):
    backend = "sqlite"


class TestPostgres(_Compared, ModelCatalogContract, ModelCatalogSearchContract, VersionNotesContract):
    backend = "postgres"


class TestRemote(_Compared, ModelCatalogContract, ModelCatalogSearchContract, VersionNotesContract):
    backend = "remote"
