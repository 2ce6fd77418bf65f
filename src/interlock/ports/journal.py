"""Port: the event log and the lineage graph, which every store writes in its own transaction."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec


class Event(msgspec.Struct, frozen=True):
    """Something that happened.

    Args:
        seq: Position in the log; strictly increasing, gaps allowed.
        id: A time-sortable id.
        time: When it was written.
        kind: What happened, as `noun.verb_in_past` (`model.registered`).
        subject: The Ref of the thing it happened to.
        actor: Who did it (`user`, `loop`, `trigger:retrain-on-drift`).
        payload: Plain values that describe it.
    """

    seq: int
    id: str
    time: datetime
    kind: str
    subject: str
    actor: str
    payload: dict[str, Any]


class Edge(msgspec.Struct, frozen=True, order=True):
    """One step of lineage: `target` was made from, by, or because of `source`.

    Args:
        source: Ref of the earlier thing.
        target: Ref of the later thing.
        relation: How they are joined (`trained_on`, `produced`, `judged_by`, …).
    """

    source: str
    target: str
    relation: str


class Journal(Protocol):
    """The one log of events and the one graph of lineage.

    Thread-safe and process-safe. Every store appends its events and edges through the same journal **in the
    same transaction** as what they describe, so neither exists without the other. Events are immutable; `seq` is
    assigned at commit and readers that remember the last `seq` they saw miss nothing. Edges are a set: linking
    the same edge again changes nothing.
    """

    @abstractmethod
    def append(
        self,
        kind: str,
        subject: str,
        *,
        payload: dict[str, Any] | None = None,
        actor: str | None = None,
        edges: Sequence[Edge] = (),
    ) -> Event:
        """Write one event, and the edges that came with it; `actor` defaults to the opener of the store."""

    @abstractmethod
    def events(
        self,
        *,
        after: int = 0,
        kinds: Sequence[str] = (),
        subject: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[Event]:
        """List events with `seq > after`; `kinds` are exact names or prefixes ending in `.`."""

    @abstractmethod
    def latest(self) -> list[Event]:
        """Return the newest event of every kind, ordered by `seq`."""

    @abstractmethod
    def counts(self) -> dict[str, int]:
        """Return how many events there are of each kind."""

    @abstractmethod
    def last_seq(self) -> int:
        """Return the newest `seq`, or 0 for an empty log."""

    @abstractmethod
    def link(self, edges: Sequence[Edge]) -> int:
        """Add edges, all or none; return how many were new."""

    @abstractmethod
    def walk(
        self, ref: str, *, direction: Literal["back", "forward"], depth: int = 32, limit: int = 1000
    ) -> list[Edge]:
        """Return the edges reachable from `ref`, nearest first, each once; cycles end the walk."""
