"""The prediction log on every backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from interlock.adapters.localfs.prediction_spool import SpooledPredictionLog
from interlock.ports.stores import Stores
from interlock.testing.prediction_log import PREDICTION_LOG_PLAYS, PredictionLogContract
from tests.contracts.conftest import Backed, Compared, Opener


class _Compared(Compared):
    port = "predictions"
    plays = PREDICTION_LOG_PLAYS


class TestMemory(Backed, PredictionLogContract):
    backend = "memory"


class TestSqlite(_Compared, PredictionLogContract):
    backend = "sqlite"


class TestPostgres(_Compared, PredictionLogContract):
    backend = "postgres"


class TestRemote(_Compared, PredictionLogContract):
    backend = "remote"


class TestSpooledSqlite(_Compared, PredictionLogContract):
    backend = "sqlite"

    @pytest.fixture
    def opener(self, opener: Opener, tmp_path_factory: pytest.TempPathFactory) -> Opener:
        return lambda: spooled(opener(), tmp_path_factory.mktemp("spool"))


@contextmanager
def spooled(opened: AbstractContextManager[Stores], folder: Path) -> Iterator[Stores]:
    with opened as stores, contextlib.closing(SpooledPredictionLog(stores.predictions, folder)) as predictions:
        yield replace(stores, predictions=predictions)
