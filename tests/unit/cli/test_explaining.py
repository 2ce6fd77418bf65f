from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from interlock.cli.explaining import read_records
from interlock.core.errors import InvalidInput, NotFound
from interlock.workspace import Workspace
from tests.fitted import flight_delay, flights
from tests.unit.cli.conftest import Runner

ROWS = [{"wind": 3.5, "delay": None, "distance": 4.0, "carrier": "AA", "origin": "EWR", "extra": 1}] * 2


@pytest.fixture
def registered(workspace: Workspace) -> Workspace:
    workspace.registry.register("delay", flight_delay(), example=flights().slice(0, 20))
    return workspace


@pytest.mark.usefixtures("registered")
def test_rows_of_a_file_are_explained(cli: Runner, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS))
    done = cli("model", "explain", "model:delay@1", "--rows", str(path), "--limit", "1", "--json")
    assert done.code == 0
    [[part]] = done.data["explanations"]
    assert part["base"] + sum(part["contributions"].values()) == pytest.approx(part["value"])
    words = cli("model", "explain", "delay", "--rows", str(path))
    assert "wind +" in words.out
    assert "log-odds" in words.out
    assert cli("model", "explain", "delay", "--rows", str(tmp_path / "nothing.json")).code == 3


@pytest.mark.usefixtures("registered")
def test_the_example_is_explained_where_no_file_is_named(cli: Runner) -> None:
    done = cli("model", "explain", "delay", "--limit", "3", "--sampled", "--permutations", "2", "--json")
    assert len(done.data["explanations"]) == 3
    assert "sampled" in done.data["method"]


def test_rows_come_in_many_forms(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    (tmp_path / "r.json").write_text(json.dumps(rows))
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    csv.write_csv(pa.Table.from_pylist(rows), tmp_path / "r.csv")
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet")
    for ending in ("json", "jsonl", "csv", "parquet"):
        assert read_records(tmp_path / f"r.{ending}") == rows
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bad.txt").write_text("")
    for name in ("bad.json", "bad.txt"):
        with pytest.raises(InvalidInput):
            read_records(tmp_path / name)
    with pytest.raises(NotFound):
        read_records(tmp_path / "no.csv")
