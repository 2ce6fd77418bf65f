"""Say where in the database lies what can be searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from interlock.ports.search import Field, Part
from interlock.ports.search_fields import Searchable


@dataclass(frozen=True)
class Rows:
    """Where the metrics, params, tags or datasets of some records lie.

    Args:
        table: The table that has a row for each.
        owner: The column that names the record.
        columns: Columns of values: of a metric by statistic, of a dataset by key, of the others under the empty name.
        key: The column of keys, where there are keys.
        is_cut: Whether long texts are cut.
        whole: The column with the whole of a text that is cut, else NULL.
        nan: Whether NULL means NaN.
        started: The column of the record's start, where there is an index on (key, first column, started descending,
            owner) that has the other columns too, and one on (key, started descending, owner) of what was cut.
    """

    table: str
    owner: str
    columns: Mapping[str, str]
    key: str | None = "key"
    is_cut: bool = False
    whole: str | None = None
    nan: bool = False
    started: str | None = None

    def column(self, one: Field) -> str:
        """Return the column of values of a field."""
        if one.part == "metric":
            return self.columns[one.statistic]
        return self.columns[one.key if one.part == "dataset" else ""]

    def is_sorted(self, one: Field) -> bool:
        """Say whether the index has the values of a field in order."""
        return self.column(one) == next(iter(self.columns.values()))


@dataclass(frozen=True)
class Layout:
    """Where one kind of record lies.

    Args:
        of: What can be searched of it.
        table: Its table, which statements call `r`.
        id: The column that names a record in what is found.
        attributes: SQL expressions over `r`, by attribute.
        parts: Where the rest lies.
        cut: Attributes of which long texts are cut, with the expression of the whole, which is NULL if it is not.
        deleted: The column that is NULL for what is in use, if there is one.
    """

    of: Searchable
    table: str
    id: str
    attributes: Mapping[str, str]
    parts: Mapping[Part, Rows] = field(default_factory=dict)
    cut: Mapping[str, str | None] = field(default_factory=dict)
    deleted: str | None = None
