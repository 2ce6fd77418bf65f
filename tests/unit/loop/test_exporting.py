"""A workspace as Parquet and files, read back by DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.errors import Conflict
from interlock.loop.exporting import export
from interlock.loop.querying import TABLES
from interlock.ports.run_store import ArtifactEntry, MetricPoint, Run, RunBatch
from interlock.ports.stores import Stores

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def stores() -> Stores:
    stores = memory_stores()
    stores.runs.create(Run("one", "e", "training", "one", "running", NOW, params={"lr": 0.1}))
    blob = stores.artifacts.put(b"weights")
    points = tuple(MetricPoint("loss", 1 / (step + 1), step, step) for step in range(5))
    entry = ArtifactEntry("model/a b.bin", blob.digest, blob.size_bytes)
    stores.runs.log("one", RunBatch(metrics=points, artifacts=(entry,)))
    return stores


def test_duckdb_reads_every_table(stores: Stores, tmp_path: Path) -> None:
    exported = export(stores, tmp_path / "out")
    assert {one.name for one in exported.tables} == set(TABLES)
    for one in exported.tables:
        found = duckdb.sql(f"SELECT * FROM '{tmp_path / 'out' / one.file}'")
        assert found.columns == list(TABLES[one.name])
        assert found.to_arrow_table().num_rows == one.rows
    joined = f"""SELECT name, count(*), sum(value) FROM '{tmp_path}/out/runs.parquet' AS runs
        JOIN '{tmp_path}/out/points.parquet' AS points ON points.run = runs.id GROUP BY name"""
    assert duckdb.sql(joined).fetchall() == [("one", 5, pytest.approx(sum(1 / n for n in range(1, 6))))]
    assert (tmp_path / "out/artifacts/one/model/a b.bin").read_bytes() == b"weights"


def test_again_brings_up_to_date_and_mends(stores: Stores, tmp_path: Path) -> None:
    export(stores, tmp_path / "out")
    kept = tmp_path / "out/artifacts/one/model/a b.bin"
    kept.write_bytes(b"weightz")
    stores.runs.create(Run("two", "e", "training", "two", "running", NOW))
    exported = export(stores, tmp_path / "out")
    assert {one.name: one.rows for one in exported.tables}["runs"] == 2
    assert kept.read_bytes() == b"weights"
    assert not list((tmp_path / "out").rglob("*.unfinished"))


def test_a_folder_with_something_else_is_left_alone(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(Conflict):
        export(stores, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_files_do_not_follow_links_out_of_the_folder(stores: Stores, tmp_path: Path) -> None:
    export(stores, tmp_path / "out", files=False)
    (tmp_path / "else").mkdir()
    (tmp_path / "out/artifacts").mkdir()
    (tmp_path / "out/artifacts/one").symlink_to(tmp_path / "else")
    with pytest.raises(ValueError, match="leads out"):
        export(stores, tmp_path / "out")
    assert list((tmp_path / "else").iterdir()) == []
