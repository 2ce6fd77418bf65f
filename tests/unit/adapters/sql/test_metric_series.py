"""Series at rest: the tail, chunks and their merging, and points that come twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.adapters.sql import metric_series, series_chunks
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.metric_series import append, columns, compact, history, sampled
from interlock.adapters.sql.schema import migrate
from interlock.adapters.sql.series_codec import COLUMNS, decoded
from interlock.adapters.sql.series_state import SUMMARY_COLUMNS, SeriesState, decode_state
from interlock.ports.metric_columns import MetricColumns, by_key
from interlock.ports.run_store import MetricPoint
from tests.unit.adapters.sql.conftest import Opener
from tests.unit.adapters.sql.test_series_codec import training

FULL = 16_384


@pytest.fixture
def database(sqlite: SqliteDialect, opened: Opener) -> Database:
    database = opened(sqlite)
    migrate(database)
    return database


def log(database: Database, *points: MetricPoint) -> None:
    with database.write() as tx:
        append(tx, "r1", by_key(points), started=1)


def log_columns(database: Database, columns: MetricColumns, *, key: str = "loss") -> None:
    with database.write() as tx:
        append(tx, "r1", by_key((), [columns.series(key)]), started=1)


def state(database: Database, key: str = "loss") -> SeriesState:
    [(found,)] = database.query("SELECT state FROM run_metrics WHERE key = ?", (key,))
    return decode_state(found)


def sizes(database: Database, key: str = "loss") -> list[int]:
    """Return how many points the chunks of a series hold."""
    rows = database.query("SELECT number, body FROM metric_chunks WHERE key = ? ORDER BY number", (key,))
    assert [number for number, _ in rows] == list(range(len(rows)))
    return [len(decoded(body).values) for _, body in rows]


def part(points: MetricColumns, start: int, stop: int) -> MetricColumns:
    return MetricColumns(points.values[start:stop], points.steps[start:stop], points.times[start:stop])


def test_the_first_points_lie_beside_the_summary(database: Database) -> None:
    for step in range(metric_series.TAIL_POINTS):
        log(database, MetricPoint("loss", step / 7, step, step))
    assert sizes(database) == []
    log(database, MetricPoint("loss", 5.0, -1, 3))
    assert sizes(database) == [metric_series.TAIL_POINTS + 1]
    assert state(database).tail == b""
    assert [point.step for point in history(database, "r1", "loss")] == list(range(-1, metric_series.TAIL_POINTS))


def test_many_points_are_cut_into_chunks_of_a_size(database: Database) -> None:
    points = training(100_000).columns()
    log(database, MetricPoint("loss", 0.5, -1.0, 0))
    log_columns(database, points)
    assert sizes(database) == [25_000, 25_000, 25_000, 25_001]
    assert (
        columns(database, "r1", "loss") == by_key([MetricPoint("loss", 0.5, -1.0, 0)], [points.series("loss")])["loss"]
    )
    assert state(database).small == ()


@pytest.mark.parametrize("batch", [1, 10, 33, 100, 700])
def test_small_chunks_stay_few(database: Database, batch: int) -> None:
    """Whatever comes at once, there are at most seven chunks of each size that is not full."""
    count = min(40_000, 3_000 * batch)
    points = training(count).columns()
    most = 0
    for start in range(0, count, batch * 50):
        with database.write() as tx:
            for begin in range(start, min(start + batch * 50, count), batch):
                append(tx, "r1", {"loss": part(points, begin, begin + batch)}, started=1)
        found = state(database)
        assert found.small == tuple(size for size in sizes(database) if size < FULL)
        most = max(most, len(found.small))
    assert 1 < most <= 21
    assert columns(database, "r1", "loss") == points
    assert len(sizes(database)) <= 21 + count // FULL


def test_small_chunks_go_into_the_full_one_that_follows(database: Database) -> None:
    points = training(61_000).columns()
    for start, stop in ((0, 500), (500, 30_500), (30_500, 31_000), (31_000, 61_000)):
        log_columns(database, part(points, start, stop))
    assert sizes(database) == [30_500, 30_500]
    assert columns(database, "r1", "loss") == points


def test_compaction_leaves_one_small_chunk_and_changes_nothing_else(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_series, "_KEYS_PER_COMPACTION", 2)
    points = training(20_000).columns()
    for key in "abcde":
        log_columns(database, points, key=key)
        for step in range(100):
            log(database, MetricPoint(key, step / 7, 30_000 + step, step))
    log(database, MetricPoint("single", 1.0, 1.0, 1))
    before = {key: columns(database, "r1", key) for key in "abcde"}
    seen = database.query(f"SELECT run, key, {', '.join(SUMMARY_COLUMNS)} FROM run_metrics ORDER BY key")
    compact(database, "r1")
    for key in "abcde":
        assert sizes(database, key) == [20_000, 100]
        assert (state(database, key).small, state(database, key).tail) == ((100,), b"")
    assert {key: columns(database, "r1", key) for key in "abcde"} == before
    assert database.query(f"SELECT run, key, {', '.join(SUMMARY_COLUMNS)} FROM run_metrics ORDER BY key") == seen


def test_compaction_of_what_is_compact_writes_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    compact(database, "r1")
    points = training(20_300).columns()
    log_columns(database, part(points, 0, 20_000), key="long")
    log_columns(database, part(points, 0, 300), key="long")
    log_columns(database, part(points, 20_000, 20_300), key="long")
    log_columns(database, part(points, 0, 20), key="short")
    compact(database, "r1")
    monkeypatch.setattr(Database, "write", None)
    compact(database, "r1")


def test_a_short_series_is_packed_beside_its_summary(database: Database) -> None:
    points = training(20).columns()
    log_columns(database, points)
    before = state(database)
    compact(database, "r1")
    after = state(database)
    assert sizes(database) == []
    assert after.tail[:1] == COLUMNS
    assert len(after.tail) < len(before.tail) / 2
    assert columns(database, "r1", "loss") == points
    log_columns(database, part(points, 10, 20))
    assert state(database) == after
    for step in range(20, 40):
        log(database, MetricPoint("loss", 0.5, step, step))
    assert len(history(database, "r1", "loss")) == 40


@pytest.mark.parametrize("by_one", [True, False])
def test_realistic_series_need_eight_bytes_for_a_point_at_most(database: Database, by_one: bool) -> None:
    count = 5_000
    points = training(count).columns()
    for start in range(0, count, 1 if by_one else 777):
        log_columns(database, part(points, start, start + (1 if by_one else 777)))
    compact(database, "r1")
    [(stored,)] = database.query("SELECT SUM(LENGTH(body)) FROM metric_chunks")
    assert (stored + len(state(database).tail)) / count < 5.5


def test_series_out_of_order_are_put_in_order_when_the_run_ends(database: Database) -> None:
    points = training(60_000).columns()
    for start in (40_000, 0, 20_000):
        log_columns(database, part(points, start, start + 20_000))
    log_columns(database, part(points, 1_000, 3_000))
    assert not state(database).ordered
    assert columns(database, "r1", "loss") == points
    compact(database, "r1")
    assert state(database).ordered
    assert sizes(database) == [30_000, 30_000]
    assert columns(database, "r1", "loss") == points
    edges = database.query("SELECT from_step, to_step FROM metric_chunks ORDER BY number")
    assert edges == [(0.0, 29_999.0), (30_000.0, 59_999.0)]


def test_points_that_tie_keep_their_order_through_everything(database: Database) -> None:
    values = [float(value) for value in np.random.default_rng(1).permutation(200)]
    for value in values:
        log(database, MetricPoint("loss", value, 1.0, 5))
    assert [point.value for point in history(database, "r1", "loss")] == values
    compact(database, "r1")
    log(database, MetricPoint("loss", -1.0, 1.0, 5))
    assert [point.value for point in history(database, "r1", "loss")] == [*values, -1.0]
    summary = state(database).summary("loss")
    assert (summary.first, summary.last) == (values[0], -1.0)


@pytest.fixture
def chunks_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the points of every body that is read."""
    read: list[int] = []

    def counting(*bodies: bytes) -> object:
        found = decoded(*bodies)
        read.append(len(found.values))
        return found

    monkeypatch.setattr(series_chunks, "decoded", counting)
    return read


def test_only_chunks_that_may_hold_a_point_are_read(database: Database, chunks_read: list[int]) -> None:
    points = training(100_000).columns()
    log_columns(database, points)
    later = MetricColumns.of([MetricPoint("loss", 1.0, step, 0) for step in range(100_000, 100_100)])
    earlier = MetricColumns.of([MetricPoint("loss", 1.0, step, 0) for step in range(-100, 0)])
    for new in (later, earlier):
        log_columns(database, new)
    assert chunks_read == []
    log_columns(database, part(points, 60_000, 60_001))
    log_columns(database, part(points, 24_999, 25_001))
    assert chunks_read == [25_000] * 3
    assert state(database).points == 100_200


def test_a_batch_sent_again_stays_once(database: Database) -> None:
    points = training(70_000).columns()
    log_columns(database, points)
    before = state(database)
    for again in (points, part(points, 30_000, 70_000), part(points, 5, 6)):
        log_columns(database, again)
    assert state(database) == before
    longer = training(70_100).columns()
    assert part(longer, 0, 70_000) != points
    with database.write() as tx:
        append(tx, "r1", by_key((), [points.series("loss"), part(longer, 70_000, 70_100).series("loss")]), started=1)
    assert state(database).points == 70_100


def test_reading_and_thinning_out(database: Database) -> None:
    points = training(50_000).columns()
    log_columns(database, points)
    for by in ("minmax", "lttb"):
        found = sampled(database, "r1", "loss", points=100, by=by)
        assert len(found.values) == len(found.steps) == len(found.times) == 100 * 8
    assert columns(database, "r1", "nothing") == MetricColumns.of([])
    assert history(database, "r1", "nothing") == []


def test_summaries_are_columns_that_queries_read(database: Database) -> None:
    log(database, MetricPoint("a", math.nan, 1, 5), MetricPoint("b", 0.5, 2, 6), MetricPoint("b", math.inf, 3, 7))
    rows = database.query("SELECT key, last, first, low, high, mean, count, last_step, last_time FROM run_metrics")
    assert sorted(rows) == [
        ("a", None, None, None, None, None, 1, 1.0, 5),
        ("b", math.inf, 0.5, 0.5, math.inf, math.inf, 2, 3.0, 7),
    ]


Batch = Sequence[tuple[float, float, int]]
batches = st.lists(
    st.lists(
        st.tuples(st.sampled_from([0.5, -0.0, 0.0, math.nan, 2.0]), st.integers(0, 12).map(float), st.integers(0, 2)),
        max_size=25,
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches, st.sets(st.integers(0, 12)))
def test_any_batches_come_to_the_same_as_a_plain_list(
    tmp_path_factory: pytest.TempPathFactory, batches: list[Batch], ends: set[int]
) -> None:
    folder: Path = tmp_path_factory.mktemp("series")
    database = Database(SqliteDialect(folder / "series.db"))
    migrate(database)
    known: dict[tuple[str, float, int], tuple[float, float, int]] = {}
    with pytest.MonkeyPatch.context() as smaller:
        smaller.setattr(metric_series, "TAIL_POINTS", 3)
        smaller.setattr(metric_series, "FEW_POINTS", 5)
        smaller.setattr(series_chunks, "POINTS_PER_CHUNK", 40)
        smaller.setattr(series_chunks, "_FULL", 20)
        smaller.setattr(series_chunks, "_SIZES", (5, 10, 20))
        smaller.setattr(series_chunks, "_ALIKE", 3)
        for index, batch in enumerate(batches):
            log(database, *(MetricPoint("loss", *row) for row in batch))
            for row in batch:
                known.setdefault((repr(row[0]), row[1], row[2]), row)
            if index in ends:
                compact(database, "r1")
            expected = sorted(known.values(), key=lambda row: row[1:])
            found = history(database, "r1", "loss")
            assert repr([(point.value, point.step, point.time) for point in found]) == repr(expected)
            if known:
                numbers = [row[0] for row in known.values() if row[0] == row[0]]
                summary = state(database).summary("loss")
                assert summary.count == len(known)
                assert repr(summary.mean) == repr(math.fsum(numbers) / len(numbers) if numbers else math.nan)
                assert repr((summary.first, summary.last)) == repr((expected[0][0], expected[-1][0]))
    database.close()
