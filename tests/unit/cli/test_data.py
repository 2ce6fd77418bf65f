from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlock.workspace import Workspace
from tests.unit.cli.conftest import Runner

pytestmark = pytest.mark.usefixtures("seeded")


def test_list_shows_the_newest_snapshots(cli: Runner) -> None:
    assert "dataset:flights@2" in cli("data", "list").out
    assert [snapshot["version"] for snapshot in cli("data", "list", "--json").data] == [2]


def test_log_lists_snapshots_newest_first(cli: Runner) -> None:
    assert [row["message"] for row in cli("data", "log", "flights", "--json").data] == ["second", "first"]
    assert len(cli("data", "log", "dataset:flights", "--limit", "1", "--json").data) == 1


def test_show_names_the_rules_that_were_broken(cli: Runner) -> None:
    shown = cli("data", "show", "dataset:flights@1")
    assert shown.code == 0 and "quarantined" in shown.out and "broke 'delay not null'" in shown.out
    assert "delay   double" in shown.out
    assert cli("data", "show", "flights", "--json").data["version"] == 2


def test_an_alias_is_no_snapshot(cli: Runner) -> None:
    refused = cli("data", "show", "flights@newest")
    assert refused.code == 2 and "'newest' is not a version" in refused.err


def test_an_unknown_dataset_is_not_found(cli: Runner) -> None:
    missing = cli("data", "show", "flihgts")
    assert missing.code == 3 and "did you mean 'flights'" in missing.err


def test_profile_shows_each_column(cli: Runner) -> None:
    shown = cli("data", "profile", "flights")
    assert "2 rows" in shown.out and "EWR=1" in shown.out
    assert cli("data", "profile", "flights", "--json").data["rows"] == 2


def test_diff_counts_rows(cli: Runner) -> None:
    shown = cli("data", "diff", "flights@1", "flights@2")
    assert "rows added    1" in shown.out
    assert cli("data", "diff", "flights@1", "flights@2", "--json").data["removed_rows"] == 1


def test_commit_takes_csv_and_parquet(cli: Runner, tmp_path: Path, workspace: Workspace) -> None:
    csv = tmp_path / "planes.csv"
    csv.write_text("tail,seats\nN1,100\nN2,\n")
    assert cli("data", "commit", str(csv), "--message", "from csv", "--json").data["rows"] == 2
    assert workspace.data.read("planes").column("seats").to_pylist() == [100, None]
    parquet = tmp_path / "more.parquet"
    pq.write_table(pa.table({"tail": ["N3"], "seats": [7]}), parquet)
    added = cli("data", "commit", str(parquet), "--name", "planes", "--append", "--json").data
    assert (added["version"], added["rows"], added["source"]) == (2, 3, str(parquet))


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("absent.csv", None, 3, "there is no file"),
        ("table.xlsx", b"", 2, "expected a file that ends in .csv or .parquet"),
        ("broken.parquet", b"not parquet", 2, "cannot be read as a table"),
        ("broken.csv", b"a,b\n1,2\n1,2,3\n", 2, "cannot be read as a table"),
        ("empty.csv", b"", 2, "cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused_and_leaves_nothing(
    cli: Runner, tmp_path: Path, workspace: Workspace, name: str, content: bytes | None, code: int, words: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    before = workspace.stores.journal.last_seq()
    refused = cli("data", "commit", str(file))
    assert refused.code == code and words in refused.err
    assert workspace.stores.journal.last_seq() == before
