"""Keep snapshots in SQL."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from interlock.adapters.sql.database import Database
from interlock.adapters.sql.versions import VersionTable, versions_schema
from interlock.core.errors import Conflict
from interlock.ports.checks import pointed_at
from interlock.ports.dataset_store import DatasetStore, Snapshot
from interlock.ports.journal import Edge
from interlock.ports.record_checks import check_snapshot

SCHEMA = versions_schema("snapshots")


class SqlDatasetStore(DatasetStore):
    """Datasets in one table, a row for each snapshot."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._snapshots = VersionTable(database, "snapshots", "dataset", Snapshot)

    def commit(self, draft: Snapshot, *, expect: int | None = None, edges: Sequence[Edge] = ()) -> Snapshot:
        check_snapshot(draft)
        with self._database.write() as tx:
            newest = self._snapshots.find(draft.dataset, source=tx)
            if newest is not None and newest.content == draft.content:
                return newest
            number = newest.version if newest is not None else 0
            if expect is not None and expect != number:
                raise Conflict(
                    f"dataset '{draft.dataset}' changed: its newest version is {number}",
                    why=f"the commit was made from version {expect}",
                    fix="read the newest snapshot and commit again",
                )
            numbered = msgspec.structs.replace(draft, version=number + 1)
            snapshot = self._snapshots.add(tx, draft.dataset, numbered.version, numbered)
            tx.event(
                "dataset.committed",
                snapshot.ref,
                {
                    "rows": snapshot.rows,
                    "quarantined_rows": snapshot.quarantined_rows,
                    "violations": snapshot.violations,
                },
                edges=pointed_at(edges, snapshot.ref),
            )
            return snapshot

    def get(self, name: str, *, version: int | None = None) -> Snapshot:
        return self._snapshots.get(name, version)

    def find(self, name: str, *, version: int | None = None) -> Snapshot | None:
        return self._snapshots.find(name, version)

    def snapshots(self, name: str, *, before: int | None = None, limit: int = 100) -> list[Snapshot]:
        return self._snapshots.line(name, before=before, limit=limit)

    def datasets(self, *, after: str = "", limit: int = 100) -> list[Snapshot]:
        return self._snapshots.heads(after=after, limit=limit)
