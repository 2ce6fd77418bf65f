from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.loop.reproducing.judging import Judgement, judge_runs
from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, DatasetUse, MetricPoint, Run, RunBatch
from interlock.ports.stores import Stores

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


def add(
    stores: Stores,
    run_id: str,
    *,
    loss: Mapping[float, float] = {0.0: 0.5},  # noqa: B006 (read only)
    files: Mapping[str, bytes] = {},  # noqa: B006 (read only)
    status: str = "finished",
    seed: int = 1,
    edge: str = "dataset:flights@1",
    digest: str = "d1",
) -> None:
    stores.runs.create(Run(run_id, "delay", "training", "", "running", NOW, params={"seed": seed}))
    points = [MetricPoint("loss", value, step, 0) for step, value in loss.items()]
    points.append(MetricPoint("system/cpu_percent", len(run_id), 0, 0))
    blobs = {path: stores.artifacts.put(data) for path, data in files.items()}
    entries = tuple(ArtifactEntry(path, blob.digest, blob.size_bytes) for path, blob in blobs.items())
    use = DatasetUse("train", digest)
    edges = (Edge(edge, f"run:{run_id}", "trained_on"),)
    stores.runs.log(run_id, RunBatch(metrics=tuple(points), artifacts=entries, edges=edges, datasets=(use,)))
    stores.runs.end(run_id, status=status, ended_at=NOW)  # type: ignore[arg-type]


def judged(stores: Stores, *, tolerance: float = 1e-9) -> Judgement:
    return judge_runs(stores, stores.runs.get("r1"), stores.runs.get("run2"), tolerance=tolerance)


def test_what_describes_the_machine_does_not_count(stores: Stores) -> None:
    add(stores, "r1", files={"console.txt": b"1", "environment/requirements.txt": b"1", "w": b"w"})
    add(stores, "run2", files={"console.txt": b"2", "environment/requirements.txt": b"2", "w": b"w"})
    found = judged(stores)
    assert (found.verdict, found.deviations, found.first_artifact) == ("equal", (), None)
    assert found.compared == {"data": 2, "param": 1, "metric": 1, "artifact": 1}


@pytest.mark.parametrize(
    ("value", "tolerance", "verdict"),
    [
        (0.5, 0.0, "equal"),
        (0.5 + 1e-12, 1e-9, "within tolerance"),
        (0.5 + 1e-12, 0.0, "different"),
        (0.6, 1e-9, "different"),
        (0.6, 0.2, "within tolerance"),
        (math.nan, 1e9, "different"),
        (math.inf, 1e9, "different"),
    ],
)
def test_metrics_are_compared_within_a_tolerance(stores: Stores, value: float, tolerance: float, verdict: str) -> None:
    add(stores, "r1", loss={0: 1.0, 1: 0.5})
    add(stores, "run2", loss={0: 1.0, 1: value})
    assert judged(stores, tolerance=tolerance).verdict == verdict


def test_nan_is_equal_to_nan(stores: Stores) -> None:
    add(stores, "r1", loss={0: math.nan})
    add(stores, "run2", loss={0: math.nan})
    assert judged(stores).verdict == "equal"


def test_points_at_other_steps_differ(stores: Stores) -> None:
    add(stores, "r1", loss={0: 0.5})
    add(stores, "run2", loss={0: 0.5, 1: 0.5})
    (one,) = judged(stores).deviations
    assert (one.part, one.name, one.before) == ("metric", "loss", "1 points")


def test_a_metric_that_is_missing_differs(stores: Stores) -> None:
    add(stores, "r1", loss={0: 0.5})
    add(stores, "run2", loss={})
    (one,) = judged(stores).deviations
    assert (one.before, one.now) == ("0.5", "absent")


def test_the_first_artifact_by_path_is_named(stores: Stores) -> None:
    add(stores, "r1", files={"c": b"1", "b": b"1", "a": b"1"})
    add(stores, "run2", files={"c": b"2", "b": b"2", "a": b"1", "d": b"new"})
    found = judged(stores)
    assert (found.verdict, found.first_artifact) == ("different", "b")
    assert [one.name for one in found.deviations] == ["b", "c", "d"]


def test_data_params_and_status_count(stores: Stores) -> None:
    add(stores, "r1")
    add(stores, "run2", seed=2, edge="dataset:flights@2", digest="d2", status="failed")
    found = judged(stores)
    assert [one.part for one in found.deviations] == ["status", "data", "data", "data", "param"]
    assert found.verdict == "different"
