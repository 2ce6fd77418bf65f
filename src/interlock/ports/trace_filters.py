"""Refuse searches for traces that make no sense, before any store tries them."""

from __future__ import annotations

import base64
import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from interlock.core.errors import InvalidInput, LimitExceeded, did_you_mean
from interlock.ports.checks import check_text
from interlock.ports.trace_search import (
    NUMBERS,
    TRACE_ATTRIBUTES,
    AllTraces,
    AnySpan,
    AnyTraces,
    SpanCompare,
    TraceCompare,
    TraceFilter,
    TraceNot,
    TraceOrder,
)

MOST_COMPARES = 200
DEEPEST = 32
ORDERINGS = ("<", "<=", ">", ">=")
_PATTERNS = ("LIKE", "ILIKE", "RLIKE")
_LISTS = ("IN", "NOT IN")
_NULLS = ("IS NULL", "IS NOT NULL")
_EQUALITIES = ("=", "!=")
_TEXT = (*_EQUALITIES, *_PATTERNS, *_LISTS)


def check_search(where: TraceFilter | None, order: Sequence[TraceOrder]) -> None:
    """Refuse a search that names what no trace has, compares it as it cannot be, or is endless.

    Raises:
        InvalidInput: A field or an operator is unknown, or a value of the wrong kind.
        LimitExceeded: There are too many conditions, or they nest too deeply.
    """
    if where is not None and _check(where, depth=0) > MOST_COMPARES:
        raise LimitExceeded("the filter is too long", why=f"expected up to {MOST_COMPARES} comparisons")
    seen: set[tuple[str, str]] = set()
    for one in order:
        if one.part not in ("attribute", "tag", "metadata"):
            raise InvalidInput(f"traces cannot be ordered by '{one.part}'", why="expected attribute, tag or metadata")
        if one.part == "attribute":
            _check_known(one.key)
        check_text(one.key, of="key of an order")
        if (one.part, one.key) in seen:
            raise InvalidInput(f"'{one.key}' is given twice in the order", why="each may be given once")
        seen.add((one.part, one.key))


def write_place(values: Sequence[Any]) -> str:
    """Return where a page ended: what its last trace is ordered by, None where it has nothing, its start, its id."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(values)).decode()


def read_place(after: str, order: Sequence[TraceOrder]) -> list[Any]:
    """Return what `write_place` was given.

    Raises:
        InvalidInput: It is nothing that it wrote, or was of another order.
    """
    try:
        values = msgspec.msgpack.decode(base64.urlsafe_b64decode(after), type=list[int | str | None])
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidInput("the place to go on from cannot be read", why=str(error)) from error
    kinds = [*(int if one.part == "attribute" and one.key in NUMBERS else str for one in order), int, str]
    fits = len(values) == len(kinds) and all(
        isinstance(value, kind) or (value is None and at < len(order))
        for at, (value, kind) in enumerate(zip(values, kinds, strict=True))
    )
    if not fits:
        raise InvalidInput("the place to go on from is of another search", why="its order is another")
    for value in values:
        if isinstance(value, str):
            check_text(value, of="place to go on from")
    return values


def patterns(where: TraceFilter | None) -> Iterator[str]:
    """Yield the regular expressions in a filter; whether they are any is for the engine that looks for them."""
    if isinstance(where, TraceNot):
        yield from patterns(where.clause)
    elif isinstance(where, (AllTraces, AnyTraces)):
        for clause in where.clauses:
            yield from patterns(clause)
    elif where is not None:
        for one in where.compares if isinstance(where, AnySpan) else (where,):
            if one.operator == "RLIKE":
                yield str(one.value)


def _check(where: TraceFilter, *, depth: int) -> int:
    """Check one condition and what is in it; return how many comparisons that were."""
    if depth > DEEPEST:
        raise LimitExceeded("the filter nests too deeply", why=f"expected up to {DEEPEST} levels")
    if isinstance(where, TraceNot):
        return _check(where.clause, depth=depth + 1)
    if isinstance(where, (AllTraces, AnyTraces)):
        return sum(_check(one, depth=depth + 1) for one in where.clauses)
    if isinstance(where, AnySpan):
        for compare in where.compares:
            _check_span(compare)
        return len(where.compares)
    _check_compare(where)
    return 1


def _check_compare(one: TraceCompare) -> None:
    if one.part == "attribute":
        _check_known(one.key)
        is_number = one.key in NUMBERS
        _check_operator(one, (*_EQUALITIES, *ORDERINGS, *_NULLS) if is_number else (*_TEXT, *_NULLS))
        if is_number and one.operator not in _NULLS:
            _check_number(one.value, of=one.key)
            return
    elif one.part in ("tag", "metadata"):
        _check_operator(one, (*_TEXT, *_NULLS))
    elif one.part in ("feedback", "expectation"):
        _check_operator(one, (*_EQUALITIES, *ORDERINGS, *_PATTERNS, *_NULLS))
        if one.operator in ORDERINGS or (one.operator in _EQUALITIES and not isinstance(one.value, str)):
            _check_number(one.value, of=f"{one.part} '{one.key}'")
            return
    elif one.part in ("issue", "link"):
        _check_operator(one, ("=",))
    else:
        raise InvalidInput(f"'{one.part}' is no part of a trace")
    check_text(one.key, of="key of a comparison")
    _check_text_value(one)


def _check_span(one: SpanCompare) -> None:
    if one.part not in ("name", "kind", "status", "attribute", "text"):
        raise InvalidInput(f"'{one.part}' is no part of a span")
    _check_operator(one, _PATTERNS if one.part == "text" else _TEXT)
    check_text(one.key, of="key of a comparison")
    _check_text_value(one)


def _check_operator(one: TraceCompare | SpanCompare, possible: Collection[str]) -> None:
    if one.operator not in possible:
        name = one.key or one.part
        raise InvalidInput(f"'{name}' cannot be compared by {one.operator}", why=f"expected {', '.join(possible)}")


def _check_text_value(one: TraceCompare | SpanCompare) -> None:
    name = one.key or one.part
    if one.operator in _NULLS:
        return
    if one.operator in _LISTS:
        if not isinstance(one.value, tuple) or not one.value or len(one.value) > 1000:
            raise InvalidInput(f"'{name}' {one.operator} wants a list", why="expected 1 to 1000 texts")
        for text in one.value:
            check_text(text, of=f"value that '{name}' is compared with")
        return
    if not isinstance(one.value, str):
        raise InvalidInput(f"'{name}' is compared with {one.value!r:.80}", why="expected text")
    check_text(one.value, of=f"value that '{name}' is compared with")
    if len(one.value) > 10_000 and one.operator in _PATTERNS:
        raise LimitExceeded(f"the pattern for '{name}' is too long", why="expected up to 10000 characters")


def _check_number(value: Any, *, of: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value) or abs(value) >= 2**63:
        raise InvalidInput(f"'{of}' is compared with {value!r:.80}", why="expected a number")


def _check_known(key: str) -> None:
    if key not in TRACE_ATTRIBUTES:
        raise InvalidInput(f"a trace has no '{key}'", why=did_you_mean(key, TRACE_ATTRIBUTES))
