"""Commit tables as immutable snapshots: rules checked, bad rows set aside, profile and lineage written with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import InvalidInput, SchemaMismatch, did_you_mean
from interlock.core.hashing import digest_of_value
from interlock.core.refs import Ref, check_name
from interlock.core.schema import Column
from interlock.data.diffs import SnapshotDiff, compare
from interlock.data.frames import columns_of, empty_table, to_arrow
from interlock.data.profiles import Profile, decode_profile, encode_profile, merge, profile_table
from interlock.data.rules import Rule, check
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.dataset_store import DatasetStore, Part, Snapshot
from interlock.ports.journal import Edge


class Datasets:
    """Named tables, each a line of immutable snapshots.

    Everything a snapshot needs is stored before the one transaction that makes it visible, so a commit that
    fails leaves nothing to be seen.

    Example:
        >>> datasets = Datasets(stores.datasets, stores.artifacts)  # doctest: +SKIP
        >>> datasets.commit("planes", frame, rules=[not_null("seats")]).ref  # doctest: +SKIP
        'dataset:planes@1'
    """

    def __init__(self, store: DatasetStore, artifacts: ArtifactStore, *, clock: Clock | None = None) -> None:
        self._store = store
        self._artifacts = artifacts
        self._clock = clock or SystemClock()

    def commit(
        self,
        name: str,
        frame: Any,
        *,
        rules: Sequence[Rule] = (),
        message: str = "",
        source: str = "",
        append: bool = False,
        evolve: bool = False,
        expect: int | None = None,
        derived_from: Sequence[str] = (),
    ) -> Snapshot:
        """Make a table the newest snapshot of a dataset.

        Rows that break a rule are set aside (`quarantine`), named and counted; the rest are the snapshot. A table
        equal to the newest snapshot makes no new one.

        Args:
            name: The dataset; created on first use.
            frame: What `to_arrow` takes.
            rules: What every row must satisfy.
            message: Why it was made.
            source: Where the rows came from.
            append: Whether to keep the newest snapshot's rows and add these; quarantine and violations are then
                those of the added rows.
            evolve: Whether the columns may differ from the newest snapshot's; never with `append`.
            expect: The version that must be the newest (0: none); by default, with `append`, the one added to.
            derived_from: Refs of what the rows were made from; a dataset without a version means its newest.

        Raises:
            SchemaMismatch: A rule does not fit, or a column differs from the newest snapshot's.
            Conflict: Another commit came between.
        """
        check_name(name, of="dataset")
        table = to_arrow(frame)
        newest = self._store.find(name)
        if newest is not None and (append or not evolve):
            table = _fitted(table, newest)
        base = newest if append else None
        if base is not None and table.num_rows == 0:
            return base
        edges = [Edge(self._pinned(ref), "", "derived_from") for ref in derived_from]
        if base is not None:
            edges.append(Edge(base.ref, "", "derived_from"))
        if append and expect is None:
            expect = base.version if base is not None else 0
        checked = check(table, rules)
        draft = self._draft(name, checked.good, checked.bad, base)
        draft = msgspec.structs.replace(draft, violations=checked.violations, message=message, source=source)
        return self._store.commit(draft, expect=expect, edges=edges)

    def read(self, ref: str, *, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the rows of a snapshot, by default of the newest one.

        Args:
            ref: `flights`, `dataset:flights` or `dataset:flights@3`.
            columns: Which columns, in this order; all by default.

        Raises:
            NotFound: There is no such snapshot.
            SchemaMismatch: It lacks a column.
        """
        snapshot = self._snapshot(ref)
        known = [column.name for column in snapshot.columns]
        for column in columns or ():
            if column not in known:
                raise SchemaMismatch(f"{snapshot.ref} has no column '{column}'", why=did_you_mean(column, known))
        wanted = list(columns) if columns is not None else known
        parts = [self._read_parquet(part.digest, wanted) for part in snapshot.parts]
        return pa.concat_tables(parts).select(wanted) if parts else empty_table(snapshot.columns).select(wanted)

    def quarantine(self, ref: str) -> pa.Table | None:
        """Return the rows that were set aside, with the column `broken_rules`; None if there were none."""
        digest = self._snapshot(ref).quarantine
        return self._read_parquet(digest) if digest else None

    def profile(self, ref: str) -> Profile | None:
        """Return the stored profile of a snapshot, if it has one."""
        return self._profile_of(self._snapshot(ref))

    def diff(self, old: str, new: str) -> SnapshotDiff:
        """Say what changed from one snapshot to another: columns, rows, and how the values shifted.

        Cost: reads only the parts that the two do not share.
        """
        before, after = self._snapshot(old), self._snapshot(new)
        shared = {part.digest for part in before.parts} & {part.digest for part in after.parts}
        left, right = (
            pa.concat_tables(
                [empty_table(one.columns), *(self._read_parquet(p.digest) for p in one.parts if p.digest not in shared)]
            )
            for one in (before, after)
        )
        return compare(before, after, left, right, self._profile_of(before), self._profile_of(after))

    def _draft(self, name: str, good: pa.Table, bad: pa.Table, base: Snapshot | None) -> Snapshot:
        like = self._profile_of(base) if base else None
        profile = profile_table(good, like=like)
        if like is not None:
            profile = merge(like, profile)
        parts = base.parts if base else ()
        if good.num_rows or not parts:
            parts = (*parts, self._write_part(good))
        quarantine = self._write_part(bad).digest if bad.num_rows else None
        columns = columns_of(good)
        return Snapshot(
            dataset=name,
            version=0,
            created_at=self._clock.now(),
            parts=parts,
            rows=sum(part.rows for part in parts),
            columns=columns,
            # the quarantine counts as content: the same good rows beside other bad ones is news
            content=digest_of_value([[p.digest for p in parts], [(c.name, c.type) for c in columns], quarantine]),
            profile=self._artifacts.put(encode_profile(profile)).digest,
            quarantine=quarantine,
            quarantined_rows=bad.num_rows,
        )

    def _write_part(self, table: pa.Table) -> Part:
        blob = self._artifacts.put(parquet_bytes(table))
        return Part(blob.digest, blob.size_bytes, table.num_rows)

    def _read_parquet(self, digest: str, columns: Sequence[str] | None = None) -> pa.Table:
        return pq.read_table(pa.BufferReader(self._artifacts.get(digest)), columns=columns)

    def _profile_of(self, snapshot: Snapshot) -> Profile | None:
        return decode_profile(self._artifacts.get(snapshot.profile)) if snapshot.profile else None

    def _snapshot(self, ref: str) -> Snapshot:
        parsed = Ref.parse(ref, kind="dataset")
        if parsed.version is not None and parsed.number is None:
            raise InvalidInput(
                f"'{ref}' names no snapshot",
                why=f"the version of a dataset is a number, not '{parsed.version}'",
                fix=f"dataset:{parsed.name}@1",
            )
        return self._store.get(parsed.name, version=parsed.number)

    def _pinned(self, ref: str) -> str:
        parsed = Ref.parse(ref)
        return self._snapshot(ref).ref if parsed.kind == "dataset" else ref


def parquet_bytes(table: pa.Table) -> bytes:
    """Write a table as Parquet; equal tables give equal bytes, and a small edit keeps most of them.

    Source: content-defined chunking of data pages, an option of the Arrow Parquet writer that any reader understands.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.combine_chunks(),
        sink,
        compression="zstd",
        use_content_defined_chunking=True,
        store_schema=False,
    )
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


_EVOLVE = "commit with evolve=True (--evolve) and without append, where the columns are meant to change"


def _fitted(table: pa.Table, base: Snapshot) -> pa.Table:
    """Return a table with its columns in the order of a snapshot, which it is to follow."""
    got: dict[str, Column] = {column.name: column for column in columns_of(table)}
    for column in base.columns:
        if column.name not in got:
            raise SchemaMismatch(
                f"the table lacks the column '{column.name}' of {base.ref}",
                why=f"expected '{column.name}' {column.type}; " + did_you_mean(column.name, got),
                fix=_EVOLVE,
            )
        if got[column.name].type != column.type:
            raise SchemaMismatch(
                f"the column '{column.name}' does not fit {base.ref}",
                why=f"expected {column.type}, got {got[column.name].type}",
                fix=f"cast '{column.name}' to {column.type}, or {_EVOLVE}",
            )
    names = [column.name for column in base.columns]
    for name in got:
        if name not in names:
            raise SchemaMismatch(
                f"the table has a column '{name}' that {base.ref} lacks",
                why="expected the columns " + ", ".join(names),
                fix=f"drop '{name}', or {_EVOLVE}",
            )
    return table.select(names)
