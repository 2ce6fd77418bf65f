"""Keep leases in a dictionary."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta

from interlock.core.clock import aware
from interlock.ports.lease_store import Lease, LeaseStore


class MemoryLeaseStore(LeaseStore):
    """Leases in memory; tokens outlive releases."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, Lease] = {}
        self._tokens: Counter[str] = Counter()

    def acquire(self, name: str, *, holder: str, ttl_s: float, now: datetime) -> Lease | None:
        moment = aware(now)
        with self._lock:
            taken = self._taken.get(name)
            if taken is not None and taken.holder != holder and taken.expires_at > moment:
                return None
            if taken is None or taken.holder != holder:
                self._tokens[name] += 1
            lease = Lease(name, holder, self._tokens[name], moment + timedelta(seconds=ttl_s))
            self._taken[name] = lease
            return lease

    def release(self, name: str, *, holder: str) -> bool:
        with self._lock:
            taken = self._taken.get(name)
            if taken is None or taken.holder != holder:
                return False
            del self._taken[name]
            return True

    def find(self, name: str) -> Lease | None:
        with self._lock:
            return self._taken.get(name)
