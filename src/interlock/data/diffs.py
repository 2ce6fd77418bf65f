"""Say what changed between two snapshots."""

from __future__ import annotations

from math import isclose

import duckdb
import msgspec
import pyarrow as pa

from interlock.data.profiles import Profile
from interlock.ports.dataset_store import Snapshot


class ColumnShift(msgspec.Struct, frozen=True):
    """How one column's values shifted from the old snapshot to the new one.

    Args:
        name: The column.
        null_share: Share of rows without a value, before and after.
        mean: Mean, before and after; None where the column has none.
    """

    name: str
    null_share: tuple[float, float]
    mean: tuple[float | None, float | None]


class SnapshotDiff(msgspec.Struct, frozen=True):
    """What changed from one snapshot to another.

    Args:
        old: Ref of the earlier one.
        new: Ref of the later one.
        added_columns: Columns that only the new one has.
        removed_columns: Columns that only the old one has.
        retyped_columns: Columns whose type changed, as `name: old → new`.
        added_rows: Rows that only the new one has, counted with repetition; an edited row is removed and added.
            None where the columns changed.
        removed_rows: Rows that only the old one has; None where the columns changed.
        new_bytes: Size of the parts that only the new one has.
        shifts: The columns whose null share or mean changed.
    """

    old: str
    new: str
    added_columns: tuple[str, ...]
    removed_columns: tuple[str, ...]
    retyped_columns: tuple[str, ...]
    added_rows: int | None
    removed_rows: int | None
    new_bytes: int
    shifts: tuple[ColumnShift, ...]


def compare(
    old: Snapshot, new: Snapshot, left: pa.Table, right: pa.Table, before: Profile | None, after: Profile | None
) -> SnapshotDiff:
    """Compare two snapshots.

    Args:
        old: The earlier one.
        new: The later one.
        left: The rows of `old` that lie in parts which `new` does not have.
        right: The rows of `new` that lie in parts which `old` does not have.
        before: The profile of `old`.
        after: The profile of `new`.
    """
    olds, news = {c.name: c.type for c in old.columns}, {c.name: c.type for c in new.columns}
    added_rows, removed_rows = _row_changes(left, right) if olds == news else (None, None)
    old_parts = {part.digest for part in old.parts}
    return SnapshotDiff(
        old=old.ref,
        new=new.ref,
        added_columns=tuple(name for name in news if name not in olds),
        removed_columns=tuple(name for name in olds if name not in news),
        retyped_columns=tuple(
            f"{name}: {olds[name]} → {kind}" for name, kind in news.items() if olds.get(name, kind) != kind
        ),
        added_rows=added_rows,
        removed_rows=removed_rows,
        new_bytes=sum(part.size_bytes for part in new.parts if part.digest not in old_parts),
        shifts=_shifts(before, after) if before and after else (),
    )


def _row_changes(left: pa.Table, right: pa.Table) -> tuple[int, int]:
    """Return how many rows were added and removed. Both tables are multisets of rows, in any order."""
    with duckdb.connect() as connection:
        connection.register("before", left)
        connection.register("after", right.select(left.column_names))
        rows = connection.execute("SELECT count(*) FROM (FROM before EXCEPT ALL FROM after)").fetchone()
    assert rows is not None
    removed = int(rows[0])
    return right.num_rows - (left.num_rows - removed), removed


def _shifts(before: Profile, after: Profile) -> tuple[ColumnShift, ...]:
    olds = {column.name: column for column in before.columns}
    found = []
    for new in after.columns:
        old = olds.get(new.name)
        if old is None:
            continue
        null_share = (old.nulls / max(before.rows, 1), new.nulls / max(after.rows, 1))
        if null_share[0] != null_share[1] or not _same(old.mean, new.mean):
            found.append(ColumnShift(new.name, null_share, (old.mean, new.mean)))
    return tuple(found)


def _same(old: float | None, new: float | None) -> bool:
    # a merged mean differs from a computed one in the last digits
    return old == new or (old is not None and new is not None and isclose(old, new, rel_tol=1e-9))
