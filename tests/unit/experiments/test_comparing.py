from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.errors import InvalidInput, NotFound
from interlock.experiments.comparing import Comparison, compare, flatten
from interlock.ports.journal import Edge
from interlock.ports.run_store import DIFF_FILE, ArtifactEntry, MetricPoint, Run, RunBatch
from interlock.ports.stores import Stores

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


def add(
    stores: Stores, run_id: str, *, auc: float, diff: str = "", data: str = "dataset:flights@1", **changes: Any
) -> None:
    fields: dict[str, Any] = {"experiment": "delay", "kind": "training", "name": run_id, "status": "running"}
    stores.runs.create(
        Run(id=run_id, started_at=START, **fields | changes), edges=[Edge(data, f"run:{run_id}", "trained_on")]
    )
    files: tuple[ArtifactEntry, ...] = ()
    if diff:
        blob = stores.artifacts.put(diff.encode())
        files = (ArtifactEntry(DIFF_FILE, blob.digest, blob.size_bytes),)
    stores.runs.log(run_id, RunBatch(metrics=(MetricPoint("auc", auc, 0, 0),), artifacts=files))


def compared(stores: Stores, *run_ids: str) -> Comparison:
    return compare(run_ids, runs=stores.runs, artifacts=stores.artifacts, journal=stores.journal)


def test_equal_runs_say_so(stores: Stores) -> None:
    for run_id in ("a", "b"):
        add(stores, run_id, auc=math.nan, params={"depth": 3, "model": {"kind": "tree"}}, libraries={"numpy": "2.2"})
    found = compared(stores, "a", "b")
    assert found.differences == ()
    assert found.same == {"param": 2, "metric": 1, "data": 1, "library": 1}
    assert found.words == ("the runs are the same in params, data, code, libraries and metrics",)


def test_every_part_that_differs_is_named(stores: Stores) -> None:
    add(
        stores,
        "a",
        auc=0.5,
        params={"depth": 3, "model": {"kind": "tree"}},
        code={"commit": "1" * 40},
        libraries={"x": "1"},
    )
    add(
        stores,
        "b",
        auc=0.6,
        params={"depth": 3.0, "model": {"kind": "forest"}, "new": True},
        code={"commit": "2" * 40},
        libraries={"x": "2"},
        data="dataset:flights@2",
        diff="+alpha = 2\n",
    )
    found = compared(stores, "a", "b")
    assert {(one.part, one.name): one.values for one in found.differences} == {
        ("param", "depth"): (3, 3.0),
        ("param", "model.kind"): ("tree", "forest"),
        ("param", "new"): (None, True),
        ("metric", "auc"): (0.5, 0.6),
        ("data", "dataset:flights"): ("1", "2"),
        ("code", "commit"): ("1" * 40, "2" * 40),
        ("library", "x"): ("1", "2"),
    }
    assert "data dataset:flights: 1 → 2" in found.words
    assert "metric auc: 0.5 → 0.6 (+20.00%)" in found.words
    assert "code: the uncommitted changes differ" in found.words
    assert "++alpha = 2" in found.code_diff


def test_more_than_two_and_fewer(stores: Stores) -> None:
    for run_id, depth in (("a", 1), ("b", 2), ("c", 3)):
        add(stores, run_id, auc=0.5, params={"depth": depth})
    (only,) = compared(stores, "a", "b", "c").differences
    assert only.values == (1, 2, 3)
    with pytest.raises(InvalidInput):
        compared(stores, "a")
    with pytest.raises(NotFound):
        compared(stores, "a", "nobody")


def test_flattening_keeps_empty_groups() -> None:
    assert flatten({"a": {"b": {"c": 1}}, "d": {}}) == {"a.b.c": 1, "d": {}}
