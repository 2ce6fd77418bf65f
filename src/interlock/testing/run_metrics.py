"""What every run store must do with metrics."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, NotFound
from interlock.ports.run_store import MetricPoint, Run, RunBatch, Sampling, Series
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


def packed(key: str, *rows: tuple[float, float, int]) -> Series:
    """Return rows of value, step and time as a packed series."""
    values, steps, times = zip(*rows, strict=True) if rows else ((), (), ())
    count = len(rows)
    return Series(
        key, struct.pack(f"<{count}d", *values), struct.pack(f"<{count}d", *steps), struct.pack(f"<{count}q", *times)
    )


def unpacked(series: Series) -> list[tuple[float, float, int]]:
    """Return a packed series as rows of value, step and time."""
    columns = zip((series.values, series.steps, series.times), "ddq", strict=True)
    return list(zip(*(struct.unpack(f"<{len(one) // 8}{kind}", one) for one, kind in columns), strict=True))


def long_series(count: int) -> list[tuple[float, float, int]]:
    """Return a noisy series of so many points."""
    noise = random.Random(count)
    return [(math.exp(-step / 1000) + noise.gauss(0, 0.1), step, 1000 * step) for step in range(count)]


def in_places(rows: Iterable[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """Return rows in the order of a history."""
    return sorted(rows, key=lambda row: row[1:])


def rows_of(stores: Stores, key: str) -> list[tuple[float, float, int]]:
    """Return the history of run `r1` as rows."""
    return [(point.value, point.step, point.time) for point in stores.runs.history("r1", key)]


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
        assert (summary.key, summary.count, summary.last_step, summary.last_time) == ("auc", 5, 5, 5)
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
        stores.runs.log("r1", points("loss", (0.75, 1, 7)))
        tied = [point for point in stores.runs.history("r1", "loss") if point.step == 1]
        assert tied[-1].value == 0.75
        assert len(tied) == 8

    def test_many_series_at_once(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        batch = RunBatch(metrics=tuple(MetricPoint(f"k{n % 600}", float(n), n, n) for n in range(1200)))
        stores.runs.log("r1", batch)
        stores.runs.log("r1", batch)
        later = RunBatch(metrics=tuple(MetricPoint(f"k{n}", -1.0, 2000, n) for n in range(0, 600, 2)))
        stores.runs.log("r1", later)
        metrics = stores.runs.get("r1").metrics
        assert len(metrics) == 600
        assert [metrics[f"k{n}"].count for n in range(600)] == [3, 2] * 300
        assert (metrics["k7"].first, metrics["k7"].last) == (7.0, 607.0)
        assert (metrics["k8"].first, metrics["k8"].last) == (8.0, -1.0)

    def test_parallel_batches_lose_no_point(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: stores.runs.log("r1", points("auc", (0.1, n, n))), range(40)))
        summary = stores.runs.get("r1").metrics["auc"]
        assert (summary.count, summary.last_step) == (40, 39)
        assert math.isclose(summary.mean, 0.1, rel_tol=1e-15)
        assert [point.step for point in stores.runs.history("r1", "auc")] == list(range(40))

    def test_a_point_that_is_there_is_kept_once(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        batch = points("loss", (0.5, 1, 10), (math.nan, 2, 20), (0.25, 0, 5), (0.5, 1, 10), (math.nan, 2, 20))
        for _ in range(2):
            stores.runs.log("r1", batch)
        stores.runs.log("r1", points("loss", (-math.nan, 2, 20)))
        summary = stores.runs.get("r1").metrics["loss"]
        assert (summary.count, summary.mean) == (3, 0.375)
        assert plain(rows_of(stores, "loss")) == [[0.25, 0, 5], [0.5, 1, 10], ["NaN", 2, 20]]
        stores.runs.end("r1", status="finished", ended_at=END)
        stores.runs.log("r1", batch)
        assert stores.runs.get("r1").metrics["loss"].count == 3
        assert len(stores.runs.history("r1", "loss")) == 3

    def test_points_that_differ_in_anything_are_all_kept(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        rows = [(0.0, 1.0, 7), (-0.0, 1.0, 7), (0.0, 1.5, 7), (0.0, 1.0, 8), (5e-324, 1.0, 7)]
        for row in rows:
            stores.runs.log("r1", points("loss", row))
        stores.runs.log("r1", points("auc", (1.0, 0.0, 1), (1.0, -0.0, 1)))
        metrics = stores.runs.get("r1").metrics
        assert (metrics["loss"].count, metrics["auc"].count) == (5, 1)
        assert [str(value) for value, *_ in rows_of(stores, "loss")] == ["0.0", "-0.0", "5e-324", "0.0", "0.0"]

    def test_the_last_point_is_not_changed_by_one_that_was_there(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        for value in (1.0, 2.0, 1.0):
            stores.runs.log("r1", points("loss", (value, 3, 3)))
        summary = stores.runs.get("r1").metrics["loss"]
        assert (summary.first, summary.last, summary.count) == (1.0, 2.0, 2)

    def test_packed_columns_are_points(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        rows = [(0.5, 2.0, 20), (math.inf, 1.0, 10), (0.25, 3.5, -5)]
        batch = RunBatch(metrics=(MetricPoint("auc", 0.125, 2.0, 20),), series=(packed("auc", *rows), packed("empty")))
        stores.runs.log("r1", batch)
        assert list(stores.runs.get("r1").metrics) == ["auc"]
        assert rows_of(stores, "auc") == [(math.inf, 1.0, 10), (0.125, 2.0, 20), (0.5, 2.0, 20), (0.25, 3.5, -5)]
        stores.runs.log("r1", points("auc", *rows))
        assert stores.runs.get("r1").metrics["auc"].count == 4

    @pytest.mark.parametrize(
        "series",
        [
            Series("bad", bytes(8), bytes(8), bytes(16)),
            Series("bad", bytes(9), bytes(9), bytes(9)),
            packed("bad", (1.0, math.nan, 0)),
            packed("bad", (1.0, 1.0, 0), (1.0, -math.inf, 0)),
            packed("", (1.0, 1.0, 0)),
        ],
    )
    def test_bad_columns_leave_nothing_of_their_batch(self, stores: Stores, series: Series) -> None:
        stores.runs.create(a_run("r1"))
        with pytest.raises(InvalidInput):
            stores.runs.log("r1", RunBatch(series=(packed("good", (1.0, 1.0, 1)), series), tags={"a": "b"}))
        assert stores.runs.get("r1") == a_run("r1")

    def test_a_long_series_may_come_in_any_pieces(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        rows = long_series(4000)
        random.Random(1).shuffle(rows)
        for start, stop in ((0, 2500), (2000, 2600), (2600, 2601), (2590, 3000), (100, 110), (2950, 4000), (0, 4000)):
            stores.runs.log("r1", RunBatch(series=(packed("loss", *rows[start:stop]),)))
        for row in rows[:40]:
            stores.runs.log("r1", points("loss", row))
        assert rows_of(stores, "loss") == in_places(rows)
        before = stores.runs.get("r1").metrics
        values = [value for value, *_ in rows]
        assert before["loss"].count == 4000
        assert before["loss"].mean == math.fsum(values) / 4000
        assert (before["loss"].min, before["loss"].max) == (min(values), max(values))
        assert stores.runs.end("r1", status="finished", ended_at=END).metrics == before
        assert rows_of(stores, "loss") == in_places(rows)

    def test_a_series_in_order_may_come_point_by_point(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        rows = long_series(300)
        for row in rows:
            stores.runs.log("r1", points("loss", row))
        assert rows_of(stores, "loss") == rows
        for row in rows[::37]:
            stores.runs.log("r1", points("loss", row))
        summary = stores.runs.get("r1").metrics["loss"]
        assert (summary.count, summary.last_step, summary.last_time) == (300, 299, 299_000)
        assert summary.mean == math.fsum(value for value, *_ in rows) / 300

    def test_a_short_series_is_sampled_whole(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        assert stores.runs.sampled("r1", "loss") == packed("loss")
        rows = [(1.0, 2.0, 2), (-0.0, 1.0, 1), (math.inf, 3.0, 3)]
        stores.runs.log("r1", points("loss", *rows))
        for by in ("minmax", "lttb"):
            assert stores.runs.sampled("r1", "loss", points=8, by=by) == packed("loss", *in_places(rows))

    @pytest.mark.parametrize("by", ["minmax", "lttb"])
    def test_a_long_series_is_thinned_out(self, stores: Stores, by: Sampling) -> None:
        stores.runs.create(a_run("r1"))
        rows = long_series(5000)
        stores.runs.log("r1", RunBatch(series=(packed("loss", *rows),)))
        for count in (8, 101, 1000, 4999):
            found = unpacked(stores.runs.sampled("r1", "loss", points=count, by=by))
            assert count / 2 < len(found) <= count
            assert found == in_places(set(found))
            assert set(found) <= set(rows)
            assert (found[0], found[-1]) == (rows[0], rows[-1])
        assert len(unpacked(stores.runs.sampled("r1", "loss", by=by))) > 1000

    def test_the_extremes_are_always_sampled(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        rows = long_series(3001)
        for count, at in ((8, 1), (9, 2999), (50, 1234), (51, 3000)):
            for extreme in (-1e300, 1e300, math.inf, -math.inf):
                key = f"{count} {extreme}"
                changed = [*rows[:at], (extreme, *rows[at][1:]), *rows[at + 1 :]]
                stores.runs.log("r1", RunBatch(series=(packed(key, *changed),)))
                found = unpacked(stores.runs.sampled("r1", key, points=count))
                assert {min(changed), max(changed)} <= set(found)

    @pytest.mark.parametrize("by", ["minmax", "lttb"])
    def test_values_that_are_no_numbers_are_sampled_too(self, stores: Stores, by: Sampling) -> None:
        stores.runs.create(a_run("r1"))
        rows = long_series(2000)
        rows[700:720] = [(math.nan, *row[1:]) for row in rows[700:720]]
        rows[1500] = (math.inf, *rows[1500][1:])
        stores.runs.log(
            "r1", RunBatch(series=(packed("loss", *rows), packed("nan", *((math.nan, n, n) for n in range(99)))))
        )
        found = unpacked(stores.runs.sampled("r1", "loss", points=60, by=by))
        assert 30 <= len(found) <= 60
        assert any(math.isnan(value) and 700 <= step < 720 for value, step, _ in found)
        assert rows[1500] in found
        finite = [value for value, *_ in found if math.isfinite(value)]
        assert len(finite) > 20
        nothing = unpacked(stores.runs.sampled("r1", "nan", points=20, by=by))
        assert 2 < len(nothing) <= 20
        assert (nothing[0][1], nothing[-1][1]) == (0, 98)

    def test_what_cannot_be_sampled_is_refused(self, stores: Stores) -> None:
        stores.runs.create(a_run("r1"))
        with pytest.raises(NotFound):
            stores.runs.sampled("r2", "loss")
        for points_wanted in (7, 0, -1):
            with pytest.raises(InvalidInput):
                stores.runs.sampled("r1", "loss", points=points_wanted)
        with pytest.raises(InvalidInput):
            stores.runs.sampled("r1", "loss", by="mean")  # type: ignore[arg-type]
