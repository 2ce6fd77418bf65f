"""Keep feature views and their newest rows in dictionaries."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.records import settled
from interlock.core.clock import aware
from interlock.core.errors import NotFound, did_you_mean
from interlock.core.plain import pack
from interlock.core.refs import check_name
from interlock.ports.feature_store import FeatureView, FeatureViewStore, OnlineRow, OnlineStore
from interlock.ports.journal import Edge


class MemoryFeatureViewStore(FeatureViewStore):
    """Definitions in memory, every version kept."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal
        self._versions: dict[str, list[FeatureView]] = {}

    def apply(self, view: FeatureView) -> FeatureView:
        check_name(view.name, of="feature")
        with self._journal.lock:
            versions = self._versions.setdefault(view.name, [])
            if versions and msgspec.structs.replace(view, version=versions[-1].version) == versions[-1]:
                return versions[-1]
            applied = msgspec.structs.replace(view, version=len(versions) + 1)
            versions.append(applied)
            edges = [Edge(view.source, applied.ref, "read_by")] if view.source else []
            self._journal.append("feature.applied", applied.ref, payload={"version": applied.version}, edges=edges)
            return applied

    def get(self, name: str, *, version: int | None = None) -> FeatureView:
        with self._journal.lock:
            versions = self._versions.get(name)
            if not versions:
                raise NotFound(f"there is no feature view '{name}'", why=did_you_mean(name, self._versions))
            if version is None:
                return versions[-1]
            if not 1 <= version <= len(versions):
                raise NotFound(
                    f"feature view '{name}' has no version {version}", why=f"its versions are 1 to {len(versions)}"
                )
            return versions[version - 1]

    def find(self, name: str) -> FeatureView | None:
        with self._journal.lock:
            versions = self._versions.get(name)
            return versions[-1] if versions else None

    def views(self, *, after: str = "", limit: int = 100) -> list[FeatureView]:
        with self._journal.lock:
            return [self._versions[name][-1] for name in sorted(self._versions) if name > after][:limit]


class MemoryOnlineStore(OnlineStore):
    """Rows in memory, under the bytes of their typed keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: defaultdict[str, dict[bytes, OnlineRow]] = defaultdict(dict)

    def write(self, view: str, rows: Sequence[OnlineRow]) -> int:
        for row in rows:
            aware(row.known_at)
        new = [(_typed(row.key), settled(row)) for row in rows]
        written = 0
        with self._lock:
            held = self._rows[view]
            for key, row in new:
                before = held.get(key)
                if before is None or row.known_at >= before.known_at:
                    held[key] = row
                    written += 1
        return written

    def read(self, view: str, keys: Sequence[tuple[str | int | float | bool, ...]]) -> list[OnlineRow | None]:
        with self._lock:
            held = self._rows.get(view, {})
            return [held.get(_typed(key)) for key in keys]

    def count(self, view: str) -> int:
        with self._lock:
            return len(self._rows.get(view, {}))


def _typed(key: tuple[str | int | float | bool, ...]) -> bytes:
    # in a Python dictionary 1, 1.0 and True are the same key; their msgpack forms differ
    return pack(key)
