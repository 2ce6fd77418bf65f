"""Keep events and lineage in lists, under the one lock that all memory stores share."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import InvalidInput
from interlock.core.ids import new_id
from interlock.core.plain import pack, unpack
from interlock.ports.checks import check_limit
from interlock.ports.journal import Edge, Event, Journal


class MemoryJournal(Journal):
    """The journal in memory; its `lock` is what makes a memory store's method one transaction."""

    def __init__(self, *, actor: str = "user", clock: Clock | None = None) -> None:
        self.lock = threading.RLock()
        self._actor = actor
        self._clock = clock or SystemClock()
        self._events: list[Event] = []
        self._edges: dict[Edge, None] = {}
        self._out: defaultdict[str, list[Edge]] = defaultdict(list)
        self._in: defaultdict[str, list[Edge]] = defaultdict(list)

    def append(
        self,
        kind: str,
        subject: str,
        *,
        payload: dict[str, Any] | None = None,
        actor: str | None = None,
        edges: Sequence[Edge] = (),
    ) -> Event:
        with self.lock:
            event = Event(
                seq=len(self._events) + 1,
                id=new_id(),
                time=self._clock.now(),
                kind=kind,
                subject=subject,
                actor=actor or self._actor,
                payload=unpack(pack(payload or {})),
            )
            self._events.append(event)
            self.link(edges)
            return event

    def events(
        self,
        *,
        after: int = 0,
        kinds: Sequence[str] = (),
        subject: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[Event]:
        check_limit(limit)
        with self.lock:
            found = [
                event
                for event in self._events[max(after, 0) :]
                if (not kinds or _matches(event.kind, kinds)) and subject in (None, event.subject)
            ]
        return (found[::-1] if newest_first else found)[:limit]

    def latest(self) -> list[Event]:
        with self.lock:
            newest = {event.kind: event for event in self._events}
        return sorted(newest.values(), key=lambda event: event.seq)

    def counts(self) -> dict[str, int]:
        with self.lock:
            return dict(Counter(event.kind for event in self._events))

    def last_seq(self) -> int:
        with self.lock:
            return len(self._events)

    def link(self, edges: Sequence[Edge]) -> int:
        with self.lock:
            new = [edge for edge in dict.fromkeys(edges) if edge not in self._edges]
            for edge in new:
                self._edges[edge] = None
                self._out[edge.source].append(edge)
                self._in[edge.target].append(edge)
            return len(new)

    def redirect(self, ref: str, new_ref: str) -> None:
        """Have the edges of a thing, and of its versions, name it by another Ref."""
        begins = ref + "@"

        def renamed(one: str) -> str:
            return new_ref + one[len(ref) :] if one == ref or one.startswith(begins) else one

        with self.lock:
            edges = [Edge(renamed(edge.source), renamed(edge.target), edge.relation) for edge in self._edges]
            self._edges.clear()
            self._out.clear()
            self._in.clear()
            self.link(edges)

    def walk(
        self, ref: str, *, direction: Literal["back", "forward"], depth: int = 32, limit: int = 1000
    ) -> list[Edge]:
        if direction not in ("back", "forward"):
            raise InvalidInput(f"'{direction}' is not a direction", why="expected 'back' or 'forward'")
        check_limit(limit)
        with self.lock:
            index = self._in if direction == "back" else self._out
            found: list[Edge] = []
            seen = level = {ref}
            for _ in range(depth):
                edges = sorted(edge for node in level for edge in index.get(node, ()))
                found += edges
                level = {edge.source if direction == "back" else edge.target for edge in edges} - seen
                seen = seen | level
            return found[:limit]


def _matches(kind: str, wanted: Sequence[str]) -> bool:
    return any(kind == one or (one.endswith(".") and kind.startswith(one)) for one in wanted)
