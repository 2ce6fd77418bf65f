"""What a store refuses of a batch is found, and the rest is logged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from interlock.ports.run_spool import log_what_fits
from interlock.ports.run_store import ArtifactEntry, MetricPoint, Run, RunBatch, Series
from interlock.ports.stores import Stores

EIGHT = bytes(8)


@pytest.fixture
def stores() -> Stores:
    made = memory_stores()
    started = datetime(2026, 1, 1, tzinfo=UTC)
    made.runs.create(Run("r", "e", "training", "", "running", started, params={"p": 1}))
    return made


def test_a_batch_that_fits_is_logged_whole(stores: Stores) -> None:
    assert log_what_fits(stores.runs, "r", RunBatch(params={"p": 1, "q": 2}, tags={"t": "x"})) == []
    assert log_what_fits(stores.runs, "r", RunBatch()) == []
    assert stores.runs.get("r").params == {"p": 1, "q": 2}


def test_of_one_that_does_not_every_good_part_is(stores: Stores) -> None:
    batch = RunBatch(
        metrics=(MetricPoint("good", 1.0, 0.0, 1), MetricPoint("bad", 1.0, float("nan"), 1)),
        series=(Series("packed", EIGHT, EIGHT, EIGHT), Series("torn", EIGHT, EIGHT, b"")),
        params={"p": 2, "q": 3},
        tags={"t": "x", "": "no key"},
        artifacts=(ArtifactEntry("a.txt", "b3:" + "0" * 64, 1), ArtifactEntry("../b", "b3:" + "0" * 64, 1)),
    )
    refused = log_what_fits(stores.runs, "r", batch)
    kinds = [
        (type(error), *(name for name in part.__struct_fields__ if getattr(part, name))) for part, error in refused
    ]
    assert sorted(kinds, key=str) == sorted(
        [
            (InvalidInput, "metrics"),
            (InvalidInput, "series"),
            (Conflict, "params"),
            (InvalidInput, "tags"),
            (InvalidInput, "artifacts"),
        ],
        key=str,
    )
    record = stores.runs.get("r")
    assert (record.params, record.tags, set(record.metrics)) == ({"p": 1, "q": 3}, {"t": "x"}, {"good", "packed"})
    assert [entry.path for entry in stores.runs.artifacts("r")] == ["a.txt"]


def test_an_unknown_run_refuses_everything(stores: Stores) -> None:
    refused = log_what_fits(stores.runs, "nowhere", RunBatch(tags={"a": "b", "c": "d"}))
    assert [type(error) for _, error in refused] == [NotFound, NotFound]


def test_a_store_that_is_away_refuses_nothing(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(run_id: str, batch: RunBatch) -> None:
        raise Unavailable("the server does not answer")

    monkeypatch.setattr(stores.runs, "log", away)
    with pytest.raises(Unavailable):
        log_what_fits(stores.runs, "r", RunBatch(tags={"a": "b"}))
