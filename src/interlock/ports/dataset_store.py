"""Port: datasets and their immutable snapshots."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from interlock.core.schema import Column
from interlock.ports.journal import Edge


class Part(msgspec.Struct, frozen=True):
    """One Parquet file of a snapshot."""

    digest: str
    size_bytes: int
    rows: int


class Snapshot(msgspec.Struct, frozen=True):
    """One immutable version of a dataset; its Ref is `dataset:<dataset>@<version>`.

    Args:
        dataset: Name of the dataset.
        version: 1, 2, 3 …; 0 in a draft.
        created_at: When it was committed.
        parts: The Parquet files that hold its rows, in order.
        rows: Number of rows.
        columns: Its schema.
        content: Digest over parts and schema; equal content has an equal digest.
        profile: Digest of the stored profile, if there is one.
        quarantine: Digest of the Parquet file of rows that broke a rule, if any did.
        quarantined_rows: How many rows that is.
        violations: For each rule that was broken, how many rows broke it.
        message: Why it was made.
        source: Where its rows came from.
    """

    dataset: str
    version: int
    created_at: datetime
    parts: tuple[Part, ...]
    rows: int
    columns: tuple[Column, ...]
    content: str
    profile: str | None = None
    quarantine: str | None = None
    quarantined_rows: int = 0
    violations: dict[str, int] = {}
    message: str = ""
    source: str = ""
    tags: dict[str, Any] = {}

    @property
    def ref(self) -> str:
        """Its Ref as a string."""
        return f"dataset:{self.dataset}@{self.version}"


class DatasetStore(Protocol):
    """Named datasets, each a line of snapshots.

    Thread-safe and process-safe. `commit` assigns the next version atomically: of two commits that both
    `expect` version n as the newest, one gets n + 1 and the other raises `Conflict`. Committing content equal
    to the newest snapshot's returns that snapshot and writes nothing. Unknown names and versions raise
    `NotFound`. The bytes live in the artifact store; this port keeps only what describes them.

    Event: `dataset.committed` (payload: rows, quarantined_rows, violations).
    """

    @abstractmethod
    def commit(self, draft: Snapshot, *, expect: int | None = None, edges: Sequence[Edge] = ()) -> Snapshot:
        """Make the draft the newest version; `expect` names the version it was made from (0: none).

        Edges whose target is the empty string are linked to the new snapshot's Ref.
        """

    @abstractmethod
    def get(self, name: str, *, version: int | None = None) -> Snapshot:
        """Return a snapshot, by default the newest."""

    @abstractmethod
    def find(self, name: str, *, version: int | None = None) -> Snapshot | None:
        """Return a snapshot or None."""

    @abstractmethod
    def snapshots(self, name: str, *, before: int | None = None, limit: int = 100) -> list[Snapshot]:
        """List the snapshots of a dataset, newest first."""

    @abstractmethod
    def datasets(self, *, after: str = "", limit: int = 100) -> list[Snapshot]:
        """List the newest snapshot of every dataset, by name."""
