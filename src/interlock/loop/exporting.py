"""Write a workspace as a folder of Parquet tables and files, which DuckDB and everything else reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.errors import Conflict, InvalidInput
from interlock.core.hashing import Hasher
from interlock.core.units import human_bytes
from interlock.loop.querying import TABLES, parts_of
from interlock.loop.references import all_runs
from interlock.ports.stores import Stores

MARKER = "interlock-export.json"
ARTIFACTS = "artifacts"
_UNFINISHED = ".unfinished"


class ExportedTable(msgspec.Struct, frozen=True):
    """One table: its file, how many rows it has, and what it weighs."""

    name: str
    file: str
    rows: int
    size_bytes: int


class Exported(msgspec.Struct, frozen=True):
    """What an export came to; files that were there already, with the same content, are counted too."""

    folder: str
    tables: tuple[ExportedTable, ...]
    files: int
    file_bytes: int


def export(
    stores: Stores, folder: Path, *, files: bool = True, told: Callable[[str], None] = lambda line: None
) -> Exported:
    """Write every table as `<table>.parquet`, and the files of runs below `artifacts/<run>/`.

    Each file appears whole or not at all; a folder that an export was written to before is brought up to date.

    Raises:
        Conflict: The folder holds something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise Conflict(f"{folder} is not empty", why="no export was written to it before", fix="name a new folder")
    (folder / MARKER).write_text('{"written_by": "interlock export"}\n')
    tables = []
    for name in TABLES:
        told(f"table {name}")
        tables.append(_write_table(stores, name, folder / f"{name}.parquet"))
    count = size = 0
    for run in all_runs(stores, lifecycle="active") if files else ():
        told(f"files of run {run.id}")
        for entry in stores.runs.artifacts(run.id):
            _write_file(stores, entry.digest, folder / ARTIFACTS, f"{run.id}/{entry.path}", entry.size_bytes)
            count, size = count + 1, size + entry.size_bytes
    return Exported(str(folder), tuple(tables), count, size)


def _write_table(stores: Stores, name: str, path: Path) -> ExportedTable:
    import pyarrow.parquet as pq

    schema, parts = parts_of(stores, name)
    unfinished = path.with_name(path.name + _UNFINISHED)
    rows = 0
    with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(part)
            rows += part.num_rows
    unfinished.replace(path)
    return ExportedTable(name, path.name, rows, path.stat().st_size)


def _write_file(stores: Stores, digest: str, root: Path, name: str, size_bytes: int) -> None:
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise InvalidInput(f"'{name}' leads out of the folder", why="a link in it does", fix="name a new folder")
    if path.is_file() and path.stat().st_size == size_bytes and _digest(path) == digest:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + _UNFINISHED)
    with unfinished.open("wb") as file:
        for chunk in stores.artifacts.stream(digest):
            file.write(chunk)
    unfinished.replace(path)


def _digest(path: Path) -> str:
    hasher = Hasher()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            hasher.update(chunk)
    return hasher.digest()


def summary(exported: Exported) -> dict[str, Any]:
    """Return what an export came to in words."""
    first = exported.tables[0].file if exported.tables else ""
    return {
        "folder": exported.folder,
        "files": f"{exported.files}, {human_bytes(exported.file_bytes)}",
        "ask": f"duckdb -c \"SELECT * FROM '{exported.folder}/{first}' LIMIT 5\"",
    }
