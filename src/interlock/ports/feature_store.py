"""Ports: definitions of feature views, their newest values, and point-in-time joins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from interlock.core.schema import Column

if TYPE_CHECKING:
    import pyarrow as pa


class FeatureView(msgspec.Struct, frozen=True):
    """A group of features of one entity, computed from one source; Ref `feature:<name>@<version>`.

    Args:
        name: Its name.
        entity: The key columns that identify a row, in order.
        features: The feature columns.
        known_at: The column that says when a row became known: the only time a join may use.
        ttl_s: How old a row may be at most, seconds; None for no limit.
        source: Ref of the dataset its rows come from.
        description: For people.
        version: 0 in a draft; a changed definition gets the next number.
    """

    name: str
    entity: tuple[str, ...]
    features: tuple[Column, ...]
    known_at: str
    ttl_s: float | None = None
    source: str = ""
    description: str = ""
    version: int = 0

    @property
    def ref(self) -> str:
        """Its Ref as a string."""
        return f"feature:{self.name}@{self.version}"


class FeatureViewStore(Protocol):
    """Versioned definitions of feature views.

    Thread-safe and process-safe. `apply` of a definition equal to the newest returns it; a changed one becomes
    the next version. Unknown names raise `NotFound`.

    Event: `feature.applied`; edge source dataset → view (`read_by`).
    """

    @abstractmethod
    def apply(self, view: FeatureView) -> FeatureView:
        """Record a definition; return it with its version."""

    @abstractmethod
    def get(self, name: str, *, version: int | None = None) -> FeatureView:
        """Return a definition, by default the newest."""

    @abstractmethod
    def find(self, name: str) -> FeatureView | None:
        """Return the newest definition or None."""

    @abstractmethod
    def views(self, *, after: str = "", limit: int = 100) -> list[FeatureView]:
        """List the newest definition of every view, by name."""


class OnlineRow(msgspec.Struct, frozen=True):
    """The newest feature values of one entity."""

    key: tuple[str | int | float | bool, ...]
    known_at: datetime
    values: dict[str, Any]


class OnlineStore(Protocol):
    """The newest row per view and key, for lookups while serving.

    Thread-safe and process-safe. A row replaces a stored one only if its `known_at` is not older: a late
    event never overwrites a newer one. Keys are compared by type and value: `(1, 23)`, `(12, 3)`
    and `("1", 23)` differ.
    No events: values are data, not happenings; `materialize` in the features room writes one event per batch.
    """

    @abstractmethod
    def write(self, view: str, rows: Sequence[OnlineRow]) -> int:
        """Upsert rows, all or none; return how many replaced or were new."""

    @abstractmethod
    def read(self, view: str, keys: Sequence[tuple[str | int | float | bool, ...]]) -> list[OnlineRow | None]:
        """Return the row of each key, in order, None where there is none."""

    @abstractmethod
    def count(self, view: str) -> int:
        """Return how many keys a view holds."""


class JoinSource(msgspec.Struct, frozen=True):
    """One feature view with its rows, ready to be joined; `table` is an Arrow table."""

    view: FeatureView
    table: Any


class OfflineStore(Protocol):
    """Point-in-time joins over whole tables; computes in this process, keeps nothing.

    Thread-safe. For each row of the spine and each source the newest source row qualifies with equal entity
    keys and `spine time - ttl <= known_at <= spine time` (both inclusive); ties go to the last row of the source
    table. Rows and order of the spine are kept; where none qualifies the features are null. A missing column
    raises `SchemaMismatch` naming table and column, before any work.
    """

    @abstractmethod
    def join(self, spine: pa.Table, sources: Sequence[JoinSource], *, time: str) -> pa.Table:
        """Return the spine with every source's features beside it, named `<feature>`."""
