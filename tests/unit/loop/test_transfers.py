"""Runs copied and moved, with all they logged."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.errors import Corrupt, InvalidInput, NotFound
from interlock.loop.transfers import check_destination, copy_to, copy_within, move_to, move_within
from interlock.ports.run_store import ArtifactEntry, MetricPoint, Run, RunBatch
from interlock.ports.stores import Stores

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def stores() -> Stores:
    stores = memory_stores()
    for run_id, parent in (("parent", None), ("child", "parent")):
        stores.runs.create(Run(run_id, "from", "training", run_id, "running", NOW, parent=parent, params={"a": [1]}))
        blob = stores.artifacts.put(b"weights")
        points = (MetricPoint("loss", math.nan, 0.5, 1), MetricPoint("loss", 2.0, 0.25, 2))
        entry = ArtifactEntry("model/w", blob.digest, blob.size_bytes)
        stores.runs.log(run_id, RunBatch(metrics=points, tags={"k": "v"}, artifacts=(entry,)))
        stores.runs.end(run_id, status="failed", ended_at=NOW, error="it broke")
    return stores


def test_moved_within_a_workspace(stores: Stores) -> None:
    (moved,) = move_within(stores, ["child"], experiment="to")
    assert (moved.now, stores.runs.get("child").experiment) == ("child", "to")


def test_copied_within_a_workspace_once(stores: Stores) -> None:
    first = copy_within(stores, ["child", "parent"], experiment="to")
    assert copy_within(stores, ["child", "parent"], experiment="to") == first
    child, parent = (stores.runs.get(one.now) for one in first)
    assert (child.parent, child.experiment, child.params) == (parent.id, "to", {"a": [1]})
    assert len(stores.runs.runs()) == 4


def test_copied_to_another_workspace_whole(stores: Stores) -> None:
    target = memory_stores()
    copy_to(stores, target, ["child", "parent"], origin="here")
    copied, known = target.runs.get("child"), stores.runs.get("child")
    assert (copied.status, copied.error, copied.parent, copied.tags["k"]) == ("failed", "it broke", "parent", "v")
    assert repr(target.runs.history("child", "loss")) == repr(stores.runs.history("child", "loss"))
    assert target.runs.artifacts("child") == stores.runs.artifacts("child")
    assert target.artifacts.get(target.runs.artifacts("child")[0].digest) == b"weights"
    assert known.deleted_at is None


def test_moved_to_another_workspace_is_deleted_here_after(stores: Stores) -> None:
    target = memory_stores()
    move_to(stores, target, ["child"], origin="here", experiment="other")
    assert target.runs.get("child").experiment == "other"
    assert stores.runs.get("child").deleted_at is not None


def test_what_cannot_be_copied_is_not_deleted(stores: Stores) -> None:
    target = memory_stores()
    target.runs.create(Run("child", "theirs", "training", "theirs", "running", NOW))
    with pytest.raises(Corrupt):
        move_to(stores, target, ["child"], origin="here")
    assert stores.runs.get("child").deleted_at is None
    assert target.runs.get("child").name == "theirs"


def test_bad_requests(stores: Stores) -> None:
    with pytest.raises(NotFound):
        copy_within(stores, ["nobody"], experiment="to")
    with pytest.raises(InvalidInput):
        check_destination(None, None)
