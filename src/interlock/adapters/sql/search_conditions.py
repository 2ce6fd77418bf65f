"""Write filters and orders as SQL conditions and columns, each with the parameters it needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.adapters.sql.dialect import Dialect
from interlock.adapters.sql.search_layout import Layout, Rows
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Lifecycle, Not, OrderBy
from interlock.ports.search_order import MARK, MISSING, NAN, PRESENT, Position, cut, place

TRUE, FALSE = "1 = 1", "1 = 0"
_BY_CUT = ("=", "!=", "IN", "NOT IN", "IS NOT NULL")
"""What a text that is cut answers as well as the whole."""


@dataclass(frozen=True)
class Sql:
    """A piece of SQL, and the parameters for its marks."""

    text: str
    params: tuple[Any, ...] = ()
    needs_parentheses: bool = True
    """Whether anything may stand beside it only if it is in parentheses."""


def bare(text: str, params: tuple[Any, ...] = ()) -> Sql:
    """Return a single condition, beside which anything may stand."""
    return Sql(text, params, needs_parentheses=False)


def joined(pieces: Iterable[Sql], separator: str, *, empty: str) -> Sql:
    """Return pieces with a word between them, in parentheses where they need them."""
    found = list(pieces)
    if not found:
        return Sql(empty)
    if len(found) == 1:
        return found[0]
    # few parentheses, since SQLite's parser has room for a hundred things
    text = f" {separator} ".join(f"({one.text})" if one.needs_parentheses else one.text for one in found)
    return Sql(text, tuple(value for one in found for value in one.params))


def every(pieces: Iterable[Sql]) -> Sql:
    """Return the condition that all of some conditions hold."""
    return joined(pieces, "AND", empty=TRUE)


def lifecycle_condition(layout: Layout, lifecycle: Lifecycle) -> list[Sql]:
    """Return what tells records that are in use from deleted ones."""
    if layout.deleted is None or lifecycle == "all":
        return []
    return [bare(f"r.{layout.deleted} IS {'' if lifecycle == 'active' else 'NOT '}NULL")]


class Conditions:
    """Writes conditions on records of one layout; filters must have been checked."""

    def __init__(self, layout: Layout, dialect: Dialect) -> None:
        self._layout = layout
        self._dialect = dialect

    def matches(self, where: Filter) -> Sql:
        """Return the condition that a filter means; it is true or false, never NULL."""
        if isinstance(where, Not):
            inner = self.matches(where.clause)
            return bare(f"NOT ({inner.text})" if inner.needs_parentheses else f"NOT {inner.text}", inner.params)
        if isinstance(where, AllOf):
            return every(map(self.matches, where.clauses))
        if isinstance(where, AnyOf):
            return joined(map(self.matches, where.clauses), "OR", empty=FALSE)
        if where.field.part == "attribute":
            return self._attribute(where)
        rows = self._layout.parts[where.field.part]
        belongs = self.belongs(where.field, rows)
        if where.operator in ("IS NULL", "IS NOT NULL"):
            return _exists(rows, [belongs], negated=where.operator == "IS NULL", record=self._record)
        return _exists(rows, [belongs, self.holds(where, rows)], record=self._record)

    @property
    def _record(self) -> str:
        return f"r.{self._layout.id}"

    def belongs(self, field: Field, rows: Rows) -> Sql:
        """Return the condition that a row `p` is of a field."""
        found = [] if rows.key is None else [bare(f"p.{rows.key} = ?", (field.key,))]
        if field.part == "dataset" and field.key == "context":
            found.append(bare(f"p.{rows.column(field)} <> ''"))
        return every(found)

    def holds(self, where: Compare, rows: Rows) -> Sql:
        """Return the condition that the value in a row `p` compares as it should."""
        if where.operator == "IS NOT NULL":
            return Sql(TRUE)
        column = f"p.{rows.column(where.field)}"
        if where.field.part == "metric":
            return self._number(where, column, may_be_nan=rows.nan and where.field.statistic != "count")
        whole = None if rows.whole is None else f"COALESCE(p.{rows.whole}, {column})"
        return self._text(where, column, whole, is_cut=rows.is_cut)

    def holds_in_index(self, where: Compare, rows: Rows) -> list[Sql]:
        """Return conditions that together find the rows that compare as they should, none twice, by indexes alone.

        Only of what was cut a row is read.
        """
        if rows.whole is None or where.field.part == "metric" or where.operator in _BY_CUT:
            return [self.holds(where, rows)]
        column = f"p.{rows.column(where.field)}"
        short = self._text(where, column, None, is_cut=False)
        is_short = bare(f"{self._dialect.position}({column}, ?) = 0", (MARK,))
        long = self._text(where, f"p.{rows.whole}", None, is_cut=False)
        return [
            every([*self._bounds(where, column), short, is_short]),
            every([bare(f"p.{rows.whole} IS NOT NULL"), long]),
        ]

    def _attribute(self, where: Compare) -> Sql:
        key = where.field.key
        expression = self._layout.attributes[key]
        if where.operator in ("IS NULL", "IS NOT NULL"):
            return bare(f"{expression} {where.operator}")
        if self._layout.of.kinds()[key] == "text":
            found = self._text(where, expression, self._whole(key, expression), is_cut=key in self._layout.cut)
        else:
            found = self._number(where, expression, may_be_nan=False)
        if self._layout.of.may_be_missing(key):
            return every([Sql(f"{expression} IS NOT NULL"), found])
        return found

    def _number(self, where: Compare, column: str, *, may_be_nan: bool) -> Sql:
        value: Any = where.value
        if value != value:
            return Sql(TRUE if where.operator == "!=" else FALSE)
        if where.operator in ("IN", "NOT IN"):
            return bare(f"{column} {where.operator} ({_marks(value)})", tuple(value))
        if where.operator != "!=":
            return bare(f"{column} {where.operator} ?", (value,))
        return bare(f"({column} <> ? OR {column} IS NULL)" if may_be_nan else f"{column} <> ?", (value,))

    def _whole(self, key: str, expression: str) -> str | None:
        whole = self._layout.cut.get(key)
        if whole is None:
            return None
        # so that the row is read only where it has more than an index
        return f"CASE WHEN {self._dialect.position}({expression}, '{MARK}') > 0 THEN {whole} ELSE {expression} END"

    def _text(self, where: Compare, column: str, whole: str | None, *, is_cut: bool) -> Sql:
        value: Any = where.value
        shorten = _short if is_cut else str
        if where.operator in ("IN", "NOT IN"):
            return bare(f"{column} {where.operator} ({_marks(value)})", tuple(map(shorten, value)))
        if where.operator in ("=", "!="):
            return bare(f"{column} {'=' if where.operator == '=' else '<>'} ?", (shorten(value),))
        text = whole or column
        if where.operator not in ("LIKE", "ILIKE"):
            return bare(f"{text} {where.operator} ?", (value,))
        like, pattern = self._dialect.like(text, value, any_case=where.operator == "ILIKE")
        return bare(like, (pattern,))

    def _bounds(self, where: Compare, column: str) -> list[Sql]:
        """Return what an index can be asked for, where a pattern has a beginning."""
        if where.operator != "LIKE":
            return []
        prefix = str(where.value).partition("%")[0].partition("_")[0].partition(MARK)[0]
        return [bare(f"{column} >= ?", (prefix,)), bare(f"{column} < ?", (prefix + MARK,))] if prefix else []


class Kept(str):
    """A text as it is stored, cut or not, which must not be cut again."""

    __slots__ = ()


def _short(text: str) -> str:
    return str(text) if isinstance(text, Kept) else cut(text)


def _exists(rows: Rows, conditions: Sequence[Sql], *, record: str, negated: bool = False) -> Sql:
    inner = every([bare(f"p.{rows.owner} = {record}"), *conditions])
    return bare(f"{'NOT ' if negated else ''}EXISTS (SELECT 1 FROM {rows.table} p WHERE {inner.text})", inner.params)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


class OrderColumns:
    """The columns that an order needs, the joins that bring them, and what compares positions."""

    def __init__(self, layout: Layout, order: Sequence[OrderBy]) -> None:
        self.joins: list[Sql] = []
        self._order = order
        self._columns = [self._column(layout, one.field, at) for at, one in enumerate(order)]

    def _column(self, layout: Layout, field: Field, at: int) -> tuple[str, str]:
        """Return the SQL of the rank and of the value."""
        if field.part == "attribute":
            value = layout.attributes[field.key]
            missing = f"CASE WHEN {value} IS NULL THEN {MISSING} ELSE {PRESENT} END"
            return missing if layout.of.may_be_missing(field.key) else "", value
        rows = layout.parts[field.part]
        alias = f"k{at}"
        on = f"{alias}.{rows.owner} = r.{layout.id} AND {alias}.{rows.key} = ?"
        self.joins.append(Sql(f"LEFT JOIN {rows.table} {alias} ON {on}", (field.key,)))
        value = f"{alias}.{rows.column(field)}"
        nan = f"WHEN {value} IS NULL THEN {NAN} " if rows.nan else ""
        return f"CASE WHEN {alias}.{rows.owner} IS NULL THEN {MISSING} {nan}ELSE {PRESENT} END", value

    @property
    def selected(self) -> str:
        """What to select for `positions`."""
        return ", ".join(f"{rank or PRESENT}, {value}" for rank, value in self._columns)

    @property
    def order_by(self) -> str:
        """What to order by."""
        keys = []
        for (rank, value), one in zip(self._columns, self._order, strict=True):
            keys += [rank] if rank else []
            keys.append(f"{value} DESC" if one.descending else value)
        return ", ".join(keys)

    def position(self, row: Sequence[Any]) -> Position:
        """Read a position from what was selected."""
        return tuple(
            (rank, None) if rank == NAN else place(value) for rank, value in zip(row[::2], row[1::2], strict=True)
        )

    def beyond(self, position: Position | None) -> list[Sql]:
        """Return the condition that a record comes after a position.

        That is: under some key it comes later, and is equal under those before it. Said flatly, for a condition within
        a condition within a condition is more than SQLite's parser bears.
        """
        if position is None:
            return []
        equal: list[Sql] = []
        ways: list[Sql] = []
        for (rank, value), one, (at, limit) in zip(self._columns, self._order, position, strict=True):
            if rank:
                ways.append(every([*equal, bare(f"{rank} > ?", (at,))]))
                equal.append(bare(f"{rank} = ?", (at,)))
            if at == PRESENT:
                ways.append(every([*equal, bare(f"{value} {'<' if one.descending else '>'} ?", (limit,))]))
                equal.append(bare(f"{value} = ?", (limit,)))
        return [joined(ways, "OR", empty=FALSE)]
