"""Without a spool the stores are asked at once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from interlock.core.errors import NotFound
from interlock.experiments.direct import DirectSpool
from interlock.ports.run_spool import SpoolState
from interlock.ports.run_store import Run, RunBatch
from interlock.ports.stores import Stores

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_everything_is_in_the_stores_at_once(stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    spool = DirectSpool(stores.runs, stores.artifacts)
    assert spool.begin(Run("r", "e", "training", "", "running", NOW, params={"p": 1})) == ""
    with caplog.at_level(logging.WARNING):
        spool.log("r", RunBatch(tags={"a": "b"}, params={"p": 2}))
    spool.console("r", "said")
    spool.end("r", status="finished", ended_at=NOW)
    record = stores.runs.get("r")
    assert (record.status, record.tags, record.params) == ("finished", {"a": "b"}, {"p": 1})
    assert "a record was refused and is lost" in caplog.text
    assert stores.artifacts.get(spool.put(b"x").digest) == b"x"
    assert stores.artifacts.get(spool.put_stream(iter([b"y"])).digest) == b"y"
    assert (spool.settle(), spool.state(), spool.is_used) == ("", SpoolState(), False)
    spool.close()
    with pytest.raises(NotFound):
        spool.end("nowhere", status="finished", ended_at=NOW)
