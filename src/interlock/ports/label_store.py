"""Port: annotations, and the label sets frozen from them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from interlock.ports.journal import Edge


class Annotation(msgspec.Struct, frozen=True):
    """One judgement of one item by one annotator; immutable.

    Args:
        id: Chosen by the caller; adding the same id again changes nothing.
        item: The Ref or key of what was judged.
        value: The judgement.
        annotator: Who judged (`person:ada`, `feedback:delay`, `model:delay@3`).
        time: When.
    """

    id: str
    item: str
    value: Any
    annotator: str
    time: datetime


class LabelSet(msgspec.Struct, frozen=True):
    """A frozen version of a task's annotations; its Ref is `labels:<name>@<version>`."""

    name: str
    version: int
    created_at: datetime
    count: int
    content: str
    as_of: datetime

    @property
    def ref(self) -> str:
        """Its Ref as a string."""
        return f"labels:{self.name}@{self.version}"


class LabelStore(Protocol):
    """Annotations as immutable events, and versions frozen from them.

    Thread-safe and process-safe. `add` is all-or-nothing and idempotent by annotation id. `freeze` takes
    every annotation with `time <= as_of`; freezing what equals the newest version returns that version. Unknown
    names raise `NotFound`.

    Event: `labels.frozen` (payload: count).
    """

    @abstractmethod
    def add(self, name: str, annotations: Sequence[Annotation]) -> int:
        """Add annotations; return how many were new."""

    @abstractmethod
    def freeze(self, name: str, *, as_of: datetime, edges: Sequence[Edge] = ()) -> LabelSet:
        """Make a version of all annotations up to `as_of`; edges with an empty target point to it."""

    @abstractmethod
    def get(self, name: str, *, version: int | None = None) -> LabelSet:
        """Return a version, by default the newest."""

    @abstractmethod
    def label_sets(self, *, name: str | None = None, limit: int = 100) -> list[LabelSet]:
        """List versions, newest first, of one name or of all."""

    @abstractmethod
    def annotations(
        self, name: str, *, version: int | None = None, after: str = "", limit: int = 10_000
    ) -> list[Annotation]:
        """List annotations by id: all, or those of a version."""
