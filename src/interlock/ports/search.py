"""Say which records to find and in which order: the conditions that every searchable store understands."""

from __future__ import annotations

from typing import Literal

import msgspec

Part = Literal["attribute", "metric", "param", "tag", "dataset"]
Statistic = Literal["last", "first", "min", "max", "mean", "count"]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"]
Lifecycle = Literal["active", "deleted", "all"]
"""Which records are meant: those in use, those that were deleted and may be restored, or both."""


class Field(msgspec.Struct, frozen=True):
    """What of a record is compared or ordered by.

    Args:
        part: A column of the record itself (`attribute`), or one of its metrics, params, tags or datasets.
        key: Name of the attribute, metric, param or tag; of a dataset `name`, `digest` or `context`.
        statistic: Of a metric, which of the figures in its summary.
        dataset: Of a metric of a logged model, the name of the dataset it was measured on; empty means any.
        digest: The digest of that dataset; empty means any.
    """

    part: Part
    key: str
    statistic: Statistic = "last"
    dataset: str = ""
    digest: str = ""


class Compare(msgspec.Struct, frozen=True, tag="compare"):
    """One comparison; a record that lacks the field matches `IS NULL` only.

    Numbers compare with metrics and with times (microseconds since 1970 UTC), text with everything else. NaN
    matches only `!=`. `LIKE` has `%` and `_` and tells case; `ILIKE` takes A to Z for a to z. A param compares by its
    text. Of several datasets one has to match; a dataset without a context lacks it. Of users, and of what names
    datasets, only the first 264 bytes count for `LIKE` where they are longer than 300.
    """

    field: Field
    operator: Operator
    value: str | int | float | tuple[str, ...] | None = None


class Not(msgspec.Struct, frozen=True, tag="not"):
    """The records that a condition does not match, among them those that lack what it compares."""

    clause: Filter


class AllOf(msgspec.Struct, frozen=True, tag="all"):
    """The records that every condition matches."""

    clauses: tuple[Filter, ...]


class AnyOf(msgspec.Struct, frozen=True, tag="any"):
    """The records that at least one condition matches."""

    clauses: tuple[Filter, ...]


Filter = Compare | Not | AllOf | AnyOf


class OrderBy(msgspec.Struct, frozen=True):
    """One key of an order; records whose value is NaN, then those without one, come last either way.

    Text goes by code point. Of a run's texts that are longer than 300 bytes, the beginning counts.
    """

    field: Field
    descending: bool = False
