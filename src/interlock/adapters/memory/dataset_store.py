"""Keep snapshots in lists."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.versions import Versions
from interlock.core.errors import Conflict
from interlock.ports.checks import pointed_at
from interlock.ports.dataset_store import DatasetStore, Snapshot
from interlock.ports.journal import Edge
from interlock.ports.record_checks import check_snapshot


class MemoryDatasetStore(DatasetStore):
    """Datasets in memory."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._snapshots = Versions("dataset", Snapshot)

    def commit(self, draft: Snapshot, *, expect: int | None = None, edges: Sequence[Edge] = ()) -> Snapshot:
        check_snapshot(draft)
        with self._journal.lock:
            newest = self._snapshots.find(draft.dataset)
            if newest is not None and newest.content == draft.content:
                return newest
            number = newest.version if newest is not None else 0
            if expect is not None and expect != number:
                raise Conflict(
                    f"dataset '{draft.dataset}' changed: its newest version is {number}",
                    why=f"the commit was made from version {expect}",
                    fix="read the newest snapshot and commit again",
                )
            snapshot = self._snapshots.add(draft.dataset, msgspec.structs.replace(draft, version=number + 1))
            self._journal.append(
                "dataset.committed",
                snapshot.ref,
                payload={
                    "rows": snapshot.rows,
                    "quarantined_rows": snapshot.quarantined_rows,
                    "violations": snapshot.violations,
                },
                edges=pointed_at(edges, snapshot.ref),
            )
            return snapshot

    def get(self, name: str, *, version: int | None = None) -> Snapshot:
        with self._journal.lock:
            return self._snapshots.get(name, version)

    def find(self, name: str, *, version: int | None = None) -> Snapshot | None:
        with self._journal.lock:
            return self._snapshots.find(name, version)

    def snapshots(self, name: str, *, before: int | None = None, limit: int = 100) -> list[Snapshot]:
        with self._journal.lock:
            return self._snapshots.line(name, before=before, limit=limit)

    def datasets(self, *, after: str = "", limit: int = 100) -> list[Snapshot]:
        with self._journal.lock:
            return self._snapshots.heads(after=after, limit=limit)
