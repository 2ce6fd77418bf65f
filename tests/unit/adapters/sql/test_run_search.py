"""Searches among many runs: every way gives what memory gives, and no statement looks through a table."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.sql import search_sets, search_walks
from interlock.adapters.sql.database import Database, Snapshot
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.stores import sql_stores
from interlock.core.clock import FrozenClock
from interlock.ports.run_store import DatasetUse, RunBatch, RunChange
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, OrderBy
from interlock.ports.search_fields import RUNS
from interlock.ports.search_grammar import parse_filter, parse_order
from interlock.ports.stores import Stores
from interlock.testing.run_metrics import BEGIN, END, a_run, points
from interlock.testing.run_search import LONG, filters, orders

WAYS = {
    "FEW": (0, 5, 4000),
    "FEW_PAGES": (0, 2),
    "PATIENCE": (0, 3, 1200),
    "HOPELESS": (20, 5000),
    "VERY_FEW": (0, 2, 1000),
    "MANY": (1, 10, 50_000),
}
"""Thresholds, with values that send sixty runs down every path."""


def fill(stores: Stores) -> None:
    """Create sixty runs that have much in common."""
    draw = random.Random(5)
    for number in range(60):
        run = f"r{number:02}"
        stores.runs.create(
            a_run(
                run,
                started_at=BEGIN + timedelta(minutes=draw.randrange(12)),
                experiment=draw.choice(["e1", "e2"]),
                kind=draw.choice(["training", "step"]),
                name=draw.choice(["a", "B", "ab", "", LONG, f"{LONG}y"]),
                params={key: draw.choice(["a", "B", 0.5, None, LONG, "é"]) for key in "kq" if draw.random() < 0.7},
                tags={key: draw.choice(["a", "b", "ab", "", LONG, f"{LONG}z"]) for key in "kq" if draw.random() < 0.7},
                environment=draw.choice([{}, {"user": "ada"}, {"user": LONG}]),
                datasets=tuple(DatasetUse(key, "d", draw.choice(["", "a"])) for key in "kq" if draw.random() < 0.3),
            )
        )
        for key in "kq":
            values = [draw.choice([0.0, -0.0, 0.5, 1, 2, math.inf, -math.inf, math.nan]) for _ in range(3)]
            if draw.random() < 0.7:
                stores.runs.log(run, points(key, *((value, step, 1) for step, value in enumerate(values))))
        if draw.random() < 0.3:
            ended = END + timedelta(minutes=draw.randrange(3))
            stores.runs.end(run, status=draw.choice(["finished", "failed"]), ended_at=ended)
        if draw.random() < 0.15:
            stores.runs.update(run, RunChange(deleted=True))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path: Path = tmp_path_factory.mktemp("search") / "runs.db"
    database = Database(SqliteDialect(path), clock=FrozenClock(BEGIN))
    fill(sql_stores(database))
    yield database
    database.close()


@pytest.fixture(scope="module")
def model() -> Stores:
    stores = memory_stores(clock=FrozenClock(BEGIN))
    fill(stores)
    return stores


def pages(stores: Stores, limit: int, **asked: Any) -> list[tuple[list[str], str | None]]:
    """Return the ids and the token of every page."""
    page = stores.runs.search(limit=limit, **asked)
    found = [([run.id for run in page.runs], page.after)]
    while page.after is not None:
        page = stores.runs.search(limit=limit, after=page.after, **asked)
        found.append(([run.id for run in page.runs], page.after))
    return found


@given(
    where=st.none() | filters,
    order=orders,
    experiments=st.sampled_from([(), ("e1",), ("e1", "e2")]),
    lifecycle=st.sampled_from(["active", "deleted", "all"]),
    limit=st.sampled_from([1, 3, 7, 50]),
    way=st.fixed_dictionaries({name: st.sampled_from(values) for name, values in WAYS.items()}),
)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_way_gives_the_pages_that_memory_gives(
    database: Database,
    model: Stores,
    where: Filter | None,
    order: tuple[OrderBy, ...],
    experiments: tuple[str, ...],
    lifecycle: str,
    limit: int,
    way: dict[str, int],
) -> None:
    asked = {"where": where, "order": order, "experiments": experiments, "lifecycle": lifecycle}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_walks, "SMALLEST_CHUNK", 2)
        for name, value in way.items():
            patch.setattr(search_walks, name, value)
        assert pages(sql_stores(database), limit, **asked) == pages(model, limit, **asked)


def plans(database: Database, monkeypatch: pytest.MonkeyPatch, **asked: Any) -> list[tuple[str, list[str]]]:
    """Return every statement of a search among many runs, with its plan."""
    asked_for: list[tuple[str, Sequence[Any]]] = []
    query = Snapshot.query

    def noting(self: Snapshot, sql: str, params: Sequence[Any] = ()) -> Any:
        asked_for.append((sql, params))
        return query(self, sql, params)

    for name in ("FEW", "FEW_PAGES", "VERY_FEW"):
        monkeypatch.setattr(search_walks, name, 0)
    with monkeypatch.context() as patch:
        patch.setattr(Snapshot, "query", noting)
        sql_stores(database).runs.search(**asked)
    return [
        (sql, [str(row[3]) for row in database.query(f"EXPLAIN QUERY PLAN {sql}", params)])
        for sql, params in asked_for
        if not sql.startswith("WITH page")
    ]


SHAPES = (
    ("", ""),
    ("", "metrics.k DESC"),
    ("", "max(metrics.k)"),
    ("", "params.k"),
    ("", "tags.k DESC, metrics.q"),
    ("", "name, metrics.k"),
    ("", "ended_at DESC"),
    ("metrics.k > 0.5", ""),
    ("metrics.k != 0.5", "metrics.q DESC"),
    ("min(metrics.k) < 0.5", "started_at ASC"),
    ("params.k = 'a'", ""),
    ("params.k = 'a' AND tags.q = 'b'", "metrics.k DESC"),
    ("tags.k LIKE '%nowhere%'", ""),
    ("tags.k ILIKE 'A%'", "params.q DESC"),
    ("tags.k NOT LIKE 'a%'", ""),
    ("status = 'failed' AND name LIKE '%b'", ""),
    ("NOT (metrics.k > 1 OR params.k = 'a')", ""),
    ("tags.k IS NULL", "tags.q"),
    ("datasets.name = 'k' AND datasets.context = 'a'", ""),
    ("metrics.k > 0 OR tags.k = 'a' OR status = 'failed'", "metrics.q"),
)


@pytest.mark.parametrize("experiments", [("e1",), ("e1", "e2"), ()], ids=len)
@pytest.mark.parametrize(("text", "order"), SHAPES)
def test_no_statement_looks_through_a_table(
    database: Database, monkeypatch: pytest.MonkeyPatch, text: str, order: str, experiments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(search_walks, "PATIENCE", 5)
    monkeypatch.setattr(search_walks, "SMALLEST_CHUNK", 4)
    asked = {"where": parse_filter(text, RUNS), "order": parse_order([order] if order else [], RUNS)}
    found = plans(database, monkeypatch, experiments=experiments, limit=3, **asked)
    assert found
    for sql, steps in found:
        for step in steps:
            # what is scanned is the result of a part of the statement, or an index; of that, rows are read only where
            # long texts have their rest
            through = re.match(r"SCAN (?!u$|few$|counted$|\(?subquery)(\w+)(.*)", step)
            assert through is None or "COVERING INDEX" in through[2] or ("INDEX" in through[2] and "long_" in sql), (
                sql,
                steps,
            )
        if re.search(r"^SELECT (r|p)\.\w+, (r|p)\.\w+, (r|p)\.started FROM", sql):
            assert "COVERING INDEX" in steps[0] or "long_" in sql, (sql, steps)


@pytest.mark.parametrize(
    ("text", "order"),
    [("", ""), ("", "metrics.k"), ("", "params.k"), ("params.k = 'a'", ""), ("tags.k = 'b'", "started_at DESC")],
)
def test_a_page_in_the_order_of_an_index_sorts_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, text: str, order: str
) -> None:
    asked = {"where": parse_filter(text, RUNS), "order": parse_order([order] if order else [], RUNS)}
    for sql, steps in plans(database, monkeypatch, experiments=("e1",), limit=3, **asked):
        assert not any("TEMP B-TREE" in step for step in steps), (sql, steps)


def test_the_first_page_takes_few_statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(plans(database, monkeypatch, experiments=("e1",), limit=3)) == 2
    asked = {"where": parse_filter("metrics.k > 0", RUNS), "order": parse_order(["metrics.q DESC"], RUNS)}
    assert len(plans(database, monkeypatch, experiments=("e1",), limit=3, **asked)) < 12


def test_a_filter_of_too_many_ids_is_judged_without_them(
    database: Database, model: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = AnyOf((Compare(Field("metric", "k"), "IS NULL"), Compare(Field("param", "k"), "=", "a")))
    for name, value in (("FEW", 0), ("FEW_PAGES", 0), ("PATIENCE", 0), ("SMALLEST_CHUNK", 2)):
        monkeypatch.setattr(search_walks, name, value)
    expected = pages(model, 3, where=where)
    for name, value in (("MOST_IDS", 1), ("MOST_COMPARISONS", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(search_sets, name, value)
            assert pages(sql_stores(database), 3, where=where) == expected


def test_a_long_page_is_read_in_order(tmp_path: Path) -> None:
    database = Database(SqliteDialect(tmp_path / "a.db"))
    stores = sql_stores(database)
    with database.together():
        for number in range(1100):
            stores.runs.create(a_run(f"r{number:04}", started_at=BEGIN + timedelta(seconds=number)))
    stores.runs.log("r0003", RunBatch(tags={"a": "b"}))
    found = stores.runs.search(limit=1050).runs
    assert [run.id for run in found] == [f"r{number:04}" for number in range(1099, 49, -1)]
    last = stores.runs.search(limit=2000, where=AllOf(())).runs
    assert len(last) == 1100
    assert last[-4].tags == {"a": "b"}
    database.close()
