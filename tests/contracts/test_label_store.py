"""The label store on every backend."""

from __future__ import annotations

from interlock.testing.label_store import LABEL_STORE_PLAYS, LabelStoreContract
from tests.contracts.conftest import Backed, Compared


class TestMemory(Backed, LabelStoreContract):
    backend = "memory"


class _Compared(Compared):
    port, plays = "labels", LABEL_STORE_PLAYS


class TestSqlite(_Compared, LabelStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, LabelStoreContract):
    backend = "postgres"


class TestRemote(_Compared, LabelStoreContract):
    backend = "remote"
