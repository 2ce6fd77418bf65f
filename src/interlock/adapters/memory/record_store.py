"""Keep records of small kinds in a dictionary."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.records import settled
from interlock.core.clock import Clock
from interlock.ports.checks import check_limit
from interlock.ports.record_rules import check_many, checked_records, told, unknown_record, written
from interlock.ports.record_store import Record, RecordStore


class MemoryRecordStore(RecordStore):
    """Records of small kinds in memory, in the order in which they were first written."""

    def __init__(self, journal: MemoryJournal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._kept: dict[tuple[str, str], Record] = {}
        self._last = 0

    def put(self, records: Sequence[Record]) -> list[Record]:
        if not records:
            return []
        collection = checked_records(records)
        with self._journal.lock:
            now = self._clock.now()
            new = [settled(written(one, self._kept.get((collection, one.id)), now=now)) for one in records]
            for at, one in enumerate(new):
                if not one.seq:
                    self._last += 1
                    new[at] = msgspec.structs.replace(one, seq=self._last)
                self._kept[collection, one.id] = new[at]
            payload = told([one.id for one in new])
            self._journal.append("records.put", f"record:{collection}", payload=payload)
            return new

    def get(self, collection: str, record_id: str) -> Record:
        with self._journal.lock:
            if (collection, record_id) not in self._kept:
                raise unknown_record(collection, record_id)
            return self._kept[collection, record_id]

    def find(self, collection: str, record_ids: Sequence[str]) -> list[Record]:
        check_many(record_ids)
        wanted = set(record_ids)
        with self._journal.lock:
            return [one for one in self._of(collection) if one.id in wanted]

    def records(
        self, collection: str, *, parents: Sequence[str] | None = None, after: int = 0, limit: int = 1000
    ) -> list[Record]:
        check_limit(limit)
        check_many(parents or ())
        with self._journal.lock:
            found = [one for one in self._of(collection) if one.seq > after]
        return [one for one in found if parents is None or one.parent in parents][:limit]

    def count(self, collection: str, *, parent: str | None = None) -> int:
        with self._journal.lock:
            return sum(parent in (None, one.parent) for one in self._of(collection))

    def delete(self, collection: str, *, record_ids: Sequence[str] = (), parents: Sequence[str] = ()) -> int:
        check_many(record_ids)
        check_many(parents)
        with self._journal.lock:
            gone = [one.id for one in self._of(collection) if one.id in record_ids or one.parent in parents]
            for record_id in gone:
                del self._kept[collection, record_id]
            if gone:
                self._journal.append("records.deleted", f"record:{collection}", payload=told(gone))
            return len(gone)

    def _of(self, collection: str) -> list[Record]:
        return [one for one in self._kept.values() if one.collection == collection]
