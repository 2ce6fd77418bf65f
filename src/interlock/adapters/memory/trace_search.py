"""Find and order traces one by one: the meaning of a search, which faster ways are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from interlock.core.errors import InvalidInput
from interlock.core.plain import as_text
from interlock.ports.search_values import COMPARE
from interlock.ports.trace_filters import ORDERINGS, patterns
from interlock.ports.trace_rules import number_of, read_number, texts_of
from interlock.ports.trace_search import (
    NUMBERS,
    AllTraces,
    AnySpan,
    AnyTraces,
    SpanCompare,
    TraceCompare,
    TraceFilter,
    TraceNot,
    TraceOrder,
)
from interlock.ports.trace_store import SESSION, SOURCE_RUN, Assessment, RecordedTrace, Span


@dataclass
class Shelf:
    """All that a search looks at.

    Args:
        traces: The traces, without their assessments.
        spans: The spans of each, by id.
        links: What each is tied to.
        assessments: What was judged of each, by id.
    """

    traces: dict[str, RecordedTrace] = field(default_factory=dict)
    spans: dict[str, dict[str, Span]] = field(default_factory=dict)
    links: dict[str, set[str]] = field(default_factory=dict)
    assessments: dict[str, dict[str, Assessment]] = field(default_factory=dict)


def matches(shelf: Shelf, trace: RecordedTrace, where: TraceFilter | None) -> bool:
    """Say whether a trace is among those that a filter means."""
    if where is None:
        return True
    if isinstance(where, TraceNot):
        return not matches(shelf, trace, where.clause)
    if isinstance(where, AllTraces):
        return all(matches(shelf, trace, one) for one in where.clauses)
    if isinstance(where, AnyTraces):
        return any(matches(shelf, trace, one) for one in where.clauses)
    if isinstance(where, AnySpan):
        spans = shelf.spans.get(trace.id, {}).values()
        return any(all(_span_matches(span, one) for one in where.compares) for span in spans)
    return _compared(shelf, trace, where)


def sort_keys(trace: RecordedTrace, order: Sequence[TraceOrder]) -> list[Any]:
    """Return what a trace is ordered by, None where it has nothing; the last two are its start and its id."""
    return [*(_value(trace, one.part, one.key) for one in order), trace.start_ms, trace.id]


def precedes(left: Sequence[Any], right: Sequence[Any], order: Sequence[TraceOrder]) -> bool:
    """Say whether one trace comes before another, by what `sort_keys` gave; nothing comes last."""
    directions = [*(one.descending for one in order), True, False]
    for one, other, descending in zip(left, right, directions, strict=True):
        if one is None or other is None:
            if one is not other:
                return other is None
        elif one != other:
            return bool(one > other if descending else one < other)
    return False


def _compared(shelf: Shelf, trace: RecordedTrace, one: TraceCompare) -> bool:
    if one.part == "link":
        made_by = trace.metadata.get(SOURCE_RUN)
        return one.value in shelf.links.get(trace.id, ()) or one.value == f"run:{made_by}"
    if one.part == "issue":
        issues = shelf.assessments.get(trace.id, {}).values()
        return any(issue.kind == "issue" and issue.name == one.value for issue in issues)
    if one.part in ("feedback", "expectation"):
        judged = [a for a in _covering(shelf, trace) if (a.kind, a.name, a.valid) == (one.part, one.key, True)]
        if one.operator == "IS NULL":
            return not judged
        return any(one.operator == "IS NOT NULL" or _judged(a.value, one) for a in judged)
    value = _value(trace, one.part, one.key)
    if one.operator in ("IS NULL", "IS NOT NULL"):
        return (value is None) == (one.operator == "IS NULL")
    if value is None:
        return False
    if one.part == "attribute" and one.key in NUMBERS:
        return COMPARE[one.operator](value, one.value)
    return _text_matches(value, one.operator, one.value)


def _value(trace: RecordedTrace, part: str, key: str) -> Any:
    if part == "tag":
        return trace.tags.get(key)
    if part == "metadata":
        return trace.metadata.get(key)
    if key == "end_ms":
        return trace.start_ms + (trace.duration_ms or 0)
    return getattr(trace, key)


def _covering(shelf: Shelf, trace: RecordedTrace) -> Iterable[Assessment]:
    """Yield the assessments of a trace, and those of its session."""
    yield from shelf.assessments.get(trace.id, {}).values()
    session = trace.metadata.get(SESSION)
    if session is None:
        return
    for other, known in shelf.assessments.items():
        if other != trace.id and shelf.traces[other].experiment == trace.experiment:
            yield from (one for one in known.values() if one.metadata.get(SESSION) == session)


def _judged(value: Any, one: TraceCompare) -> bool:
    number = number_of(value)
    if one.operator in ORDERINGS:
        return number is not None and COMPARE[one.operator](number, one.value)
    text = as_text(value)
    if one.operator not in ("=", "!="):
        return _text_matches(text, one.operator, one.value)
    wanted = read_number(one.value) if isinstance(one.value, str) else one.value
    equal = text == one.value or (number is not None and wanted is not None and number == wanted)
    return equal == (one.operator == "=")


def _span_matches(span: Span, one: SpanCompare) -> bool:
    if one.part == "text":
        texts = [span.name, *(f"{key}: {value}" for key, value in texts_of(span).items())]
        return any(_text_matches(text, one.operator, one.value) for text in texts)
    value = texts_of(span).get(one.key) if one.part == "attribute" else getattr(span, one.part)
    return value is not None and _text_matches(value, one.operator, one.value)


def _text_matches(text: str, how: str, value: Any) -> bool:
    if how == "RLIKE":
        return _found(text, value)
    return COMPARE[how](text, value)


def check_patterns(where: TraceFilter | None) -> None:
    """Refuse a filter with a regular expression that is none."""
    for pattern in patterns(where):
        _found("", pattern)


def _found(text: str, pattern: str) -> bool:
    """Say whether a regular expression of RE2 is found; its time grows with the text alone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return bool(pc.match_substring_regex(pa.scalar(text, pa.large_string()), pattern=pattern).as_py())
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"'{pattern:.80}' is no regular expression", why=str(error)) from error
