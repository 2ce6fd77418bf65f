"""Packed series: exact sums, chunks and their merging."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.adapters.sql import metric_series
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.metric_series import append, compact, decode_state, exact_sum, history
from interlock.adapters.sql.schema import migrate
from interlock.ports.metric_columns import by_key
from interlock.ports.run_store import MetricPoint
from tests.unit.adapters.sql.conftest import Opener

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@pytest.fixture
def database(sqlite: SqliteDialect, opened: Opener) -> Database:
    database = opened(sqlite)
    migrate(database)
    return database


def log(database: Database, *points: MetricPoint) -> None:
    with database.write() as tx:
        append(tx, "r1", by_key(points))


def chunks(database: Database) -> int:
    return len(database.query("SELECT seq FROM metric_chunks"))


@given(st.lists(finite, max_size=20))
def test_a_sum_keeps_every_bit(numbers: list[float]) -> None:
    parts = exact_sum(numbers)
    assert sum(map(Fraction, parts)) == sum(map(Fraction, numbers))
    assert parts[0] == math.fsum(numbers)


@given(st.lists(finite, max_size=10), st.lists(finite, max_size=10))
def test_a_sum_in_two_batches_is_the_sum_at_once(early: list[float], late: list[float]) -> None:
    assert exact_sum([*exact_sum(early), *late])[0] == math.fsum([*early, *late])


def test_a_sum_beyond_the_largest_float_is_infinite() -> None:
    assert exact_sum([1.7e308, 1.7e308]) == (math.inf,)
    assert exact_sum([math.inf, 1.0]) == (math.inf,)
    assert math.isnan(exact_sum([math.inf, -math.inf])[0])


def test_long_batches_are_cut_into_chunks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_series, "POINTS_PER_CHUNK", 10)
    points = [MetricPoint("auc", n / 7, float(n), n) for n in range(25)]
    log(database, *points)
    assert chunks(database) == 3
    assert history(database, "r1", "auc") == points


def test_compaction_merges_chunks_and_changes_nothing_else(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_series, "POINTS_PER_CHUNK", 10)
    monkeypatch.setattr(metric_series, "_KEYS_PER_COMPACTION", 2)
    for step in range(15):
        log(database, *(MetricPoint(key, step / 7, float(-step), step) for key in "abcde"))
    log(database, MetricPoint("single", 1.0, 1.0, 1))
    before = {key: history(database, "r1", key) for key in "abcde"}
    states = database.query("SELECT key, state FROM run_metrics ORDER BY key")
    compact(database, "r1")
    assert chunks(database) == 5 * 2 + 1
    assert {key: history(database, "r1", key) for key in "abcde"} == before
    assert database.query("SELECT key, state FROM run_metrics ORDER BY key") == states


def test_compaction_of_nothing(database: Database) -> None:
    compact(database, "r1")
    assert chunks(database) == 0


def test_points_that_tie_keep_their_order_through_compaction(database: Database) -> None:
    for value in (3.0, 1.0, 2.0):
        log(database, MetricPoint("auc", value, 1.0, 5))
    compact(database, "r1")
    log(database, MetricPoint("auc", 0.0, 1.0, 5))
    assert [point.value for point in history(database, "r1", "auc")] == [3.0, 1.0, 2.0, 0.0]
    [(state,)] = database.query("SELECT state FROM run_metrics")
    summary = decode_state(state).summary("auc")
    assert (summary.first, summary.last) == (3.0, 0.0)


def test_chunks_are_little_endian_on_every_machine(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    log(database, MetricPoint("auc", 1.0, 2.0, 3))
    [(native,)] = database.query("SELECT body FROM metric_chunks")
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    log(database, MetricPoint("swapped", 1.0, 2.0, 3))
    assert history(database, "r1", "swapped") == [MetricPoint("swapped", 1.0, 2.0, 3)]
    [(other,)] = database.query("SELECT body FROM metric_chunks WHERE key = 'swapped'")
    assert other != native
    assert len(other) == len(native)
