"""Say what can be counted and measured of traces, spans and judgements, and read it off them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from interlock.ports.trace_store import Assessment, RecordedTrace, Span
from interlock.server.mlflow.span_conventions import COST, MODEL, PROVIDER, TRACE_COST, TRACE_USAGE
from interlock.server.mlflow.trace_filter import NAME_TAG

SESSION = "mlflow.trace.session"
_LARGEST = 1e300
_COUNT = ("COUNT",)
_MEASURE = ("AVG", "MIN", "MAX", "PERCENTILE")
_SUM = ("SUM", *_MEASURE)
_TOKENS = ("input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_COSTS = ("input_cost", "output_cost", "total_cost")


class Sample(msgspec.Struct, frozen=True):
    """One thing that a figure is drawn from: a trace, or a span or a judgement of it."""

    trace: RecordedTrace
    span: Span | None = None
    judgement: Assessment | None = None

    @property
    def start_ms(self) -> int:
        """When it began; a judgement counts from when its trace began."""
        return self.trace.start_ms if self.span is None else self.span.start_ns // 1_000_000


class Figure(msgspec.Struct, frozen=True):
    """One thing that can be measured.

    Args:
        aggregations: How its values may be put together.
        dimensions: By what they may be told apart.
        read: The value of one sample; None where it has none.
    """

    aggregations: tuple[str, ...]
    dimensions: tuple[str, ...]
    read: Callable[[Sample], float | str | None]


def _figure_in(key: str, name: str) -> Callable[[Sample], float | None]:
    def read(sample: Sample) -> float | None:
        text = sample.trace.metadata.get(key)
        try:
            figures = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            return None
        return _number(figures.get(name)) if isinstance(figures, dict) else None

    return read


def _cost_of_span(name: str) -> Callable[[Sample], float | None]:
    def read(sample: Sample) -> float | None:
        assert sample.span is not None
        figures = sample.span.figures.get(TRACE_COST) or sample.span.attributes.get(COST)
        return _number(figures.get(name)) if isinstance(figures, Mapping) else None

    return read


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        return None
    return float(value)


def _latency_of_span(sample: Sample) -> float | None:
    span = sample.span
    assert span is not None
    return None if span.end_ns is None else float((span.end_ns - span.start_ns) // 1_000_000)


def _judged(sample: Sample) -> float | None:
    """Return a judgement as a number: yes and no are 1 and 0."""
    assert sample.judgement is not None
    value = sample.judgement.value
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        return {"yes": 1.0, "no": 0.0}.get(value.strip().lower())
    return _number(value)


def _judgement_id(sample: Sample) -> str | None:
    return sample.judgement.id if sample.judgement else None


FIGURES: dict[str, dict[str, Figure]] = {
    "TRACES": {
        "trace_count": Figure(_COUNT, ("trace_name", "trace_status"), lambda one: one.trace.id),
        "session_count": Figure(_COUNT, (), lambda one: one.trace.metadata.get(SESSION)),
        "latency": Figure(_MEASURE, ("trace_name",), lambda one: one.trace.duration_ms),
        **{name: Figure(_SUM, ("trace_name",), _figure_in(TRACE_USAGE, name)) for name in _TOKENS},
    },
    "SPANS": {
        "span_count": Figure(
            _COUNT,
            ("span_name", "span_type", "span_status", "span_model_name", "span_model_provider"),
            lambda one: one.span.id if one.span else None,
        ),
        "latency": Figure(_MEASURE, ("span_name", "span_status"), _latency_of_span),
        **{name: Figure(_SUM, ("span_model_name", "span_model_provider"), _cost_of_span(name)) for name in _COSTS},
    },
    "ASSESSMENTS": {
        "assessment_count": Figure(_COUNT, ("assessment_name", "assessment_value"), _judgement_id),
        "assessment_value": Figure(_MEASURE, ("assessment_name",), _judged),
    },
}
"""What can be measured, by what is looked at and by name."""


def samples_of(trace: RecordedTrace, spans: list[Span], *, view: str) -> Iterator[Sample]:
    """Yield what is looked at of one trace; of judgements only those that nothing has replaced."""
    if view == "TRACES":
        yield Sample(trace)
    elif view == "SPANS":
        yield from (Sample(trace, span=one) for one in spans)
    else:
        yield from (Sample(trace, judgement=one) for one in trace.assessments if one.valid)


def dimension_of(sample: Sample, dimension: str) -> str | None:
    """Return under which value of a dimension a sample falls, None where it has none."""
    trace, span, judgement = sample.trace, sample.span, sample.judgement
    if dimension == "trace_name":
        return trace.tags.get(NAME_TAG)
    if dimension == "trace_status":
        return trace.status
    if span is not None:
        found = {
            "span_name": span.name,
            "span_type": kind_of(span),
            "span_status": span.status,
            "span_model_name": span.attributes.get(MODEL),
            "span_model_provider": span.attributes.get(PROVIDER),
        }[dimension]
        return found if isinstance(found, str) else None
    assert judgement is not None
    return judgement.name if dimension == "assessment_name" else json.dumps(judgement.value)


def meets(sample: Sample, entity: str, value: str) -> bool:
    """Say whether a span or a judgement is what a filter means (`span.name`, `assessment.type`)."""
    span, judgement = sample.span, sample.judgement
    if span is not None:
        return {"span.name": span.name, "span.status": span.status, "span.type": kind_of(span)}[entity] == value
    assert judgement is not None
    return {"assessment.name": judgement.name, "assessment.type": judgement.kind}[entity] == value


def kind_of(span: Span) -> str:
    """Return what kind of work a span was, in MLflow's words."""
    return span.kind or "UNKNOWN"
