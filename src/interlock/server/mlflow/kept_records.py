"""Read, change, find and page the records of kinds that MLflow's clients know and no room of ours does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.clock import to_micros
from interlock.core.errors import Conflict, NotFound
from interlock.ports.record_store import Record
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Not, OrderBy
from interlock.ports.search_checks import checked_filter, full_order
from interlock.ports.search_fields import Searchable
from interlock.ports.search_order import place, read_token, sort_key, write_token
from interlock.ports.search_values import COMPARE
from interlock.server.mlflow.wire import Failure, Ground

_TRIES = 20
_AT_ONCE = 1000
_MOST_PARENTS = 500

Body = dict[str, Any]


def known_record(ground: Ground, collection: str, record_id: str, failure: Callable[[], Failure]) -> Record:
    """Return a record, or fail as its kind does."""
    try:
        return ground.stores.records.get(collection, record_id)
    except NotFound:
        raise failure() from None


def find_record(ground: Ground, collection: str, record_id: str) -> Record | None:
    """Return a record, if it is there."""
    found = ground.stores.records.find(collection, [record_id])
    return found[0] if found else None


def again_until_alone(work: Callable[[], Any]) -> Any:
    """Do what reads records and writes them, again where another writer came between."""
    for _ in range(_TRIES - 1):
        try:
            return work()
        except Conflict:
            continue
    return work()


def changed_record(
    ground: Ground, collection: str, record_id: str, failure: Callable[[], Failure], change: Callable[[Body], Body]
) -> Record:
    """Write what a change makes of a record's body; a body that stays as it is is not written."""

    def work() -> Record:
        before = known_record(ground, collection, record_id, failure)
        body = change(dict(before.body))
        if body == before.body:
            return before
        return ground.stores.records.put([msgspec.structs.replace(before, body=body)])[0]

    found: Record = again_until_alone(work)
    return found


def every_record(ground: Ground, collection: str, *, parents: Sequence[str] | None = None) -> Iterator[Record]:
    """Read the records of a collection, or of it those of some parents, page by page."""
    groups: list[Sequence[str] | None] = [None]
    if parents is not None:
        wanted = list(dict.fromkeys(parents))
        groups = [wanted[start : start + _MOST_PARENTS] for start in range(0, len(wanted), _MOST_PARENTS)]
    for group in groups:
        after = 0
        while page := ground.stores.records.records(collection, parents=group, after=after, limit=_AT_ONCE):
            yield from page
            after = page[-1].seq


def millis(record: Record) -> tuple[int, int]:
    """Return when a record was made and when it last changed, in milliseconds since 1970 UTC."""
    return to_micros(record.created_at) // 1000, to_micros(record.updated_at) // 1000


def page_of_records(
    records: Iterator[Record],
    attributes: Callable[[Record], Mapping[str, Any]],
    *,
    of: Searchable,
    where: Filter | None,
    order: Sequence[OrderBy],
    limit: int,
    after: str | None,
) -> tuple[list[Record], str]:
    """Return one page of the records that a filter means, and the token of the next, empty at the end.

    Args:
        records: All there are.
        attributes: What each has by the names of its fields, times in microseconds; tags stand under `tags`.
        of: What can be searched of them.
        where: Which to find.
        order: In which order.
        limit: How many make a page.
        after: The token that came with the page before.

    Cost: every record is read; these kinds number hundreds, not millions.
    """
    condition = checked_filter(where, of)
    keys = full_order(order, of)
    begin = read_token(after, keys, of)
    found = []
    for record in records:
        values = attributes(record)
        if condition is not None and not _matches(values, condition):
            continue
        position = tuple(place(_value(values, one.field)) for one in keys)
        if begin is None or sort_key(begin, keys) < sort_key(position, keys):
            found.append((position, record))
    found.sort(key=lambda one: sort_key(one[0], keys))
    page = found[:limit]
    following = write_token(page[-1][0], keys) if page and len(found) > limit else ""
    return [record for _, record in page], following


def _matches(values: Mapping[str, Any], where: Filter) -> bool:
    if isinstance(where, Not):
        return not _matches(values, where.clause)
    if isinstance(where, AllOf):
        return all(_matches(values, one) for one in where.clauses)
    if isinstance(where, AnyOf):
        return any(_matches(values, one) for one in where.clauses)
    return _compares(where, _value(values, where.field))


def _compares(where: Compare, value: Any) -> bool:
    if where.operator in ("IS NULL", "IS NOT NULL"):
        return (value is None) == (where.operator == "IS NULL")
    return value is not None and COMPARE[where.operator](value, where.value)


def _value(values: Mapping[str, Any], field: Field) -> Any:
    return values.get(field.key) if field.part == "attribute" else values.get("tags", {}).get(field.key)
