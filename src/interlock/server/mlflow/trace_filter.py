"""Read searches for traces as MLflow's clients write them: `status = 'OK' AND span.name LIKE 'ask%'`.

Source: MLflow's `search_traces`; beyond it `OR`, `NOT` and parentheses, and numbers for judgements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from interlock.core.errors import InvalidInput
from interlock.core.refs import NAME_PATTERN, ref_of
from interlock.ports.search_text import TextReader
from interlock.ports.trace_filters import DEEPEST, ORDERINGS
from interlock.ports.trace_search import (
    NUMBERS,
    AllTraces,
    AnySpan,
    AnyTraces,
    Operator,
    SpanCompare,
    TraceCompare,
    TraceFilter,
    TraceNot,
    TraceOrder,
)
from interlock.ports.trace_store import SOURCE_RUN
from interlock.server.mlflow.wire import Failure, invalid

LONGEST_FILTER = 65_536
NAME_TAG = "mlflow.traceName"

_ATTRIBUTES = {
    "request_id": "id",
    "trace_id": "id",
    "timestamp": "start_ms",
    "timestamp_ms": "start_ms",
    "execution_time": "duration_ms",
    "execution_time_ms": "duration_ms",
    "end_time": "end_ms",
    "end_time_ms": "end_ms",
    "status": "status",
    "client_request_id": "client_request",
}
_SPECIAL = ("name", "run_id", "prompt", "text")
_ORDERED = {**_ATTRIBUTES, "experiment_id": "experiment"}
_ENTITIES = {
    "attribute": "attribute",
    "attributes": "attribute",
    "trace": "attribute",
    "tag": "tag",
    "tags": "tag",
    "metadata": "metadata",
    "request_metadata": "metadata",
    "span": "span",
    "feedback": "feedback",
    "expectation": "expectation",
    "issue": "issue",
}
_SPAN_PARTS = {"name": "name", "type": "kind", "status": "status", "content": "text"}
_SPAN_ATTRIBUTE = "attributes."
_PATTERNS: tuple[Literal["LIKE", "ILIKE", "RLIKE"], ...] = ("LIKE", "ILIKE", "RLIKE")
_STRINGS = ("=", "!=", "IN", "NOT IN", *_PATTERNS)
_HELD = ("=", "!=", *_PATTERNS, "IN", "NOT IN", "IS NULL", "IS NOT NULL")
_COMPARED: dict[str, tuple[str, ...]] = {
    "tag": _HELD,
    "metadata": _HELD,
    "feedback": ("=", "!=", *ORDERINGS, *_PATTERNS, "IS NULL", "IS NOT NULL"),
    "expectation": ("=", "!=", *ORDERINGS, *_PATTERNS, "IS NULL", "IS NOT NULL"),
    "issue": ("=",),
    "prompt": ("=",),
    "text": _PATTERNS,
    "string": (*_STRINGS, "IS NULL", "IS NOT NULL"),
    "number": ("=", "!=", *ORDERINGS, "IS NULL", "IS NOT NULL"),
    "span": _STRINGS,
}
_WORDS = ("AND", "OR", "NOT", "LIKE", "ILIKE", "RLIKE", "IN", "IS", "NULL")
_WORDED: tuple[Operator, ...] = (*_PATTERNS, "IN")
_SIGNS: tuple[Literal["<=", ">=", "!=", "<>", "=", "<", ">"], ...] = ("<=", ">=", "!=", "<>", "=", "<", ">")
_NAME = re.compile(r"(?:[\w-]+|`[^`]*`)(?:\.(?:[\w/:-]+|`[^`]*`|\"[^\"]*\"|'[^']*'))*")
_PIECE = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^']*'|[^.]+")
_ORDER = re.compile(r"\s*(.+?)(?:\s+(asc|desc))?\s*", re.IGNORECASE | re.DOTALL)


def parse_filter(text: str | None) -> TraceFilter | None:
    """Read a filter; an empty one is None."""
    if not text:
        return None
    if len(text) > LONGEST_FILTER:
        raise invalid(f"A filter of {len(text)} characters cannot be read; it may have {LONGEST_FILTER}.")
    if not text.strip():
        raise invalid(f"Invalid filter '{text}'. Could not be parsed.")
    try:
        return _Reader(text).whole()
    except InvalidInput as error:
        raise invalid(f"{error.what} ({error.why})") from error


def parse_order(clauses: Sequence[str]) -> tuple[TraceOrder, ...]:
    """Read the keys of an order, such as `timestamp_ms DESC`."""
    found = []
    for clause in clauses:
        parts = _ORDER.fullmatch(clause[:1000])
        names = _pieces(parts[1]) if parts else None
        if parts is None or not names:
            raise invalid(f"Invalid order_by clause '{clause[:80]}'. Could not be parsed.")
        found.append(_order(names, descending=(parts[2] or "").lower() == "desc"))
    keys = [(one.part, one.key) for one in found]
    if len(set(keys)) < len(keys):
        raise invalid(f"`order_by` contains duplicate fields: {[clause[:80] for clause in clauses]}")
    return tuple(found)


class _Reader:
    """Reads one filter from left to right."""

    def __init__(self, text: str) -> None:
        self._text = TextReader(text, "filter string")

    def whole(self) -> TraceFilter:
        """Return all of it."""
        where = self._alternatives(0)
        self._text.end()
        return where

    def _alternatives(self, depth: int) -> TraceFilter:
        clauses = [self._conjunction(depth)]
        while self._text.take_word("OR"):
            clauses.append(self._conjunction(depth))
        return clauses[0] if len(clauses) == 1 else AnyTraces(tuple(clauses))

    def _conjunction(self, depth: int) -> TraceFilter:
        clauses = [self._condition(depth)]
        while self._text.take_word("AND"):
            clauses.append(self._condition(depth))
        # what is asked of spans in one breath is asked of one span
        spans = [one for clause in clauses if isinstance(clause, AnySpan) for one in clause.compares]
        rest = [clause for clause in clauses if not isinstance(clause, AnySpan)]
        joined = [*rest, AnySpan(tuple(spans))] if spans else rest
        return joined[0] if len(joined) == 1 else AllTraces(tuple(joined))

    def _condition(self, depth: int) -> TraceFilter:
        if depth >= DEEPEST:
            raise invalid(f"The filter is nested too deeply; {DEEPEST} levels are taken.")
        if self._text.take_word("NOT"):
            return TraceNot(self._condition(depth + 1))
        if self._text.take("("):
            inner = self._alternatives(depth + 1)
            if not self._text.take(")"):
                self._text.fail("AND, OR or ')'")
            return inner
        return self._comparison()

    def _comparison(self) -> TraceFilter:
        names = self._names()
        self._text.skip()
        operator = self._operator()
        value = None if operator in ("IS NULL", "IS NOT NULL") else self._value(operator)
        return _compare(names, operator, value)

    def _names(self) -> list[str]:
        # MLflow takes a quoted name too
        quoted = self._text.quoted("'\"")
        if quoted is not None:
            return [quoted]
        name = None if self._text.peek_word() in _WORDS else self._text.match(_NAME)
        if name is None:
            self._text.fail("the name of something")
        return _pieces(name)

    def _operator(self) -> Operator:
        for sign in _SIGNS:
            if self._text.take(sign):
                return "!=" if sign == "<>" else sign
        for word in _WORDED:
            if self._text.take_word(word):
                return word
        if self._text.take_word("NOT"):
            if self._text.take_word("IN"):
                return "NOT IN"
            self._text.fail("IN")
        if self._text.take_word("IS"):
            negative = self._text.take_word("NOT")
            if self._text.take_word("NULL"):
                return "IS NOT NULL" if negative else "IS NULL"
            self._text.fail("NULL")
        return self._text.fail("a comparison")

    def _value(self, operator: Operator) -> str | int | float | tuple[str, ...]:
        if operator in ("IN", "NOT IN"):
            return self._list()
        text = self._text.quoted("'\"")
        if text is not None:
            self._text.skip()
            return text
        number = self._text.number_ahead()
        if number is not None:
            self._text.take(number)
            return _number(number)
        raise invalid(
            "Expected a quoted string value or a number. Parameter value is either not quoted or unidentified quote"
            f" types used for string value {self._text.shown()}. Use either single or double quotes."
        )

    def _list(self) -> tuple[str, ...]:
        if not self._text.take("("):
            self._text.fail("'('")
        found = []
        while True:
            text = self._text.quoted("'\"")
            if text is None:
                raise invalid(
                    "While parsing a list in the query, expected a non-empty list of string values, but got"
                    f" {self._text.shown()}."
                )
            found.append(text)
            self._text.skip()
            if self._text.take(")"):
                return tuple(found)
            if not self._text.take(","):
                self._text.fail("',' or ')'")


def _pieces(name: str) -> list[str]:
    """Return the parts of a dotted name; what stands in quotes is one part."""
    return [piece[1:-1] if piece[0] in "`\"'" else piece for piece in _PIECE.findall(name)]


def _compare(names: Sequence[str], operator: Operator, value: Any) -> TraceFilter:
    entity, key = _entity_and_key(names)
    if entity == "span":
        return _span(key, operator, value)
    if entity == "attribute":
        return _attribute(key, operator, value)
    if not key:
        raise invalid(f"Invalid {entity} key: it is empty")
    _check(operator, entity)
    if entity == "issue":
        if key != "id":
            raise invalid(f"Invalid issue attribute '{key}'. Supported attributes: id")
        return TraceCompare("issue", "", operator, _text(value, entity))
    if entity in ("feedback", "expectation"):
        value = _judged(entity, operator, value)
    elif operator not in ("IS NULL", "IS NOT NULL", "IN", "NOT IN"):
        value = _text(value, entity)
    return TraceCompare(entity, key, operator, value)  # type: ignore[arg-type]


def _entity_and_key(names: Sequence[str]) -> tuple[str, str]:
    if len(names) == 1:
        return "attribute", names[0]
    entity = _ENTITIES.get(names[0])
    if entity is None:
        raise invalid(f"Invalid entity type '{names[0]}'. Valid values are {', '.join(_ENTITIES)}")
    return entity, ".".join(names[1:])


def _attribute(key: str, operator: Operator, value: Any) -> TraceFilter:
    if key == "name":
        return _compare(("tag", NAME_TAG), operator, value)
    if key == "text":
        return _span("content", operator, value)
    if key == "prompt":
        _check(operator, "prompt")
        return TraceCompare("link", "", "=", _prompt(_text(value, "prompt")))
    if key == "run_id":
        if operator != "=":
            return _compare(("metadata", SOURCE_RUN), operator, value)
        return TraceCompare("link", "", "=", ref_of("run", _text(value, "attributes")))
    name = _ATTRIBUTES.get(key)
    if name is None:
        raise _unknown(key, [*_ATTRIBUTES, *_SPECIAL])
    _check(operator, "number" if name in NUMBERS else "string")
    if operator in ("IS NULL", "IS NOT NULL"):
        return TraceCompare("attribute", name, operator)
    if name in NUMBERS:
        return TraceCompare("attribute", name, operator, _numeric(value, lambda: f"attribute '{key}'"))
    return TraceCompare("attribute", name, operator, value if isinstance(value, tuple) else _text(value, "attributes"))


def _span(key: str, operator: Operator, value: Any) -> TraceFilter:
    part = _SPAN_PARTS.get(key)
    name = ""
    if part is None:
        if not key.startswith(_SPAN_ATTRIBUTE):
            known = ", ".join(sorted(_SPAN_PARTS))
            raise invalid(
                f"Invalid span attribute '{key}'. Supported attributes: {known}, attributes.<attribute_name>."
            )
        part, name = "attribute", key.removeprefix(_SPAN_ATTRIBUTE)
        if not name:
            raise invalid("Span attribute name cannot be empty after 'attributes.'")
    _check(operator, "text" if part == "text" else "span")
    wanted = value if isinstance(value, tuple) else _text(value, "span")
    return AnySpan((SpanCompare(part, operator, wanted, key=name),))  # type: ignore[arg-type]


def _prompt(text: str) -> str:
    name, slash, version = text.rpartition("/")
    if not slash or "/" in name or not name or not NAME_PATTERN.fullmatch(version):
        raise invalid(f"Invalid prompts filter value '{text[:80]}'. Expected format: prompt = \"name/version\"")
    return f"{ref_of('model', name)}@{version}"


def _judged(entity: str, operator: Operator, value: Any) -> Any:
    if operator in ORDERINGS:
        return _numeric(value, lambda: f"{entity} when using comparator '{operator}'")
    return value if value is None or operator in ("=", "!=") else _text(value, entity)


def _order(names: Sequence[str], *, descending: bool) -> TraceOrder:
    entity, key = _entity_and_key(names)
    if entity == "attribute" and key in ("name", "run_id"):
        entity, key = ("tag", NAME_TAG) if key == "name" else ("metadata", SOURCE_RUN)
    if entity in ("tag", "metadata"):
        return TraceOrder("tag" if entity == "tag" else "metadata", key, descending)
    if entity != "attribute":
        raise invalid(f"Invalid identifier type '{entity}'")
    if key not in _ORDERED:
        raise _unknown(key, [*_ORDERED, "name", "run_id"])
    return TraceOrder("attribute", _ORDERED[key], descending)


def _check(operator: Operator, entity: str) -> None:
    if operator not in _COMPARED[entity]:
        raise invalid(f"Invalid comparator '{operator}' not one of {', '.join(_COMPARED[entity])}")


def _text(value: Any, entity: str) -> str:
    if not isinstance(value, str):
        raise invalid(f"Expected a quoted string value for {entity} (e.g. 'my-value'). Got value {value}")
    return value


def _numeric(value: Any, of: Callable[[], str]) -> int | float:
    if isinstance(value, (int, float)):
        return value
    try:
        return _number(value)
    except (ValueError, TypeError):
        raise invalid(f"Expected a numeric value for {of()}. Got value '{str(value)[:80]}'") from None


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _unknown(key: str, known: Sequence[str]) -> Failure:
    return invalid(f"Invalid attribute key '{key[:80]}' specified. Valid keys are {', '.join(known)}")
