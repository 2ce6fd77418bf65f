"""Ports: definitions of feature views, their newest values, and point-in-time joins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from interlock.core.errors import SchemaMismatch, did_you_mean
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


def check_join(spine: pa.Table, sources: Sequence[JoinSource], *, time: str) -> None:
    """Refuse what no join can be made of, before any work.

    Raises:
        SchemaMismatch: A column is missing, a key has another type than in the spine, a time has no zone, or a
            feature has the name of a column that is there already.
    """
    taken = set(spine.column_names)
    _check_time("the spine", spine, time)
    for source in sources:
        view, table = source.view, source.table
        of = f"the table of feature view '{view.name}'"
        _check_time(of, table, view.known_at)
        for key in view.entity:
            here, there = key_kind(_type(f"the spine (for '{view.name}')", spine, key)), key_kind(_type(of, table, key))
            if here != there:
                raise SchemaMismatch(
                    f"the key '{key}' is {there} in {of} and {here} in the spine", why="keys of two types never match"
                )
        for feature in view.features:
            _type(of, table, feature.name)
            if feature.name in taken:
                raise SchemaMismatch(
                    f"the feature '{feature.name}' of '{view.name}' has the name of a column that is there already",
                    why="columns of the result have names of their own",
                    fix="rename the feature in the view, or the column in the spine",
                )
            taken.add(feature.name)


def key_kind(type_: Any) -> str:
    """Return what an Arrow type is as a key: all numbers are one kind, as are all strings."""
    name = str(type_)
    if name.startswith("dictionary<values="):
        name = name.removeprefix("dictionary<values=").partition(",")[0]
    if name.startswith(("int", "uint", "float", "double", "halffloat")):
        return "number"
    return "string" if name in ("string", "large_string", "string_view") else name


def _type(of: str, table: pa.Table, column: str) -> Any:
    if column not in table.column_names:
        raise SchemaMismatch(f"{of} has no column '{column}'", why=did_you_mean(column, table.column_names))
    return table.schema.field(column).type


def _check_time(of: str, table: pa.Table, column: str) -> None:
    kind = _type(of, table, column)
    if getattr(kind, "tz", None) is None:
        raise SchemaMismatch(
            f"the time column '{column}' of {of} is {kind}",
            why="expected a timestamp with a time zone",
            fix=f'table["{column}"].cast(pa.timestamp("us", tz="UTC"))',
        )


class OfflineStore(Protocol):
    """Point-in-time joins over whole tables; computes in this process, keeps nothing.

    Thread-safe. For each row of the spine and each source the newest source row qualifies with equal entity
    keys and `spine time - ttl <= known_at <= spine time` (both inclusive); ties go to the last row of the source
    table. Rows and order of the spine are kept; where none qualifies the features are null. Keys that are null
    or NaN match nothing, nor do null times. What `check_join` refuses raises `SchemaMismatch`, before any work.
    """

    @abstractmethod
    def join(self, spine: pa.Table, sources: Sequence[JoinSource], *, time: str) -> pa.Table:
        """Return the spine with every source's features beside it, named `<feature>`."""
