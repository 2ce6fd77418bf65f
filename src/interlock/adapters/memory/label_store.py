"""Keep annotations and label sets in dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.versions import Versions
from interlock.core.clock import Clock, aware
from interlock.core.hashing import Hasher
from interlock.core.plain import pack
from interlock.ports.checks import check_limit, pointed_at, unknown_name
from interlock.ports.journal import Edge
from interlock.ports.label_store import Annotation, LabelSet, LabelStore
from interlock.ports.record_checks import check_annotations

_decode = msgspec.msgpack.Decoder(Annotation).decode


class MemoryLabelStore(LabelStore):
    """Labels in memory."""

    def __init__(self, journal: MemoryJournal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._annotations: dict[str, dict[str, bytes]] = {}
        self._sets = Versions("labels", LabelSet)
        self._members: dict[str, list[str]] = {}

    def add(self, name: str, annotations: Sequence[Annotation]) -> int:
        check_annotations(name, annotations)
        packed = {one.id: pack(one) for one in reversed(annotations)}
        with self._journal.lock:
            held = self._annotations.get(name, {})
            new = {key: data for key, data in packed.items() if key not in held}
            if new:
                self._annotations.setdefault(name, {}).update(new)
            return len(new)

    def freeze(self, name: str, *, as_of: datetime, edges: Sequence[Edge] = ()) -> LabelSet:
        moment = aware(as_of)
        with self._journal.lock:
            held = self._of(name)
            members = [key for key in sorted(held) if _decode(held[key]).time <= moment]
            hasher = Hasher()
            for key in members:
                hasher.update(held[key])
            newest = self._sets.find(name)
            if newest is not None and newest.content == hasher.digest():
                return newest
            label_set = LabelSet(
                name=name,
                version=self._sets.newest(name) + 1,
                created_at=self._clock.now(),
                count=len(members),
                content=hasher.digest(),
                as_of=moment,
            )
            self._members[label_set.ref] = members
            self._journal.append(
                "labels.frozen",
                label_set.ref,
                payload={"count": label_set.count},
                edges=pointed_at(edges, label_set.ref),
            )
            return self._sets.add(name, label_set)

    def get(self, name: str, *, version: int | None = None) -> LabelSet:
        with self._journal.lock:
            return self._sets.get(name, version)

    def label_sets(self, *, name: str | None = None, limit: int = 100) -> list[LabelSet]:
        with self._journal.lock:
            if name is None:
                return self._sets.arrivals(limit=limit)
            self._of(name)
            return self._sets.line(name, limit=limit) if self._sets.newest(name) else []

    def annotations(
        self, name: str, *, version: int | None = None, after: str = "", limit: int = 10_000
    ) -> list[Annotation]:
        check_limit(limit)
        with self._journal.lock:
            held = self._of(name)
            keys = sorted(held) if version is None else self._members[self._sets.get(name, version).ref]
            return [_decode(held[key]) for key in [key for key in keys if key > after][:limit]]

    def _of(self, name: str) -> dict[str, bytes]:
        if name not in self._annotations:
            raise unknown_name("labels", name, self._annotations)
        return self._annotations[name]
