from __future__ import annotations

import pytest

from interlock.core.errors import InvalidInput, LimitExceeded, NotFound
from interlock.loop.querying import TABLES, query
from interlock.ports.run_store import MetricPoint, Run, RunBatch
from tests.unit.loop.world import START, World


@pytest.fixture
def asked(world: World) -> World:
    for run_id, auc in (("r1", 0.6), ("r2", 0.7)):
        run = Run(run_id, "delay", "training", run_id, "running", START, params={"depth": 3, "kind": "tree"})
        world.stores.runs.create(run)
        points = tuple(MetricPoint("auc", auc * step / 2, step, step) for step in (1, 2))
        world.stores.runs.log(run_id, RunBatch(metrics=points, tags={"team": "ops"}))
    return world


def test_tables_join(asked: World) -> None:
    found = query(
        asked.stores,
        """SELECT runs.id, number AS depth, last FROM runs JOIN params ON params.run = runs.id AND params.key = 'depth'
           JOIN metrics ON metrics.run = runs.id AND metrics.key = 'auc' WHERE last > 0.65""",
    )
    assert found.to_pylist() == [{"id": "r2", "depth": 3.0, "last": 0.7}]


def test_every_table_can_be_read_empty_or_not(world: World, asked: World) -> None:
    world.add_model(0.5)
    for name, columns in TABLES.items():
        assert query(asked.stores, f"SELECT * FROM {name}").column_names == list(columns)
    assert query(asked.stores, "SELECT count(*) AS n FROM points").to_pylist() == [{"n": 4}]
    (model,) = query(asked.stores, "SELECT model, version FROM models").to_pylist()
    assert model["version"] == 1


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE runs",
        "SELECT 1; SELECT 2",
        "",
        "SELECT",
        "COPY runs TO '/tmp/x.csv'",
        "ATTACH '/tmp/x.db'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "INSTALL httpfs",
    ],
)
def test_nothing_but_one_select_that_stays_inside(asked: World, sql: str) -> None:
    with pytest.raises(InvalidInput):
        query(asked.stores, sql)


def test_unknown_tables_and_endless_answers(asked: World) -> None:
    with pytest.raises(NotFound, match="there is no table 'run'"):
        query(asked.stores, "SELECT * FROM run")
    with pytest.raises(NotFound):
        query(asked.stores, "SELECT * FROM '/etc/hostname'")
    with pytest.raises(LimitExceeded):
        query(asked.stores, "SELECT * FROM range(11)", limit=10)
