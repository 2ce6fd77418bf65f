"""Count what waits to be forwarded, and of which things."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from interlock.server.spool.records import Write


class Backlog:
    """The writes that were acknowledged and not yet forwarded; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._about: Counter[str] = Counter()
        self.count = 0
        self.size_bytes = 0

    def add(self, write: Write) -> None:
        """Count a write in."""
        with self._lock:
            self.count += 1
            self.size_bytes += write.size_bytes
            self._about.update(_ids(write))

    def remove(self, writes: Iterable[Write]) -> list[str]:
        """Count writes out; return the ids of the things about which nothing waits any more."""
        settled = []
        with self._lock:
            for write in writes:
                self.count -= 1
                self.size_bytes -= write.size_bytes
                for one in _ids(write):
                    self._about[one] -= 1
                    if not self._about[one]:
                        del self._about[one]
                        settled.append(one)
        return settled

    def concerns(self, ids: Iterable[str]) -> bool:
        """Say whether something waits that is about one of these things."""
        with self._lock:
            return any(one in self._about for one in ids)


def _ids(write: Write) -> tuple[str, ...]:
    return (*write.about, write.makes) if write.makes else write.about
