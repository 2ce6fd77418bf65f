"""Keep numbered versions of named things, as bytes, so that no caller can change what was stored."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from interlock.core.plain import pack
from interlock.ports.checks import check_limit, unknown_name, unknown_version

T = TypeVar("T", bound=msgspec.Struct)


class Versions(Generic[T]):
    """Records under a name and the number 1, 2, 3 …; the caller holds the lock."""

    def __init__(self, kind: str, record: type[T]) -> None:
        self._kind = kind
        self._decode = msgspec.msgpack.Decoder(record).decode
        self._lines: dict[str, list[bytes]] = {}
        self._arrived: list[bytes] = []

    def newest(self, name: str) -> int:
        """Return the newest number under a name, or 0."""
        return len(self._lines.get(name, ()))

    def add(self, name: str, record: T) -> T:
        """Keep a record as the next version; return it as it will be read."""
        data = pack(record)
        self._lines.setdefault(name, []).append(data)
        self._arrived.append(data)
        return self._decode(data)

    def find(self, name: str, version: int | None = None) -> T | None:
        """Return a version, by default the newest, or None."""
        line = self._lines.get(name, [])
        number = len(line) if version is None else version
        return self._decode(line[number - 1]) if 1 <= number <= len(line) else None

    def get(self, name: str, version: int | None = None) -> T:
        """Return a version, by default the newest."""
        found = self.find(name, version)
        if found is not None:
            return found
        if version is None or name not in self._lines:
            raise unknown_name(self._kind, name, self._lines)
        raise unknown_version(self._kind, name, version, self.newest(name))

    def line(self, name: str, *, before: int | None = None, limit: int) -> list[T]:
        """List the versions under a name, newest first."""
        check_limit(limit)
        if name not in self._lines:
            raise unknown_name(self._kind, name, self._lines)
        line = self._lines[name]
        end = len(line) if before is None else min(max(before - 1, 0), len(line))
        return [self._decode(data) for data in line[:end][::-1][:limit]]

    def heads(self, *, after: str, limit: int) -> list[T]:
        """List the newest version under each name, by name."""
        names = sorted(name for name in self._lines if name > after)[: check_limit(limit)]
        return [self._decode(self._lines[name][-1]) for name in names]

    def arrivals(self, *, limit: int) -> list[T]:
        """List the versions under all names, newest first."""
        return [self._decode(data) for data in self._arrived[::-1][: check_limit(limit)]]
