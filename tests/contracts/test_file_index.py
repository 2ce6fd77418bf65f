"""The file index on every backend."""

from __future__ import annotations

from interlock.testing.file_index import FILE_INDEX_PLAYS, FileIndexContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "files"
    plays = FILE_INDEX_PLAYS


class TestMemory(Backed, FileIndexContract):
    backend = "memory"


class TestSqlite(_Compared, FileIndexContract):
    backend = "sqlite"


class TestPostgres(_Compared, FileIndexContract):
    backend = "postgres"


class TestRemote(_Compared, FileIndexContract):
    backend = "remote"
