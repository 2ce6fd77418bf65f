"""Find and order plain records: the meaning of a search, which faster ways are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from interlock.core.clock import to_micros
from interlock.core.plain import as_text
from interlock.ports.checks import check_limit
from interlock.ports.run_store import MetricSummary
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Lifecycle, Not, OrderBy
from interlock.ports.search_checks import checked_filter, full_order
from interlock.ports.search_fields import Searchable
from interlock.ports.search_order import cut, place, read_token, sort_key, write_token
from interlock.ports.search_values import COMPARE

_USER = Field("attribute", "user")
Record = TypeVar("Record")
Read = Callable[[Any, Field], list[Any]]
"""Returns what a record has under a field: nothing, one value or, of datasets, several."""


def page_of(
    records: Iterable[Record],
    *,
    of: Searchable,
    where: Filter | None = None,
    order: Sequence[OrderBy] = (),
    lifecycle: Lifecycle = "all",
    limit: int,
    after: str | None = None,
    read: Read | None = None,
) -> tuple[list[Record], str | None]:
    """Return the records of one page, and what to pass as `after` for the next, None at the end.

    Args:
        records: All there are.
        of: What can be searched of them.
        where: Which to find.
        order: In which order.
        lifecycle: Whether those with a `deleted_at` are meant.
        limit: How many make a page.
        after: What the page before returned.
        read: How to read a field, if not as records of runs and experiments are.
    """
    check_limit(limit)
    condition = checked_filter(where, of)
    keys = full_order(order, of)
    begin = read_token(after, keys, of)
    look = read or partial(values_of, cut_texts=False)
    sort_look = read or partial(values_of, cut_texts=of.cut)
    found = []
    for record in records:
        if not _is_meant(record, lifecycle) or not matches(record, condition, look):
            continue
        position = tuple(place(next(iter(sort_look(record, one.field)), None)) for one in keys)
        if begin is None or sort_key(begin, keys) < sort_key(position, keys):
            found.append((position, record))
    found.sort(key=lambda one: sort_key(one[0], keys))
    page = found[:limit]
    following = write_token(page[-1][0], keys) if page and len(found) > limit else None
    return [record for _, record in page], following


def matches(record: Any, where: Filter | None, read: Read) -> bool:
    """Say whether a record is among those that a checked filter means."""
    if where is None:
        return True
    if isinstance(where, Not):
        return not matches(record, where.clause, read)
    if isinstance(where, AllOf):
        return all(matches(record, one, read) for one in where.clauses)
    if isinstance(where, AnyOf):
        return any(matches(record, one, read) for one in where.clauses)
    return _compares(where, read(record, where.field))


def _compares(where: Compare, values: list[Any]) -> bool:
    if where.operator == "IS NULL":
        return not values
    if where.operator == "IS NOT NULL":
        return bool(values)
    sought: Any = where.value
    if where.field.part == "dataset" or where.field == _USER:
        # only the beginning of a long one is kept to search by
        if where.operator in ("=", "!="):
            sought = cut(sought)
        elif where.operator in ("IN", "NOT IN"):
            sought = [cut(text) for text in sought]
    return any(COMPARE[where.operator](value, sought) for value in values)


def _is_meant(record: Any, lifecycle: Lifecycle) -> bool:
    if lifecycle == "all":
        return True
    return (getattr(record, "deleted_at", None) is None) == (lifecycle == "active")


def values_of(record: Any, field: Field, *, cut_texts: bool) -> list[Any]:
    """Return what a record has under a field, as filters compare it and, with long texts cut, as orders do."""
    if field.part == "metric":
        summary: MetricSummary | None = record.metrics.get(field.key)
        return [] if summary is None else [getattr(summary, field.statistic)]
    if field.part == "dataset":
        found = [cut(getattr(one, field.key)) for one in record.datasets]
        return [one for one in found if one or field.key != "context"]
    if field.part == "attribute":
        value = _attribute(record, field.key)
        long = cut_texts and field.key == "name"
    else:
        value = (record.params if field.part == "param" else record.tags).get(field.key, _NONE)
        value = None if value is _NONE else as_text(value)
        long = cut_texts
    if value is None:
        return []
    return [cut(value) if long else value]


_NONE = object()


def _attribute(record: Any, key: str) -> Any:
    if key == "user":
        user = record.environment.get("user")
        return cut(user) if isinstance(user, str) else None
    value = getattr(record, key)
    return to_micros(value) if isinstance(value, datetime) else value
