from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.prediction_log import SqlPredictionLog
from interlock.adapters.sql.schema import migrate
from interlock.core.clock import to_micros
from interlock.testing.prediction_log import START, prediction


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(SqliteDialect(tmp_path / "w.db"))
    migrate(database)
    yield database
    database.close()


def plan(database: Database, sql: str, *params: object) -> str:
    return " | ".join(str(row[-1]) for row in database.query(f"EXPLAIN QUERY PLAN {sql}", params))


def test_a_page_of_a_window_is_one_search_of_its_index(database: Database) -> None:
    found = plan(
        database,
        """SELECT predictions.record, feedback.record FROM predictions
        LEFT JOIN feedback ON feedback.prediction = predictions.id
        WHERE endpoint = ? AND event_time >= ? AND event_time < ? AND (event_time, id) > (?, ?) AND role <> 'shadow'
        ORDER BY event_time, id, model LIMIT ?""",
        *("delay", 0, 9, 0, "", 10),
    )
    assert "SEARCH predictions USING INDEX predictions_window (endpoint=? AND event_time>" in found
    assert "SEARCH feedback" in found
    assert "SCAN" not in found


def test_the_newest_are_read_from_the_end_of_their_index(database: Database) -> None:
    found = plan(
        database,
        "SELECT record FROM predictions WHERE endpoint = ? ORDER BY served_at DESC, id DESC, model DESC LIMIT ?",
        *("delay", 10),
    )
    assert "USING INDEX predictions_recent (endpoint=?)" in found


def test_counts_read_the_counters_and_agree_with_the_rows(database: Database) -> None:
    log = SqlPredictionLog(database)
    for start in range(0, 60, 20):
        log.append([prediction(f"p{n}", role="shadow" if n % 3 else "live") for n in range(start, start + 30)])
    rows = database.query("SELECT model, role, COUNT(*) FROM predictions GROUP BY model, role")
    assert log.counts("delay") == {"feedback": 0, **{f"{model} {role}": count for model, role, count in rows}}
    assert len(database.query("SELECT * FROM prediction_counts")) == 2


def test_the_key_columns_are_those_of_the_record(database: Database) -> None:
    SqlPredictionLog(database).append([prediction("p1", minute=3)])
    at = to_micros(START) + 3 * 60_000_000
    assert [
        tuple(row) for row in database.query("SELECT id, endpoint, role, event_time, served_at FROM predictions")
    ] == [("p1", "delay", "live", at, at - 3_600_000_000)]
