"""The beginning of a file is shown as what it is, whatever is in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.run_store import ArtifactEntry
from interlock.ports.stores import Stores
from interlock.server import file_heads
from interlock.server.file_heads import head_of
from interlock.server.views import FileHead
from interlock.workspace import open_workspace


def head(stores: Stores, path: str, data: bytes, **options: int) -> FileHead:
    return head_in(stores.artifacts, path, data, **options)


def head_in(artifacts: ArtifactStore, path: str, data: bytes, **options: int) -> FileHead:
    blob = artifacts.put(data)
    return head_of(ArtifactEntry(path, blob.digest, blob.size_bytes), artifacts, **options)


def parquet(table: pa.Table, **options: Any) -> bytes:
    data = io.BytesIO()
    pq.write_table(table, data, **options)
    return data.getvalue()


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("a.txt", b"hello", "text"),
        ("a.py", "ä = 1".encode(), "text"),
        ("a.json", b'{"a": [1]}', "json"),
        ("a.json", b"{", "text"),
        ("a.json", b"[" * 5000, "text"),
        ("a.html", b"<p>", "html"),
        ("a.csv", b"a,b\n1,2\n", "table"),
        ("a.png", b"anything", "media"),
        ("a.bin", b"a\0b", "binary"),
        ("a.txt", b"\xff\xfe\xfd", "binary"),
        ("a.parquet", b"PAR1 and nothing else", "binary"),
        ("empty", b"", "text"),
        ("empty.csv", b"", "table"),
    ],
)
def test_a_file_is_what_its_bytes_are(stores: Stores, path: str, data: bytes, kind: str) -> None:
    assert head(stores, path, data).kind == kind


def test_of_a_long_text_the_beginning_is_shown(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_heads, "TEXT_BYTES", 10)
    cut = head(stores, "a.txt", "123456789é and on".encode())
    assert (cut.kind, cut.text, cut.is_whole) == ("text", "123456789", False)
    assert head(stores, "a.txt", b"short").is_whole


def test_a_delimited_file_is_a_table(stores: Stores) -> None:
    found = head(stores, "a.tsv", b'name\tage\n"ann\tb"\t31\nbob\t\n', rows=1, start=1)
    assert (found.columns, found.rows, found.total_rows) == (("name", "age"), (("bob", ""),), 2)


def test_of_a_long_table_whole_lines_are_shown(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_heads, "TEXT_BYTES", 14)
    found = head(stores, "a.csv", b"a,b\n1,2\n3,4\n5,6\n7,8\n")
    assert (found.rows, found.total_rows, found.is_whole) == ((("1", "2"), ("3", "4")), None, False)


def test_a_delimited_file_that_cannot_be_parsed_is_text(stores: Stores) -> None:
    assert head(stores, "a.csv", b'a,b\n"' + b"x" * 200_000).kind == "text"


def test_a_table_of_mlflow_is_a_table(stores: Stores) -> None:
    data = b'{"columns": ["a", "b"], "data": [[1, "x"], [{"c": 2}, null]]}'
    found = head(stores, "eval.json", data)
    assert (found.kind, found.columns, found.rows) == ("table", ("a", "b"), ((1, "x"), ("{'c': 2}", None)))
    assert head(stores, "eval.json", b'{"columns": 1, "data": 2}').kind == "json"


def table() -> pa.Table:
    return pa.table(
        {
            "n": list(range(25)),
            "x": [float("nan")] + [0.5] * 24,
            "t": ["long " * 200] * 25,
            "b": [b"\x00\x01"] * 25,
            "big": [2**60] * 25,
            "on": [True] * 25,
        }
    )


def test_rows_of_parquet_are_read_from_anywhere(stores: Stores) -> None:
    data = parquet(table(), row_group_size=10)
    found = head(stores, "t.parquet", data, start=18, rows=4)
    assert [row[0] for row in found.rows] == [18, 19, 20, 21]
    assert (found.total_rows, found.columns, found.is_whole) == (25, ("n", "x", "t", "b", "big", "on"), False)
    first = head(stores, "t.bin", data, rows=1).rows[0]
    assert first[1] == "nan"
    assert len(first[2]) == file_heads.LONGEST_CELL
    assert first[3:] == ("2 bytes", str(2**60), True)
    assert head(stores, "t.parquet", data, start=99).rows == ()


def test_rows_far_into_a_group_are_found(stores: Stores) -> None:
    data = parquet(pa.table({"n": list(range(2500))}))
    assert head(stores, "n.parquet", data, start=2100, rows=2).rows == ((2100,), (2101,))


def test_parquet_is_read_from_the_file_where_there_is_one(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "ws") as workspace:
        data = parquet(table(), row_group_size=10, compression="none")
        found = head_in(workspace.stores.artifacts, "t.parquet", data, rows=2)
    assert [row[0] for row in found.rows] == [0, 1]


def test_tables_too_large_to_look_into_are_said_so(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet(table())
    monkeypatch.setattr(file_heads, "GROUP_BYTES", 10)
    assert "a row group has" in head(stores, "t.parquet", data).why
    monkeypatch.setattr(file_heads, "IN_MEMORY_BYTES", 10)
    assert "no file to look into" in head(stores, "t.parquet", data).why
