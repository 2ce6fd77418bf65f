"""Commit, read and compare dataset snapshots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import narwhals as nw
from cyclopts import App

from interlock.cli.noun import Here, name_of, numbered
from interlock.cli.output import Answer, Table, fields, listing, status, table
from interlock.core.errors import InvalidInput, NotFound, SchemaMismatch
from interlock.core.units import human_bytes, human_count
from interlock.ports.dataset_store import Snapshot
from interlock.workspace import open_workspace

app = App(name="data", help="Commit, read and compare dataset snapshots.")

READERS: dict[str, Callable[..., Any]] = {".csv": nw.read_csv, ".parquet": nw.read_parquet}
SNAPSHOT_COLUMNS = {
    "snapshot": lambda snapshot: snapshot.ref,
    "rows": lambda snapshot: human_count(snapshot.rows),
    "columns": lambda snapshot: len(snapshot.columns),
    "quarantined": lambda snapshot: human_count(snapshot.quarantined_rows),
    "size": lambda snapshot: human_bytes(sum(part.size_bytes for part in snapshot.parts)),
    "committed": lambda snapshot: snapshot.created_at,
    "message": lambda snapshot: snapshot.message,
}


@app.command(name="list")
def list_(*, limit: int = 100, session: Here) -> Answer:
    """List the newest snapshot of every dataset.

    Args:
        limit: At most so many.
    """
    with open_workspace(session.uri, create=False) as workspace:
        snapshots = workspace.stores.datasets.datasets(limit=limit)
    return listing(snapshots, SNAPSHOT_COLUMNS, empty="no datasets yet: interlock data commit FILE.csv")


@app.command
def log(dataset: str, /, *, limit: int = 20, session: Here) -> Answer:
    """List the snapshots of one dataset, newest first.

    Args:
        dataset: Its name or Ref.
        limit: At most so many.
    """
    name = name_of(dataset, kind="dataset")
    with open_workspace(session.uri, create=False) as workspace:
        snapshots = workspace.stores.datasets.snapshots(name, limit=limit)
    return listing(snapshots, SNAPSHOT_COLUMNS, empty=f"'{name}' has no snapshots")


@app.command
def show(dataset: str, /, *, session: Here) -> Answer:
    """Show one snapshot: its schema, its size, and the rules its rows broke.

    Args:
        dataset: A Ref (`dataset:flights@3`); without a version, the newest.
    """
    name, version = numbered(dataset, kind="dataset")
    with open_workspace(session.uri, create=False) as workspace:
        snapshot = workspace.stores.datasets.get(name, version=version)
    return Answer(snapshot, _snapshot_blocks(snapshot))


@app.command
def profile(dataset: str, /, *, session: Here) -> Answer:
    """Show what each column of a snapshot holds.

    Args:
        dataset: A Ref (`dataset:flights@3`); without a version, the newest.
    """
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.data.profile(dataset)
    if found is None:
        raise NotFound(f"'{dataset}' has no profile", why="it was committed without one")
    columns = {
        "column": lambda column: column.name,
        "type": lambda column: column.type,
        "values": lambda column: human_count(column.count),
        "nulls": lambda column: human_count(column.nulls),
        "distinct": lambda column: None if column.distinct is None else human_count(column.distinct),
        "min": lambda column: column.min,
        "mean": lambda column: column.mean,
        "max": lambda column: column.max,
        "most frequent": lambda column: dict(list(column.top.items())[:3]) or None,
    }
    return Answer(found, (table(found.columns, columns, caption=f"{human_count(found.rows)} rows"),))


@app.command
def diff(old: str, new: str, /, *, session: Here) -> Answer:
    """Show what changed from one snapshot to another.

    Args:
        old: A Ref (`dataset:flights@1`).
        new: Another.
    """
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.data.diff(old, new)
    blocks: list[str | Table] = [
        fields(
            {
                "from": found.old,
                "to": found.new,
                "columns added": found.added_columns,
                "columns removed": found.removed_columns,
                "columns retyped": found.retyped_columns,
                "rows added": found.added_rows,
                "rows removed": found.removed_rows,
                "new bytes": human_bytes(found.new_bytes),
            }
        )
    ]
    if found.shifts:
        columns = {
            "column": lambda shift: shift.name,
            "nulls": lambda shift: f"{shift.null_share[0]:.2%} → {shift.null_share[1]:.2%}",
            "mean": lambda shift: shift.mean,
        }
        blocks.append(table(found.shifts, columns))
    return Answer(found, tuple(blocks))


@app.command
def commit(
    file: Path,
    /,
    *,
    name: str | None = None,
    message: str = "",
    append: bool = False,
    evolve: bool = False,
    session: Here,
) -> Answer:
    """Make a file the newest snapshot of a dataset; equal content makes no new one.

    Args:
        file: A .csv or .parquet file.
        name: The dataset; by default the file's name without its ending.
        message: Why it was made.
        append: Add the rows to the newest snapshot's rather than replace them.
        evolve: Let the columns differ from the newest snapshot's.
    """
    frame = _read(file)
    with status(f"committing {file.name}"), open_workspace(session.uri) as workspace:
        snapshot = workspace.data.commit(
            name or file.stem, frame, message=message, source=str(file.resolve()), append=append, evolve=evolve
        )
    return Answer(snapshot, _snapshot_blocks(snapshot))


def _read(file: Path) -> Any:
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise InvalidInput(f"'{file}' is no table", why=f"expected a file that ends in {' or '.join(READERS)}")
    if not file.is_file():
        raise NotFound(f"there is no file '{file}'", why=f"looked in {file.resolve().parent}")
    try:
        return reader(str(file), backend="pyarrow").to_native()
    except ValueError as error:
        # every error of the Arrow readers is a ValueError
        raise SchemaMismatch(f"'{file}' cannot be read as a table", why=str(error).partition("\n")[0]) from error


def _snapshot_blocks(snapshot: Snapshot) -> tuple[str | Table, ...]:
    columns = {"column": lambda column: column.name, "type": lambda column: column.type}
    return (
        fields(
            {
                "snapshot": snapshot.ref,
                "rows": human_count(snapshot.rows),
                "size": human_bytes(sum(part.size_bytes for part in snapshot.parts)),
                "committed": snapshot.created_at,
                "message": snapshot.message,
                "source": snapshot.source,
                "quarantined": human_count(snapshot.quarantined_rows) if snapshot.quarantined_rows else None,
                **{f"broke '{rule}'": f"{human_count(rows)} rows" for rule, rows in snapshot.violations.items()},
            }
        ),
        table(snapshot.columns, columns),
    )
