"""The artifact store on every backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from interlock.adapters.localfs.artifact_store import LocalArtifactStore
from interlock.ports.stores import Stores
from interlock.testing.artifact_store import ARTIFACT_STORE_PLAYS, ArtifactStoreContract
from tests.contracts.conftest import Backed, Compared, Opener, open_memory


class _Compared(Compared):
    port = "artifacts"
    plays = ARTIFACT_STORE_PLAYS


class TestMemory(Backed, ArtifactStoreContract):
    backend = "memory"


class TestSqlite(_Compared, ArtifactStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, ArtifactStoreContract):
    backend = "postgres"


class TestRemote(_Compared, ArtifactStoreContract):
    backend = "remote"


class TestLocalFolder(_Compared, ArtifactStoreContract):
    @pytest.fixture
    def opener(self, tmp_path_factory: pytest.TempPathFactory) -> Opener:
        return lambda: open_local(tmp_path_factory.mktemp("artifacts"))


@contextmanager
def open_local(folder: Path) -> Iterator[Stores]:
    with open_memory() as stores, contextlib.closing(LocalArtifactStore(folder)) as artifacts:
        yield replace(stores, artifacts=artifacts)
