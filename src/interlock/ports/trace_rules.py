"""What every trace store makes of spans, of what is said of a trace, and of judgements; and what it refuses."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

import msgspec

from interlock.core.clock import aware
from interlock.core.errors import Conflict, InvalidInput, NotFound, did_you_mean
from interlock.core.plain import as_text
from interlock.core.refs import Ref
from interlock.ports.checks import LONGEST_KEY, check_key, check_tags, check_text
from interlock.ports.journal import Edge
from interlock.ports.trace_store import (
    Assessment,
    AssessmentChange,
    AssessmentKind,
    RecordedTrace,
    Span,
    SpanBatch,
    SpanStatus,
    TraceChange,
    TraceStatus,
)

LONGEST_PREVIEW = 100_000
"""Characters in the preview of a request or an answer."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ONGOING = ("IN_PROGRESS", "STATE_UNSPECIFIED")
_MOST_NS = 2**63 - 1
_MOST_MS = 253_402_300_799_999

_encode = msgspec.msgpack.Encoder().encode
read_span = msgspec.msgpack.Decoder(Span).decode
"""Read what `span_bytes` wrote."""

Figures = Mapping[str, Mapping[str, int | float]]


class SpanFigures(msgspec.Struct, frozen=True):
    """What the sum over the spans of a trace needs of each."""

    id: str
    parent: str | None
    figures: Figures


def check_trace(trace: RecordedTrace) -> None:
    """Refuse a trace that cannot be kept."""
    check_id(trace.id, of="trace")
    _check_number(trace.experiment, of="id of an experiment", most=2**63 - 1)
    _check_number(trace.start_ms, of="start of a trace in milliseconds", most=_MOST_MS)
    if trace.duration_ms is not None:
        _check_number(trace.duration_ms, of="duration of a trace in milliseconds", most=_MOST_MS)
    if trace.status not in get_args(TraceStatus):
        raise InvalidInput(f"{trace.status!r:.80} is not a status of a trace", why=_one_of(TraceStatus))
    if trace.client_request is not None:
        check_key(trace.client_request, of="client's id of a request")
    for preview in (trace.request, trace.response):
        if preview is not None:
            _check_preview(preview)
    check_tags(trace.tags)
    check_tags(trace.metadata)
    for one in trace.assessments:
        check_assessment(one)
        if one.trace != trace.id:
            raise InvalidInput(f"assessment '{one.id}' is of another trace", why=f"{one.trace} is not {trace.id}")


def check_spans(batch: SpanBatch) -> None:
    """Refuse spans that cannot be kept."""
    check_id(batch.trace, of="trace")
    check_tags(batch.tags)
    check_tags(batch.metadata)
    for preview in (batch.request, batch.response):
        if preview is not None:
            _check_preview(preview)
    if not batch.spans:
        raise InvalidInput(f"no spans came for trace {batch.trace}", why="expected at least one")
    for span in batch.spans:
        _check_span(span)


def check_assessment(assessment: Assessment) -> None:
    """Refuse a judgement that cannot be kept."""
    check_id(assessment.id, of="assessment")
    check_id(assessment.trace, of="trace")
    check_key(assessment.name, of="name of an assessment")
    if assessment.kind not in get_args(AssessmentKind):
        raise InvalidInput(f"{assessment.kind!r:.80} is not a kind of assessment", why=_one_of(AssessmentKind))
    for text in (assessment.source_type, assessment.source_id, assessment.rationale, assessment.span):
        if text is not None:
            check_text(text, of="text in an assessment")
    check_tags(assessment.metadata)
    aware(assessment.created_at)
    aware(assessment.updated_at)


def check_id(text: str, *, of: str) -> str:
    """Return an id that comes from the caller, if it can be part of a path and of a Ref."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise InvalidInput(
            f"{text!r:.120} cannot be the id of a {of}",
            why="an id is 1 to 100 of A-Z a-z 0-9 . _ -, and begins with a letter or a digit",
        )
    return text


def recorded(before: RecordedTrace | None, given: RecordedTrace) -> RecordedTrace:
    """Return a trace as saying what it comes to leaves it, without its assessments."""
    plain = msgspec.structs.replace(given, assessments=())
    if before is None:
        return plain
    return msgspec.structs.replace(
        plain,
        request=before.request if given.request is None else given.request,
        response=before.response if given.response is None else given.response,
        metadata={**before.metadata, **given.metadata},
        tags={**before.tags, **given.tags},
    )


def begun(experiment: int, batch: SpanBatch) -> RecordedTrace:
    """Return the trace that some spans begin; what they say of it is for `grown`."""
    return RecordedTrace(batch.trace, experiment, min(span.start_ns for span in batch.spans) // 1_000_000)


def grown(
    before: RecordedTrace, batch: SpanBatch, *, final: bool, figures: Mapping[str, Mapping[str, int | float]]
) -> RecordedTrace:
    """Return a trace as more spans leave it.

    Args:
        before: The trace.
        batch: The spans, and what they say of it.
        final: Whether somebody said what the trace comes to.
        figures: What all its spans consumed, by the key of its metadata.
    """
    start_ms, duration_ms = before.start_ms, before.duration_ms
    if not final:
        ends = [span.end_ns // 1_000_000 for span in batch.spans if span.end_ns is not None]
        end_ms = max([*ends, *([before.start_ms + duration_ms] if duration_ms is not None else [])], default=None)
        start_ms = min(start_ms, min(span.start_ns for span in batch.spans) // 1_000_000)
        duration_ms = None if end_ms is None else max(end_ms - start_ms, 0)
    root = next((span for span in batch.spans if span.parent is None), None)
    status = before.status
    if root is not None and status in _ONGOING:
        status = "ERROR" if root.status == "ERROR" else "OK"
    summed = {key: as_text(dict(values)) for key, values in figures.items() if not (final and key in before.metadata)}
    return msgspec.structs.replace(
        before,
        start_ms=start_ms,
        duration_ms=duration_ms,
        status=status,
        request=batch.request if before.request is None else before.request,
        response=batch.response if before.response is None else before.response,
        metadata={**batch.metadata, **before.metadata, **summed},
        tags={**before.tags, **batch.tags},
    )


def summed(spans: Iterable[SpanFigures], keys: Iterable[str]) -> dict[str, dict[str, int | float]]:
    """Sum up what spans consumed, under some keys; a span's figures stand for all that is below it."""
    listed = list(spans)
    known = {span.id for span in listed}
    children: dict[str | None, list[SpanFigures]] = {}
    for span in listed:
        children.setdefault(span.parent if span.parent in known else None, []).append(span)
    totals: dict[str, dict[str, int | float]] = {}
    for key in keys:
        waiting = list(children.get(None, ()))
        while waiting:
            span = waiting.pop()
            figures = span.figures.get(key)
            if figures is None:
                waiting += children.get(span.id, ())
                continue
            total = totals.setdefault(key, {})
            for name, value in figures.items():
                total[name] = total.get(name, 0) + value
    return totals


def changed(before: RecordedTrace, change: TraceChange) -> RecordedTrace:
    """Return a trace as a change leaves it."""
    check_tags(change.tags)
    absent = [key for key in change.remove_tags if key not in before.tags]
    if absent:
        raise NotFound(f"trace {before.id} has no tag '{absent[0]}'", why=did_you_mean(absent[0], before.tags))
    kept = {key: value for key, value in before.tags.items() if key not in change.remove_tags}
    return msgspec.structs.replace(before, tags={**kept, **change.tags})


def reassessed(before: Assessment, change: AssessmentChange, *, at: datetime) -> Assessment:
    """Return a judgement as a change leaves it."""
    after = msgspec.structs.replace(
        before,
        name=before.name if change.name is None else change.name,
        value=before.value if change.value is None else change.value[0],
        fault=before.fault if change.value is None else change.fault,
        rationale=before.rationale if change.rationale is None else change.rationale,
        metadata={**before.metadata, **change.metadata},
        updated_at=aware(at),
    )
    check_assessment(after)
    return after


def in_order(spans: Iterable[Span]) -> list[Span]:
    """Return spans, the root first, then by start."""
    return sorted(spans, key=lambda span: (span.parent is not None, span.start_ns, span.id))


def span_bytes(span: Span) -> bytes:
    """Write a span; its attributes keep their order, which is that of a function's arguments.

    Raises:
        InvalidInput: An attribute is not plain.
    """
    try:
        return _encode(span)
    except (TypeError, OverflowError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidInput(f"span {span.id} cannot be kept", why=f"{error}; attributes are plain values") from error


def texts_of(span: Span) -> dict[str, str]:
    """Return the attributes of a span as text, which is what a search compares."""
    return {key: as_text(value) for key, value in span.attributes.items()}


def number_of(value: Any) -> float | None:
    """Return a judgement as the number that a search compares, if it is one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return None
    return float(value)


def read_number(text: str) -> float | None:
    """Return the number that a text reads as, if it does."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def link_edge(trace_id: str, ref: str) -> Edge:
    """Return the edge that ties a trace to a run or a model version.

    Raises:
        InvalidInput: The Ref is of something else, or the id can be no trace's.
    """
    check_id(trace_id, of="trace")
    kind = Ref.parse(ref).kind
    if kind == "run":
        return Edge(f"trace:{trace_id}", ref, "linked_to")
    if kind == "model":
        return Edge(ref, f"trace:{trace_id}", "used_in")
    raise InvalidInput(f"a trace cannot be tied to '{ref}'", why="expected a run or a model version")


def unknown_trace(trace_id: str) -> NotFound:
    """Build the error for an id that names no trace."""
    return NotFound(f"there is no trace '{trace_id}'")


def unknown_assessment(trace_id: str, assessment_id: str) -> NotFound:
    """Build the error for an id that names no assessment of a trace."""
    return NotFound(f"trace '{trace_id}' has no assessment '{assessment_id}'")


def assessment_taken(assessment: Assessment) -> Conflict:
    """Build the error for an id that is in use."""
    return Conflict(f"trace '{assessment.trace}' has an assessment '{assessment.id}'", why="an id is used once")


def told(assessment: Assessment) -> dict[str, str]:
    """Return what the events of an assessment tell of it."""
    return {"assessment": assessment.id, "name": assessment.name, "kind": assessment.kind}


def unique(ids: Sequence[str]) -> list[str]:
    """Return ids in their order, each once."""
    return list(dict.fromkeys(ids))


def _check_span(span: Span) -> None:
    check_id(span.id, of="span")
    if span.parent is not None:
        check_id(span.parent, of="span")
    check_text(span.name, of="name of a span")
    check_text(span.kind, of="kind of a span")
    check_text(span.message, of="status message of a span")
    _check_number(span.start_ns, of="start of a span in nanoseconds", most=_MOST_NS)
    if span.end_ns is not None:
        _check_number(span.end_ns, of="end of a span in nanoseconds", most=_MOST_NS)
    if span.status not in get_args(SpanStatus):
        raise InvalidInput(f"{span.status!r:.80} is not a status of a span", why=_one_of(SpanStatus))
    for key in span.attributes:
        if not isinstance(key, str) or len(key) > LONGEST_KEY:
            raise InvalidInput(f"{key!r:.80} cannot be an attribute", why=f"expected up to {LONGEST_KEY} characters")
    _check_characters([span.attributes, [(one.name, one.attributes) for one in span.events]])
    for values in span.figures.values():
        for value in values.values():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise InvalidInput(f"{value!r:.80} is no figure", why="expected a finite number")


def _check_characters(value: Any) -> None:
    """Refuse text, at any depth, that not every database keeps."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if "\0" in one or not one.isascii() and any("\ud800" <= char <= "\udfff" for char in one):
                raise InvalidInput(f"{one!r:.80} cannot be kept", why="it holds a NUL or half a surrogate pair")
        elif isinstance(one, Mapping):
            waiting += one.keys()
            waiting += one.values()
        elif isinstance(one, (list, tuple)):
            waiting += one


def _check_number(value: int, *, of: str, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise InvalidInput(f"{value!r:.80} cannot be the {of}", why=f"expected a whole number from 0 to {most}")


def _check_preview(text: str) -> None:
    if len(text) > LONGEST_PREVIEW:
        raise InvalidInput(f"{text!r:.80} is too long a preview", why=f"expected up to {LONGEST_PREVIEW} characters")
    check_text(text, of="preview")


def _one_of(kind: Any) -> str:
    return f"expected one of {', '.join(get_args(kind))}"
