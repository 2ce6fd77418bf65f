"""Port: records of small kinds that have no store of their own, by collection and id."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

UNSET = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time until the store sets it."""


class Record(msgspec.Struct, frozen=True):
    """One record; its collection is the Ref `record:<collection>`.

    Args:
        collection: What kind of thing it is, in the words of the protocol that made it (`mlflow.issue`).
        id: Its id within the collection; comes from the caller.
        body: What it says: plain values.
        parent: What it belongs to, if its collection is listed by that.
        revision: How often it was written; what a caller hands in is the revision it has read, 0 for a new one.
        seq: Its place in the collection, in the order in which records were first written; set by the store.
        created_at: When it was first written; set by the store.
        updated_at: When it was last written; set by the store.
    """

    collection: str
    id: str
    body: dict[str, Any] = {}
    parent: str = ""
    revision: int = 0
    seq: int = 0
    created_at: datetime = UNSET
    updated_at: datetime = UNSET


class RecordStore(Protocol):
    """Records of small kinds.

    Thread-safe and process-safe; every method is one transaction with its event. A record keeps its parent, its `seq`
    and its creation; it is replaced only by who has read it as it stands, so that of two writers one is told.

    Events: `records.put` and `records.deleted`, about the collection (payload: `count`, and up to 20 `ids`).
    """

    @abstractmethod
    def put(self, records: Sequence[Record]) -> list[Record]:
        """Add records and replace others, all of one collection; return them as they are kept.

        Raises:
            Conflict: One stands at another revision than the one handed in; nothing is written.
            InvalidInput: One cannot be kept, or stands in the list twice; nothing is written.
        """

    @abstractmethod
    def get(self, collection: str, record_id: str) -> Record:
        """Return a record.

        Raises:
            NotFound: There is none.
        """

    @abstractmethod
    def find(self, collection: str, record_ids: Sequence[str]) -> list[Record]:
        """Return those of some records that exist, in the order of `seq`."""

    @abstractmethod
    def records(
        self, collection: str, *, parents: Sequence[str] | None = None, after: int = 0, limit: int = 1000
    ) -> list[Record]:
        """List records in the order of `seq`.

        Args:
            collection: Of which collection.
            parents: Only those that belong to one of these.
            after: Only those with a greater `seq`.
            limit: How many at most.
        """

    @abstractmethod
    def count(self, collection: str, *, parent: str | None = None) -> int:
        """Count the records of a collection, or of it those of one parent."""

    @abstractmethod
    def delete(self, collection: str, *, record_ids: Sequence[str] = (), parents: Sequence[str] = ()) -> int:
        """Forget the records of some ids, and those of some parents; return how many there were."""
