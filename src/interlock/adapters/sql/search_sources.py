"""Walk indexes: rows in the order of one value, then of their start, then of their id, from any place on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.adapters.sql.database import Readable
from interlock.adapters.sql.search_conditions import Conditions, Sql, bare, every, joined
from interlock.adapters.sql.search_layout import Layout
from interlock.ports.search import AnyOf, Compare, Filter, OrderBy

_MOST_SELECTS = 64
_DIRECT = ("=", "IN", "<", "<=", ">", ">=")
Row = tuple[Any, ...]
"""Id, value and start of a record."""


@dataclass(frozen=True)
class Source:
    """Rows that are candidates for a page, in the order of their value.

    Args:
        table: What to select from.
        id: The expression of the id.
        value: The expression of the value, never NULL among the rows.
        started: The expression of the start.
        descending: Which way the values go; starts always descend if they are not the value, and ids ascend.
        conditions: Which rows are meant.
        has_blocks: Whether the index has the rows of each value by start, descending, and id.
        seed: Where the index does not have the values in order, what it does have in order, if that is known.
    """

    table: Sql
    id: str
    value: str
    started: str
    descending: bool
    conditions: tuple[Sql, ...]
    has_blocks: bool = False
    seed: str = ""

    def rows(self, source: Readable, *, begin: Sql | None, last: Row | None, limit: int) -> list[Row]:
        """Return the next rows: those that fulfil a condition on the value (`from_value`), or are beyond a row."""
        if self.has_blocks and self.descending and self.value != self.started:
            return self._in_blocks(source, begin, last, limit)
        conditions = [*self.conditions]
        if last is not None:
            conditions += self._beyond(last)
        elif begin is not None:
            conditions.append(begin)
        if self.seed:
            conditions += self._seeded(source, conditions, limit)
        return self._select(source, conditions, limit)

    def from_value(self, value: Any, *, strict: bool = False) -> Sql:
        """Return the condition that a row is from a value on, or beyond it."""
        return bare(f"{self.value} {self._sign}{'' if strict else '='} ?", (value,))

    @property
    def _sign(self) -> str:
        return "<" if self.descending else ">"

    def _select(
        self, source: Readable, conditions: Sequence[Sql], limit: int, *, of_a_value: bool = False
    ) -> list[Row]:
        where = every(conditions)
        order = "" if of_a_value else f"{self.value}{' DESC' if self.descending else ''}, "
        then = "" if self.value == self.started else f"{self.started} DESC, "
        sql = f"""SELECT {self.id}, {self.value}, {self.started} FROM {self.table.text} WHERE {where.text}
            ORDER BY {order}{then}{self.id} LIMIT ?"""
        return source.query(sql, (*self.table.params, *where.params, limit))

    def _beyond(self, last: Row) -> list[Sql]:
        same = every([bare(f"{self.value} = ?", (last[1],)), self._later_in_block(last)])
        # said once more in a form that an index can be asked for
        return [self.from_value(last[1]), joined([self.from_value(last[1], strict=True), same], "OR", empty="")]

    def _later_in_block(self, last: Row) -> Sql:
        record, _, started = last
        by_id = bare(f"{self.id} > ?", (record,))
        if self.value == self.started:
            return by_id
        same = every([bare(f"{self.started} = ?", (started,)), by_id])
        return joined([bare(f"{self.started} < ?", (started,)), same], "OR", empty="")

    def _in_blocks(self, source: Readable, begin: Sql | None, last: Row | None, limit: int) -> list[Row]:
        """Go down the values, and at each down its block, so that no large block has to be sorted."""
        rows: list[Row] = []
        bound = [] if begin is None else [begin]
        if last is not None:
            rows = self._block(source, last[1], [self._later_in_block(last)], limit)
            bound = [self.from_value(last[1], strict=True)]
        while len(rows) < limit:
            where = every([*self.conditions, *bound])
            sql = f"""SELECT {self.id}, {self.value}, {self.started} FROM {self.table.text} WHERE {where.text}
                ORDER BY {self.value} DESC LIMIT ?"""
            chunk = source.query(sql, (*self.table.params, *where.params, limit - len(rows)))
            if not chunk:
                break
            lowest = chunk[-1][1]
            rows += _by_start([row for row in chunk if row[1] != lowest])
            rows += self._block(source, lowest, [], limit - len(rows))
            bound = [self.from_value(lowest, strict=True)]
        return rows

    def _block(self, source: Readable, value: Any, conditions: Sequence[Sql], limit: int) -> list[Row]:
        same = bare(f"{self.value} = ?", (value,))
        return self._select(source, [*self.conditions, same, *conditions], limit, of_a_value=True)

    def _seeded(self, source: Readable, conditions: Sequence[Sql], limit: int) -> list[Sql]:
        """Return a bound that the rows wanted keep, so that nearly nothing has to be sorted.

        It is what so many rows from both ends of the index keep: values often go with what the index is ordered by,
        and a sort that keeps the best so far is slow where each is better than all before.
        """
        where = every(conditions)
        found: dict[Any, Any] = {}
        for way in ("", " DESC"):
            sql = f"""SELECT {self.id}, {self.value} FROM {self.table.text} WHERE {where.text}
                ORDER BY {self.seed}{way} LIMIT ?"""
            found.update(source.query(sql, (*self.table.params, *where.params, limit)))
        values = sorted(found.values(), reverse=self.descending)
        if len(values) < limit:
            return []
        return [bare(f"{self.value} {'>' if self.descending else '<'}= ?", (values[limit - 1],))]


def _by_start(rows: list[Row]) -> list[Row]:
    """Put rows whose values descend in order where values are equal: by start, descending, then by id."""
    if len({row[1] for row in rows}) < len(rows):
        rows.sort(key=lambda row: row[0])
        rows.sort(key=lambda row: row[2], reverse=True)
        rows.sort(key=lambda row: row[1], reverse=True)
    return rows


@dataclass(frozen=True)
class Driver:
    """Rows of which every record that matches a condition has one, and no other record; indexes find them.

    Args:
        of: The condition.
        selects: Statements for their id and start, to be put one after the other.
        is_ordered: Whether the index gives them by start.
        is_direct: Whether the index leads to them and to nothing else, so that counting a few takes no time.
    """

    of: Filter
    selects: tuple[Sql, ...]
    is_ordered: bool
    is_direct: bool

    def size(self, source: Readable, most: int) -> int:
        """Return how many rows there are, counted up to a number."""
        union = self._union()
        sql = f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM ({union.text}) AS u LIMIT ?) AS counted"
        row = source.one(sql, (*union.params, most))
        assert row is not None
        return int(row[0])

    def by_start(self, *, descending: bool) -> Source:
        """Return the rows in the order of their start; of a record there may be several."""
        union = self._union()
        return Source(Sql(f"({union.text}) AS u", union.params), "id", "started", "started", descending, ())

    def holds(self, record: str) -> Sql:
        """Return the condition that a record has one of the rows."""
        union = self._union()
        return bare(f"{record} IN (SELECT id FROM ({union.text}) AS u)", union.params)

    def ids(self, source: Readable, most: int) -> list[Row]:
        """Return the ids, up to a number; some may come more than once."""
        union = self._union()
        return source.query(f"SELECT id FROM ({union.text}) AS u LIMIT ?", (*union.params, most))

    def _union(self) -> Sql:
        text = " UNION ALL ".join(one.text for one in self.selects)
        return Sql(text, tuple(value for one in self.selects for value in one.params))


def driver_of(where: Filter, layout: Layout, conditions: Conditions) -> Driver | None:
    """Return the rows by which indexes find all that a filter means, if they do."""
    if isinstance(where, Compare):
        return _compared(where, layout, conditions)
    if isinstance(where, AnyOf):
        found = [driver_of(one, layout, conditions) for one in where.clauses]
        selects = tuple(select for one in found if one is not None for select in one.selects)
        is_whole = None not in found and 0 < len(selects) <= _MOST_SELECTS
        is_direct = all(one is not None and one.is_direct for one in found)
        return Driver(where, selects, is_ordered=False, is_direct=is_direct) if is_whole else None
    return None


def narrower_drivers(clauses: Iterable[Filter], layout: Layout, conditions: Conditions) -> list[Driver]:
    """Return the rows for each of some conditions for which there are such."""
    return [one for clause in clauses if (one := driver_of(clause, layout, conditions)) is not None]


def _compared(where: Compare, layout: Layout, conditions: Conditions) -> Driver | None:
    if where.field.part == "attribute" or where.operator == "IS NULL":
        return None
    rows = layout.parts[where.field.part]
    if rows.started is None:
        return None
    belongs = conditions.belongs(where.field, rows)
    select = f"SELECT p.{rows.owner} AS id, p.{rows.started} AS started FROM {rows.table} p WHERE "
    found = [every([belongs, holds]) for holds in conditions.holds_in_index(where, rows)]
    is_sorted = rows.is_sorted(where.field)
    is_direct = is_sorted and (
        where.operator in _DIRECT or (where.operator == "LIKE" and str(where.value)[:1] not in "%_")
    )
    selects = tuple(Sql(select + one.text, one.params) for one in found)
    return Driver(where, selects, is_ordered=is_sorted and where.operator == "=", is_direct=is_direct)


def rows_in_order(layout: Layout, conditions: Conditions, key: OrderBy) -> Source:
    """Return the records that have a metric, param or tag, in its order; there must be an index for it."""
    rows = layout.parts[key.field.part]
    value = f"p.{rows.column(key.field)}"
    is_sorted = rows.is_sorted(key.field)
    return Source(
        Sql(f"{rows.table} p"),
        f"p.{rows.owner}",
        value,
        f"p.{rows.started}",
        key.descending,
        (conditions.belongs(key.field, rows), bare(f"{value} IS NOT NULL")),
        has_blocks=is_sorted,
        seed="" if is_sorted else f"p.{next(iter(rows.columns.values()))}",
    )
