"""Find the first of very many records in an order, without looking at most of them.

A page is made of candidates, which some index gives in the order asked for, a chunk at a time, and of which a second
statement keeps those that match. Where few records are within reach, one statement looks at all of them instead; where
many candidates were taken in vain, the ids that match are read from their indexes, and candidates judged by these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from interlock.adapters.sql.database import Readable
from interlock.adapters.sql.dialect import Dialect
from interlock.adapters.sql.search_conditions import Conditions, Kept, Sql, bare, every
from interlock.adapters.sql.search_layout import Layout
from interlock.adapters.sql.search_sets import Ids, ids_of
from interlock.adapters.sql.search_sources import Driver, Row, Source, narrower_drivers, rows_in_order
from interlock.adapters.sql.searching import Found, gather
from interlock.ports.search import AllOf, Compare, Field, Filter, Not, OrderBy
from interlock.ports.search_checks import fields_of
from interlock.ports.search_order import MISSING, NAN, PRESENT, Place, Position, place, sort_key

FEW = 4000
"""So many records are looked at one by one sooner than anything else is tried."""

FEW_PAGES = 2
"""So many pages of records likewise."""

SMALLEST_CHUNK = 256
"""Candidates that are taken at once, at first."""

PATIENCE = 1200
"""So many candidates are judged by a query before the ids that match are read."""

HOPELESS = 5000
"""A page for which more candidates are to be expected is looked for by the ids that match."""

VERY_FEW = 1000
"""Rows of a condition that are taken by start before anything else is tried."""

MANY = 50_000
"""A scope of so many records is taken for nearly all there are."""

_LARGEST_CHUNK = 8192
_INFINITY = float("inf")
_PRESENT_OPERATORS = ("=", "<", "<=", ">", ">=")
_START, _ID = Field("attribute", "started_at"), Field("attribute", "id")


@dataclass(frozen=True)
class Asked:
    """What is looked for.

    Args:
        where: The filter, checked.
        keys: The order, checked, that leaves no choice.
        begin: The position beyond which records are wanted.
        count: How many are.
    """

    where: Filter | None
    keys: tuple[OrderBy, ...]
    begin: Position | None
    count: int

    def under(self, first: Place, condition: Filter, found: int) -> Asked:
        """Return what remains to be looked for among the records whose first key is in one place."""
        same = self.begin is not None and self.begin[0] == first
        begin = self.begin[1:] if self.begin is not None and same else None
        where = AllOf((*_clauses(self.where), *_clauses(condition)))
        return Asked(where, self.keys[1:], begin, self.count - found)


class Walks:
    """Finds records of one layout within one scope.

    Args:
        source: What is asked.
        dialect: What it speaks.
        layout: Where the records lie; those that have a `started` of their own.
        within: Conditions that lead to the records of the scope by an index.
        in_order: The same conditions, where records are wanted by start.
        checked: The same conditions, where the records are known and no index is wanted.
    """

    def __init__(
        self,
        source: Readable,
        dialect: Dialect,
        layout: Layout,
        *,
        within: Sequence[Sql],
        in_order: Sequence[Sql],
        checked: Sequence[Sql],
    ) -> None:
        self.source = source
        self._dialect = dialect
        self._layout = layout
        self._within = within
        self._in_order = in_order
        self._checked = checked
        self._conditions = Conditions(layout, dialect)
        self._id = f"r.{layout.id}"

    def first(self, asked: Asked) -> Found:
        """Return the first of the records looked for."""
        own, other = _parted(asked.where)
        if not other and asked.keys[0].field.part == "attribute":
            return self._in_phases(asked, _Judge(self, asked, [], 0), None)
        most = max(FEW, FEW_PAGES * asked.count)
        if self._size(own, most + 1) <= most:
            return self._gather(asked, self._within)
        drivers = narrower_drivers(other, self._layout, self._conditions)
        direct = [one for one in drivers if one.is_direct]
        patience = PATIENCE if len(direct) < 2 else self._patience(direct, own, asked.count)
        driver = self._narrowest(direct or drivers[:1])
        if direct and driver is not None and asked.keys[0].field != _START and driver.size(self.source, FEW) < FEW:
            return self._gather(asked, [*self._checked, driver.holds(self._id)])
        return self._in_phases(asked, _Judge(self, asked, other, patience), driver if patience else None)

    def evaluated(self, ids: Sequence[Any], asked: Asked) -> Found:
        """Return those of some records that match, wherever they stand, in no order."""
        among = [*self._checked, self._among(ids)]
        return gather(self.source, self._dialect, self._layout, asked.where, asked.keys, None, None, among)

    def ids_of(self, clauses: Sequence[Filter]) -> Ids | None:
        """Return the ids that match some conditions, or None if there are too many."""
        return ids_of(AllOf(tuple(clauses)), self.source, self._layout, self._conditions, self._within)

    def _gather(self, asked: Asked, among: Sequence[Sql]) -> Found:
        keys, begin, count = asked.keys, asked.begin, asked.count
        return gather(self.source, self._dialect, self._layout, asked.where, keys, begin, count, among)

    def _among(self, ids: Sequence[Any]) -> Sql:
        return bare(f"{self._id} IN ({', '.join('?' * len(ids))})", tuple(ids))

    def _size(self, own: Sequence[Filter], most: int) -> int:
        """Return how many records of the scope fulfil some conditions on themselves, counted up to a number."""
        condition = every([*self._within, *map(self._conditions.matches, own)])
        sql = (
            f"SELECT COUNT(*) FROM (SELECT 1 AS one FROM {self._layout.table} r WHERE {condition.text} LIMIT ?) AS few"
        )
        row = self.source.one(sql, (*condition.params, most))
        assert row is not None
        return int(row[0])

    def _narrowest(self, drivers: Sequence[Driver]) -> Driver | None:
        if len(drivers) < 2:
            return drivers[0] if drivers else None
        return min(drivers, key=lambda one: (one.size(self.source, FEW), not one.is_ordered))

    def _patience(self, drivers: Sequence[Driver], own: Sequence[Filter], count: int) -> int:
        """Return after how many candidates the ids that match are read: at once where a page would take very many."""
        all_records = max(1, self._size(own, MANY))
        share = 1.0
        for one in drivers:
            share *= min(1.0, one.size(self.source, MANY) / all_records)
        return PATIENCE if share * HOPELESS >= count else 0

    def _in_phases(self, asked: Asked, judge: _Judge, driver: Driver | None) -> Found:
        """Find those with a value first, then those whose value is NaN, then those without one."""
        rank = PRESENT if asked.begin is None else asked.begin[0][0]
        found = self._present(asked, judge, driver) if rank == PRESENT else []
        if judge.few is not None:
            return self._gather(asked, [*self._checked, self._among(judge.few)]) if judge.few else []
        field = asked.keys[0].field
        for later, condition in ((NAN, _is_nan(field)), (MISSING, Compare(field, "IS NULL"))):
            if len(found) < asked.count and rank <= later and self._may_stand(field, later, asked.where):
                more = self.first(asked.under((later, None), condition, len(found)))
                found += _under((later, None), more)
        return found

    def _may_stand(self, field: Field, rank: int, where: Filter | None) -> bool:
        """Say whether the first key of a record that matches may be of some rank."""
        if field.part == "attribute":
            return rank == MISSING and self._layout.of.may_be_missing(field.key)
        demanded = [one for one in _clauses(where) if isinstance(one, Compare) and one.field == field]
        if rank == MISSING:
            return not any(one.operator != "IS NULL" for one in demanded)
        if field.part != "metric" or any(one.operator in _PRESENT_OPERATORS for one in demanded):
            return False
        rows = self._layout.parts["metric"]
        condition = every([self._conditions.belongs(field, rows), bare(f"p.{rows.column(field)} IS NULL")])
        sql = f"SELECT 1 FROM {rows.table} p WHERE {condition.text} LIMIT 1"
        return self.source.one(sql, condition.params) is not None

    def _present(self, asked: Asked, judge: _Judge, driver: Driver | None) -> Found:
        """Return those with a value under the first key."""
        own, other = _parted(asked.where)
        first = asked.keys[0]
        is_listed = first.field.part == "attribute"
        source = self._listed(own, first) if is_listed else rows_in_order(self._layout, self._conditions, first)
        if not _is_exact(asked.keys):
            return self._by_blocks(source, asked, judge)
        walk = _Walk(judge, asked, is_judged=is_listed and not other)
        if first.field == _START and driver is not None:
            self._walk_by_start(walk, source, driver, judge, own)
        else:
            walk.go(source)
        return walk.found()

    def _walk_by_start(self, walk: _Walk, source: Source, driver: Driver, judge: _Judge, own: Sequence[Filter]) -> None:
        are_few = driver.is_direct and driver.size(self.source, VERY_FEW) < VERY_FEW
        if not are_few and not walk.go(source, chunks=1):
            return
        # in a part of all records, most rows of a broad condition are of other parts
        if are_few or driver.is_ordered or self._size(own, MANY) == MANY:
            judge.imply(driver.of)
            source = driver.by_start(descending=source.descending)
        walk.go(source)

    def _listed(self, own: Sequence[Filter], key: OrderBy) -> Source:
        """Return the records of the scope in the order of an attribute they have."""
        value, started = self._layout.attributes[key.field.key], self._layout.attributes[_START.key]
        conditions = [*self._in_order, *map(self._conditions.matches, own)]
        if self._layout.of.may_be_missing(key.field.key):
            conditions.append(bare(f"{value} IS NOT NULL"))
        # where conditions on the records themselves leave few, looking for a bound takes longer than sorting them
        seed = "" if own or key.field == _START else started
        table = Sql(f"{self._layout.table} r")
        return Source(table, self._id, value, started, key.descending, tuple(conditions), seed=seed)

    def _by_blocks(self, source: Source, asked: Asked, judge: _Judge) -> Found:
        """Find records whose order is not the source's: those of one value of the first key after the other."""
        found: Found = []
        size = _chunk(asked.count)
        bound = None if asked.begin is None else source.from_value(asked.begin[0][1])
        while len(found) < asked.count and judge.few is None:
            rows = source.rows(self.source, begin=bound, last=None, limit=size)
            if not rows:
                break
            at, edge = rows[0][1], rows[-1][1]
            is_over = len(rows) < size
            if at == edge and not is_over:
                same = Compare(asked.keys[0].field, "=", Kept(at) if isinstance(at, str) else at)
                found += _under(place(at), self.first(asked.under(place(at), same, len(found))))
            else:
                whole = rows if is_over else [row for row in rows if row[1] != edge]
                found += sorted(judge.judged(whole), key=lambda one: sort_key(one[1], asked.keys))
            if is_over:
                break
            bound = source.from_value(edge, strict=at == edge)
            size = min(4 * size, _LARGEST_CHUNK)
        return found[: asked.count]


class _Judge:
    """Tells which candidates match, by a query for each chunk, or after many in vain by the ids that match.

    Args:
        walks: Where to ask.
        asked: What is looked for.
        clauses: Conditions that not only the record's own row answers.
        patience: After how many candidates the ids that match are read.
    """

    def __init__(self, walks: Walks, asked: Asked, clauses: Sequence[Filter], patience: int) -> None:
        self.walks = walks
        self.few: tuple[Any, ...] | None = None
        """The ids that match, once they are known and are few."""
        self._asked = asked
        self._begin = None if asked.begin is None else sort_key(asked.begin, asked.keys)
        self._clauses = list(clauses)
        self._patience = patience
        self._seen = 0
        self._ids: Ids | None = None

    def imply(self, clause: Filter) -> None:
        """Take notice that every candidate from now on matches a clause."""
        self._clauses = [one for one in self._clauses if one is not clause]

    def judged(self, rows: Sequence[Row], wanted: int | None = None) -> Found:
        """Return those of some candidates that match and are wanted, or if a number is given, so many of the first."""
        ids = [row[0] for row in rows]
        if self._clauses and self._seen >= self._patience:
            self._ids = self.walks.ids_of(self._clauses)
            self._clauses = []
            if self._ids is not None and not self._ids.is_rest and len(self._ids.known) <= FEW:
                self.few = tuple(self._ids.known)
                return []
        if self._ids is not None:
            ids = self._ids.kept(ids)
        ids = list(dict.fromkeys(ids))
        self._seen += len(rows)
        found: Found = []
        size = _LARGEST_CHUNK if wanted is None else _chunk(wanted)
        for start in range(0, len(ids), size):
            some = self.walks.evaluated(ids[start : start + size], self._asked)
            found += [one for one in some if self._begin is None or self._begin < sort_key(one[1], self._asked.keys)]
            if wanted is not None and len(found) >= wanted:
                break
        return found


class _Walk:
    """One way through candidates until a page is full; it may go on in another source with the same order."""

    def __init__(self, judge: _Judge, asked: Asked, *, is_judged: bool) -> None:
        self._judge = judge
        self._keys = asked.keys
        self._count = asked.count
        self._is_judged = is_judged
        self._found: dict[Any, Position] = {}
        self._last = None if asked.begin is None else self._row_of(asked.begin)
        self._size = min(asked.count, _LARGEST_CHUNK) if is_judged else _chunk(asked.count)

    def go(self, source: Source, *, chunks: int | None = None) -> bool:
        """Take candidates until the page is full or there are no more; say whether more have to be taken.

        Args:
            source: Where from.
            chunks: Stop after so many chunks.
        """
        taken = 0
        while chunks is None or taken < chunks:
            rows = source.rows(self._judge.walks.source, begin=None, last=self._last, limit=self._size)
            taken += 1
            if self._is_judged:
                self._found.update((row[0], self._position(row)) for row in rows)
            else:
                self._found.update(self._judge.judged(rows, self._count - len(self._found)))
            if len(rows) < self._size or len(self._found) >= self._count or self._judge.few is not None:
                return False
            self._last = rows[-1]
            self._size = min(4 * self._size, _LARGEST_CHUNK)
        return True

    def found(self) -> Found:
        """Return the page."""
        return sorted(self._found.items(), key=lambda one: sort_key(one[1], self._keys))[: self._count]

    def _position(self, row: Row) -> Position:
        values = {_START: row[2], _ID: row[0]}
        return place(row[1]), *((PRESENT, values[one.field]) for one in self._keys[1:])

    def _row_of(self, position: Position) -> Row:
        values = {one.field: value for one, (_, value) in zip(self._keys, position, strict=True)}
        return values[_ID], position[0][1], values.get(_START, 0)


def _chunk(count: int) -> int:
    return min(max(SMALLEST_CHUNK, 2 * count), _LARGEST_CHUNK)


def _is_exact(keys: Sequence[OrderBy]) -> bool:
    """Say whether sources give candidates in exactly this order: a key, and what decides ties."""
    rest = [(one.field, one.descending) for one in keys[1:]]
    ties = [(_START, True), (_ID, False)]
    return rest == ties or (keys[0].field == _START and rest == ties[1:]) or keys[0].field == _ID


def _under(first: Place, found: Found) -> Found:
    return [(name, (first, *position)) for name, position in found]


def _clauses(where: Filter | None) -> tuple[Filter, ...]:
    if where is None:
        return ()
    return where.clauses if isinstance(where, AllOf) else (where,)


def _parted(where: Filter | None) -> tuple[list[Filter], list[Filter]]:
    """Return the conditions that a record's own row answers, and the others."""
    own: list[Filter] = []
    other: list[Filter] = []
    for one in _clauses(where):
        parts = {field.part for field in fields_of(one)}
        (own if parts <= {"attribute"} else other).append(one)
    return own, other


def _is_nan(field: Field) -> Filter:
    return AllOf((Compare(field, "IS NOT NULL"), Not(Compare(field, "<=", _INFINITY))))
