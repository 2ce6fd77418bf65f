"""Keep step records in a dictionary by key."""

from __future__ import annotations

import threading

from interlock.adapters.memory.records import settled
from interlock.core.clock import aware
from interlock.ports.step_cache import StepCache, StepRecord


class MemoryStepCache(StepCache):
    """Step records in memory, in the order in which they were put."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, StepRecord] = {}

    def find(self, key: str) -> StepRecord | None:
        with self._lock:
            return self._records.get(key)

    def put(self, record: StepRecord) -> StepRecord:
        aware(record.created_at)
        with self._lock:
            return self._records.setdefault(record.key, settled(record))

    def history(self, step: str, *, limit: int = 20) -> list[StepRecord]:
        with self._lock:
            newest_put_first = [record for record in reversed(self._records.values()) if record.step == step]
        return sorted(newest_put_first, key=lambda record: record.created_at, reverse=True)[:limit]

    def delete(self, key: str) -> bool:
        with self._lock:
            return self._records.pop(key, None) is not None
