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
        self._lines: dict[str, dict[int, bytes]] = {}
        self._arrived: dict[tuple[str, int], bytes] = {}

    def newest(self, name: str) -> int:
        """Return the newest number under a name, or 0."""
        return max(self._lines.get(name, ()), default=0)

    def add(self, name: str, record: T, *, number: int | None = None) -> T:
        """Keep a record under a number, by default the next; return it as it will be read."""
        data = pack(record)
        at = self.newest(name) + 1 if number is None else number
        self._lines.setdefault(name, {})[at] = data
        self._arrived[name, at] = data
        return self._decode(data)

    def remove(self, name: str, number: int) -> T:
        """Forget a version that there is, and the name with the last of them; return what it was."""
        line = self._lines[name]
        data = line.pop(number)
        del self._arrived[name, number]
        if not line:
            del self._lines[name]
        return self._decode(data)

    def find(self, name: str, version: int | None = None) -> T | None:
        """Return a version, by default the newest, or None."""
        number = self.newest(name) if version is None else version
        data = self._lines.get(name, {}).get(number)
        return None if data is None else self._decode(data)

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
        numbers = sorted((one for one in self._lines[name] if before is None or one < before), reverse=True)
        return [self._decode(self._lines[name][number]) for number in numbers[:limit]]

    def heads(self, *, after: str, limit: int) -> list[T]:
        """List the newest version under each name, by name."""
        names = sorted(name for name in self._lines if name > after)[: check_limit(limit)]
        return [self._decode(self._lines[name][self.newest(name)]) for name in names]

    def arrivals(self, *, limit: int) -> list[T]:
        """List the versions under all names, newest first."""
        return [self._decode(data) for data in [*self._arrived.values()][::-1][: check_limit(limit)]]
