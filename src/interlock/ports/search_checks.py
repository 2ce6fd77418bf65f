"""Refuse filters and orders that make no sense for what they are to search, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from interlock.core.errors import InvalidInput, LimitExceeded, did_you_mean
from interlock.ports.checks import check_text
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Not, Operator, OrderBy, Statistic
from interlock.ports.search_fields import Kind, Searchable

DEEPEST = 64
"""How deep conditions may be nested."""

MOST_COMPARISONS = 500
MOST_CHOICES = 10_000
MOST_ORDER_KEYS = 16
LONGEST_PATTERN = 10_000
"""Characters in what `LIKE` compares with."""

_NULLS = ("IS NULL", "IS NOT NULL")
_LISTS = ("IN", "NOT IN")
_LIKES = ("LIKE", "ILIKE")
_DATASET_KEYS = ("name", "digest", "context")
_MOST_INTEGER = 2**63


def checked_filter(where: Filter | None, of: Searchable) -> Filter | None:
    """Return a filter in its plainest form, if those records can be searched by it.

    Only comparisons are negated in that form, no `AllOf` holds another, no `AnyOf` another, and both hold none or
    several clauses, the deepest first.

    Raises:
        InvalidInput: It names what the records do not have, or compares by what does not fit.
        LimitExceeded: It is larger or deeper than allowed.
    """
    if where is None:
        return None
    compares = _count(where, 0)
    if compares > MOST_COMPARISONS:
        raise LimitExceeded(
            f"a filter with {compares} comparisons cannot be searched by",
            why=f"it may have {MOST_COMPARISONS}",
            fix="use IN ('a', 'b', …) where one thing is compared with many",
        )
    return _plain(_checked(where, of), negated=False)


def full_order(order: Sequence[OrderBy], of: Searchable) -> tuple[OrderBy, ...]:
    """Return an order without repeats that leaves no choice, if those records can be ordered by it.

    Raises:
        InvalidInput: It names what the records do not have.
        LimitExceeded: It has more keys than allowed.
    """
    if len(order) > MOST_ORDER_KEYS:
        raise LimitExceeded(f"nothing can be ordered by {len(order)} keys", why=f"expected up to {MOST_ORDER_KEYS}")
    found: dict[Field, OrderBy] = {}
    for one in (*order, *of.ties):
        if one.field.part == "dataset":
            raise InvalidInput(f"{of.what} cannot be ordered by a dataset", why="they may have several")
        kind_of(one.field, of)
        found.setdefault(one.field, one)
    last = of.ties[-1].field
    keys = list(found)
    return tuple(found[key] for key in keys[: keys.index(last) + 1])


def kind_of(field: Field, of: Searchable) -> Kind:
    """Return what a field holds; a metric is a number.

    Raises:
        InvalidInput: The records do not have it.
    """
    if field.part != "attribute":
        if field.part not in of.parts:
            raise InvalidInput(f"{of.what} have no {field.part}s", why=f"they have {', '.join(_words(of))}")
        if (field.dataset or field.digest) and not of.on_datasets:
            raise InvalidInput(f"the {field.part}s of {of.what} are on no dataset", why=f"got '{field.dataset:.80}'")
        check_text(field.key, of=f"key of a {field.part}")
        if field.part == "dataset" and field.key not in _DATASET_KEYS:
            raise InvalidInput(f"datasets have no '{field.key}'", why=did_you_mean(field.key, _DATASET_KEYS))
        if field.statistic not in get_args(Statistic):
            raise InvalidInput(f"'{field.statistic}' is no statistic", why=f"expected one of {get_args(Statistic)}")
        return "number" if field.part == "metric" else "text"
    kinds = of.kinds()
    if field.key not in kinds:
        raise InvalidInput(f"{of.what} have no attribute '{field.key}'", why=did_you_mean(field.key, kinds))
    return kinds[field.key]


def fields_of(where: Filter | None) -> set[Field]:
    """Return everything that a filter looks at."""
    if isinstance(where, Compare):
        return {where.field}
    if isinstance(where, Not):
        return fields_of(where.clause)
    return set().union(*map(fields_of, where.clauses)) if where is not None else set()


def _words(of: Searchable) -> list[str]:
    return ["attributes", *(f"{part}s" for part in of.parts)]


def _count(where: Filter, depth: int) -> int:
    if depth > DEEPEST:
        raise LimitExceeded("a filter is nested too deeply", why=f"it may be {DEEPEST} conditions deep")
    if isinstance(where, Compare):
        return 1
    if isinstance(where, Not):
        return _count(where.clause, depth + 1)
    return sum(_count(one, depth + 1) for one in where.clauses)


def _plain(where: Filter, *, negated: bool) -> Filter:
    if isinstance(where, Not):
        return _plain(where.clause, negated=not negated)
    if isinstance(where, Compare):
        return Not(where) if negated else where
    kind = AllOf if isinstance(where, AllOf) != negated else AnyOf
    found: list[Filter] = []
    for one in where.clauses:
        inner = _plain(one, negated=negated)
        found += inner.clauses if isinstance(inner, kind) else (inner,)
    found.sort(key=_height, reverse=True)
    return found[0] if len(found) == 1 else kind(tuple(found))


def _height(where: Filter) -> int:
    return 1 + max(map(_height, where.clauses), default=0) if isinstance(where, (AllOf, AnyOf)) else 0


def _checked(where: Filter, of: Searchable) -> Filter:
    if isinstance(where, Not):
        return Not(_checked(where.clause, of))
    if isinstance(where, (AllOf, AnyOf)):
        return type(where)(tuple(_checked(one, of) for one in where.clauses))
    kind = kind_of(where.field, of)
    if where.operator not in get_args(Operator):
        raise InvalidInput(f"'{where.operator}' compares nothing", why=did_you_mean(where.operator, get_args(Operator)))
    if where.operator in _NULLS:
        if where.value is not None:
            raise _unfit(where, "nothing")
        return where
    value = _texts(where) if kind == "text" else _numbers(where, kind)
    return msgspec.structs.replace(where, value=value)


def _texts(where: Compare) -> str | tuple[str, ...]:
    value = where.value
    if where.operator in _LISTS:
        if not isinstance(value, (tuple, list)) or not all(isinstance(one, str) for one in value):
            raise _unfit(where, "a tuple of texts")
        _check_choices(value)
        return tuple(check_text(one, of="value of a filter") for one in value)
    if not isinstance(value, str):
        raise _unfit(where, "text")
    if where.operator in _LIKES and len(value) > LONGEST_PATTERN:
        raise LimitExceeded(f"a pattern of {len(value)} characters is too long", why=f"it may have {LONGEST_PATTERN:,}")
    return check_text(value, of="value of a filter")


def _numbers(where: Compare, kind: Kind) -> Any:
    value = where.value
    if where.field.part == "metric":
        if where.operator in (*_LISTS, *_LIKES) or not isinstance(value, (int, float)) or isinstance(value, bool):
            raise _unfit(where, "a number, and one of = != < <= > >=")
        return _as_float(value)
    if where.operator in _LISTS and kind == "number":
        if not isinstance(value, (tuple, list)):
            raise _unfit(where, "a tuple of whole numbers")
        _check_choices(value)
        return tuple(_integer(where, one) for one in value)
    if where.operator in (*_LISTS, *_LIKES):
        raise _unfit(where, "a number, and one of = != < <= > >=")
    if isinstance(value, str) and kind == "number":
        return _integer(where, value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _unfit(where, "a number")
    return value if isinstance(value, int) and abs(value) < _MOST_INTEGER else _as_float(value)


def _check_choices(value: Sequence[Any]) -> None:
    if not 1 <= len(value) <= MOST_CHOICES:
        raise InvalidInput(f"IN cannot choose from {len(value)} values", why=f"expected 1 to {MOST_CHOICES:,}")


def _integer(where: Compare, value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 18):
        raise _unfit(where, "whole numbers")
    return int(text)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _unfit(where: Compare, expected: str) -> InvalidInput:
    field = where.field
    name = field.key if field.part == "attribute" else f"{field.part}s.{field.key}"
    return InvalidInput(
        f"{name} {where.operator} {where.value!r:.80} compares what does not fit", why=f"expected {expected}"
    )
