"""Keep paths in a dictionary."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from interlock.adapters.memory.records import settled
from interlock.ports.checks import check_limit
from interlock.ports.file_index import FileEntry, FileIndex
from interlock.ports.file_rules import check_entries, check_file_path


class MemoryFileIndex(FileIndex):
    """Paths in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, FileEntry] = {}

    def put(self, entries: Sequence[FileEntry]) -> None:
        check_entries(entries)
        with self._lock:
            self._entries |= {one.path: settled(one) for one in entries}

    def find(self, path: str) -> FileEntry | None:
        with self._lock:
            return self._entries.get(check_file_path(path))

    def files(self, prefix: str = "", *, after: str = "", limit: int = 1000) -> list[FileEntry]:
        check_limit(limit)
        with self._lock:
            paths = sorted(path for path in self._below(prefix) if path > after)
            return [self._entries[path] for path in paths[:limit]]

    def delete(self, prefix: str) -> int:
        with self._lock:
            gone = self._below(prefix)
            for path in gone:
                del self._entries[path]
            return len(gone)

    def _below(self, prefix: str) -> list[str]:
        if not prefix:
            return list(self._entries)
        check_file_path(prefix)
        return [path for path in self._entries if path == prefix or path.startswith(prefix + "/")]
