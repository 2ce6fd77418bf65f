"""Find and order the records of one table in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlock.adapters.sql.database import Readable
from interlock.adapters.sql.dialect import Dialect
from interlock.adapters.sql.search_conditions import Conditions, OrderColumns, Sql, every, lifecycle_condition
from interlock.adapters.sql.search_layout import Layout
from interlock.ports.checks import check_limit
from interlock.ports.search import Filter, Lifecycle, OrderBy
from interlock.ports.search_checks import checked_filter, full_order
from interlock.ports.search_order import Position, read_token, write_token

Found = list[tuple[Any, Position]]
"""Names of records, and where each stands in the order."""


def find(
    source: Readable,
    dialect: Dialect,
    layout: Layout,
    *,
    where: Filter | None = None,
    order: Sequence[OrderBy] = (),
    lifecycle: Lifecycle = "all",
    scope: Sequence[Sql] = (),
    limit: int,
    after: str | None = None,
) -> tuple[list[Any], str | None]:
    """Return what names the records of one page in order, and what to pass as `after` for the next, None at the end.

    Args:
        source: What is asked.
        dialect: What it speaks.
        layout: Where the records lie.
        where: Which to find.
        order: In which order.
        lifecycle: Whether deleted ones are meant.
        scope: Further conditions on the record `r`.
        limit: How many make a page.
        after: What the page before returned.

    Cost: every record within the scope is looked at; made for some thousands of them.
    """
    check_limit(limit)
    condition = checked_filter(where, layout.of)
    keys = full_order(order, layout.of)
    begin = read_token(after, keys, layout.of)
    among = [*scope, *lifecycle_condition(layout, lifecycle)]
    return page(gather(source, dialect, layout, condition, keys, begin, limit + 1, among), keys, limit)


def page(found: Found, keys: Sequence[OrderBy], limit: int) -> tuple[list[Any], str | None]:
    """Return the names of a page, of which one more was found than it holds if there are more."""
    shown = found[:limit]
    following = write_token(shown[-1][1], keys) if shown and len(found) > limit else None
    return [name for name, _ in shown], following


def gather(
    source: Readable,
    dialect: Dialect,
    layout: Layout,
    where: Filter | None,
    keys: Sequence[OrderBy],
    begin: Position | None,
    count: int | None,
    among: Sequence[Sql],
) -> Found:
    """Return the first so many records beyond a position, or without a count all of them in no order."""
    columns = OrderColumns(layout, keys)
    conditions = [*among, *columns.beyond(begin)]
    if where is not None:
        conditions.insert(0, Conditions(layout, dialect).matches(where))
    condition = every(conditions)
    joins = " ".join(one.text for one in columns.joins)
    sql = f"SELECT r.{layout.id}, {columns.selected} FROM {layout.table} r {joins} WHERE {condition.text}"
    params = [*(value for one in columns.joins for value in one.params), *condition.params]
    if count is not None:
        sql += f" ORDER BY {columns.order_by} LIMIT ?"
        params.append(count)
    return [(row[0], columns.position(row[1:])) for row in source.query(sql, params)]
