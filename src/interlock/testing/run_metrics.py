"""What every run store must do with metrics."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from interlock.ports.run_store import MetricPoint, Run, RunBatch
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import plain

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(hours=1)


def a_run(run_id: str, **changes: Any) -> Run:
    """Return a run that begins."""
    fields: dict[str, Any] = {
        "id": run_id,
        "experiment": "delay",
        "kind": "training",
        "name": f"run {run_id}",
        "status": "running",
        "started_at": BEGIN,
    }
    return Run(**fields | changes)


def points(key: str, *rows: tuple[float, float, int]) -> RunBatch:
    """Return a batch of one series from rows of value, step and time."""
    return RunBatch(metrics=tuple(MetricPoint(key, *row) for row in rows))


class RunMetricsContract(Contract):
    """Metric series and their summaries; part of the run store's suite."""

    def test_a_series_is_read_by_step_time_and_arrival(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        stores.runs.log("r1", points("auc", (0.3, 3, 30), (0.1, 1, 10), (0.25, 2, 20)))
        stores.runs.log("r1", points("auc", (0.26, 2, 20), (0.15, 1.5, 99), (0.2, 2, 19)))
        assert stores.runs.history("r1", "auc") == [
            MetricPoint("auc", *row)
            for row in ((0.1, 1, 10), (0.15, 1.5, 99), (0.2, 2, 19), (0.25, 2, 20), (0.26, 2, 20), (0.3, 3, 30))
        ]
        assert stores.runs.history("r1", "loss") == []

    def test_summaries_are_exact(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        for batch in (
            points("auc", (1e100, 1, 1), (0.5, 5, 5)),
            points("auc", (1.0, 2, 1)),
            points("auc", (-1e100, 0, 9), (0.25, 5, 5)),
        ):
            stores.runs.log("r1", batch)
        summary = stores.runs.get("r1").metrics["auc"]
        assert (summary.key, summary.count, summary.last_step) == ("auc", 5, 5)
        assert (summary.first, summary.last) == (-1e100, 0.25)
        assert (summary.min, summary.max, summary.mean) == (-1e100, 1e100, 0.35)

    def test_nan_and_infinity_survive(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        stores.runs.log("r1", points("loss", (math.nan, 1, 1)))
        only = stores.runs.get("r1").metrics["loss"]
        assert all(math.isnan(value) for value in (only.first, only.last, only.min, only.max, only.mean))
        stores.runs.log("r1", points("loss", (2.0, 2, 2), (math.inf, 3, 3), (math.nan, 4, 4)))
        summary = stores.runs.get("r1").metrics["loss"]
        assert (summary.min, summary.max, summary.mean, summary.count) == (2.0, math.inf, math.inf, 4)
        assert math.isnan(summary.last)
        stores.runs.log("r1", points("loss", (-math.inf, 5, 5)))
        summary = stores.runs.get("r1").metrics["loss"]
        assert (summary.min, summary.last) == (-math.inf, -math.inf)
        assert math.isnan(summary.mean)
        values = [point.value for point in stores.runs.history("r1", "loss")]
        assert plain(values) == ["NaN", 2.0, math.inf, "NaN", -math.inf]

    def test_a_sum_beyond_the_largest_float_is_infinite(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        for step in range(3):
            stores.runs.log("r1", points("loss", (1.7e308, step, step)))
        summary = stores.runs.get("r1").metrics["loss"]
        assert (summary.max, summary.mean) == (1.7e308, math.inf)

    def test_a_series_stays_the_same_when_its_run_ends(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        for step in range(20):
            stores.runs.log("r1", points("auc", (step / 10, -step, step)))
            stores.runs.log("r1", points("loss", (1 / (step + 1), step % 3, 7)))
        before = [stores.runs.history("r1", key) for key in ("auc", "loss")]
        metrics = stores.runs.get("r1").metrics
        assert stores.runs.end("r1", status="finished", ended_at=END).metrics == metrics
        assert [stores.runs.history("r1", key) for key in ("auc", "loss")] == before
        stores.runs.log("r1", points("loss", (0.5, 1, 7)))
        tied = [point for point in stores.runs.history("r1", "loss") if point.step == 1]
        assert tied[-1].value == 0.5
        assert len(tied) == 8

    def test_many_series_at_once(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        batch = RunBatch(metrics=tuple(MetricPoint(f"k{n % 600}", float(n), n, n) for n in range(1200)))
        stores.runs.log("r1", batch)
        stores.runs.log("r1", batch)
        metrics = stores.runs.get("r1").metrics
        assert len(metrics) == 600
        assert {summary.count for summary in metrics.values()} == {4}
        assert (metrics["k7"].first, metrics["k7"].last) == (7.0, 607.0)

    def test_parallel_batches_lose_no_point(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: stores.runs.log("r1", points("auc", (0.1, n, n))), range(40)))
        summary = stores.runs.get("r1").metrics["auc"]
        assert (summary.count, summary.last_step) == (40, 39)
        assert math.isclose(summary.mean, 0.1, rel_tol=1e-15)
        assert [point.step for point in stores.runs.history("r1", "auc")] == list(range(40))
