"""Write traces and assessments as MLflow shows them, and read them as its clients send them.

Source: MLflow's `TraceInfoV3` and `Assessment` messages, as JSON: times in RFC 3339, durations in seconds (`0.184s`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import uuid4

import msgspec

from interlock.core.clock import EPOCH, from_micros
from interlock.core.errors import NotFound
from interlock.ports.trace_store import Assessment, AssessmentKind, Fault, RecordedTrace, TraceStatus
from interlock.server.mlflow.wire import Ground, invalid, required

SPANS_LOCATION = "mlflow.trace.spansLocation"
"""The tag that says where the spans of a trace are; clients upload a file of them unless it says `TRACKING_STORE`."""
STORED_HERE = "TRACKING_STORE"
ARTIFACT_LOCATION = "mlflow.artifactLocation"
LONGEST_KEY = 250
LONGEST_VALUE = 8000
LONGEST_PREVIEW = 10_000
_STATES: tuple[TraceStatus, ...] = ("STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS")
_SOURCES = ("SOURCE_TYPE_UNSPECIFIED", "HUMAN", "LLM_JUDGE", "CODE")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)s")
_JSON_FORMAT = "JSON_FORMAT"


class ExperimentPlace(msgspec.Struct, omit_defaults=True):
    """An experiment, as the place of a trace."""

    experiment_id: str = ""


class Location(msgspec.Struct, omit_defaults=True):
    """Where a trace is."""

    type: str | int = ""
    mlflow_experiment: ExperimentPlace | None = None


class Source(msgspec.Struct):
    """Who judged."""

    source_type: str | int = "SOURCE_TYPE_UNSPECIFIED"
    source_id: str = ""


class ErrorRecord(msgspec.Struct, omit_defaults=True):
    """Why there is no feedback."""

    error_code: str = ""
    error_message: str = ""
    stack_trace: str = ""


class FeedbackRecord(msgspec.Struct, omit_defaults=True):
    """A judgement of what happened; its value may be null, and is then written so."""

    value: Any = msgspec.UNSET
    error: ErrorRecord | None = None


class Serialized(msgspec.Struct):
    """A value that protobuf's JSON has no message for, as JSON in a string."""

    serialization_format: str = ""
    value: str = ""


class ExpectationRecord(msgspec.Struct, omit_defaults=True):
    """A judgement of what should have happened."""

    value: Any = msgspec.UNSET
    serialized_value: Serialized | None = None


class IssueRecord(msgspec.Struct):
    """A known issue that a trace is a case of."""

    issue_name: str = ""


class AssessmentRecord(msgspec.Struct, omit_defaults=True):
    """One assessment."""

    assessment_id: str = ""
    assessment_name: str = ""
    trace_id: str = ""
    span_id: str = ""
    source: Source | None = None
    create_time: str = ""
    last_update_time: str = ""
    feedback: FeedbackRecord | None = None
    expectation: ExpectationRecord | None = None
    issue: IssueRecord | None = None
    rationale: str | None = None
    metadata: dict[str, str] = {}
    overrides: str = ""
    valid: bool | None = None


class TraceInfo(msgspec.Struct, omit_defaults=True):
    """What a trace comes to."""

    trace_id: str = ""
    client_request_id: str | None = None
    trace_location: Location | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    request_time: str = ""
    execution_duration: str | None = None
    state: str | int = "STATE_UNSPECIFIED"
    trace_metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    assessments: list[AssessmentRecord] = []


class TraceShower:
    """Writes traces, looking up each of their experiments once."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._roots: dict[int, str] = {}

    def show(self, trace: RecordedTrace) -> TraceInfo:
        """Return a trace as MLflow shows it."""
        return TraceInfo(
            trace_id=trace.id,
            client_request_id=trace.client_request,
            trace_location=Location("MLFLOW_EXPERIMENT", ExperimentPlace(str(trace.experiment))),
            request_preview=trace.request,
            response_preview=trace.response,
            request_time=written_time(from_micros(trace.start_ms * 1000)),
            execution_duration=None if trace.duration_ms is None else _written_duration(trace.duration_ms),
            state=trace.status,
            trace_metadata=trace.metadata,
            tags={ARTIFACT_LOCATION: f"{self._root(trace.experiment)}/traces/{trace.id}/artifacts", **trace.tags},
            assessments=[assessment_record(one) for one in trace.assessments],
        )

    def _root(self, experiment: int) -> str:
        if experiment not in self._roots:
            self._roots[experiment] = f"mlflow-artifacts:/{experiment}"
            try:
                given = self._ground.stores.experiments.get(experiment).artifact_root
            except NotFound:
                # it was forgotten, and its traces are shown until they are too
                given = ""
            if given:
                self._roots[experiment] = given.rstrip("/")
        return self._roots[experiment]


def assessment_record(one: Assessment) -> AssessmentRecord:
    """Return an assessment as MLflow shows it."""
    record = AssessmentRecord(
        assessment_id=one.id,
        assessment_name=one.name,
        trace_id=one.trace,
        span_id=one.span or "",
        source=Source(one.source_type, one.source_id),
        create_time=written_time(one.created_at),
        last_update_time=written_time(one.updated_at),
        rationale=one.rationale,
        metadata=one.metadata,
        overrides=one.overrides or "",
        valid=one.valid,
    )
    if one.kind == "feedback":
        fault = one.fault
        error = None if fault is None else ErrorRecord(fault.code, fault.message, fault.stack_trace)
        record.feedback = FeedbackRecord(one.value, error)
    elif one.kind == "expectation":
        record.expectation = _expectation(one.value)
    else:
        record.issue = IssueRecord(str(one.value))
    return record


def read_trace(info: TraceInfo, *, now: datetime) -> RecordedTrace:
    """Return the trace that a client describes; its experiment is still to be checked."""
    place = info.trace_location.mlflow_experiment if info.trace_location is not None else None
    if not info.trace_id:
        raise required("trace.trace_info.trace_id")
    if place is None or not place.experiment_id:
        raise required("trace.trace_info.trace_location.mlflow_experiment.experiment_id")
    if not place.experiment_id.isascii() or not place.experiment_id.isdecimal() or len(place.experiment_id) > 18:
        raise invalid(f"Invalid experiment ID '{place.experiment_id[:300]}'. It must be a number.")
    judged = [read_assessment(one, trace_id=info.trace_id, now=now) for one in info.assessments]
    return RecordedTrace(
        id=info.trace_id,
        experiment=int(place.experiment_id),
        start_ms=_millis(read_time(info.request_time, path="request_time") if info.request_time else now),
        status=_state(info.state),
        duration_ms=None if info.execution_duration is None else _read_duration(info.execution_duration),
        client_request=info.client_request_id or None,
        request=_preview(info.request_preview),
        response=_preview(info.response_preview),
        metadata=checked_strings(info.trace_metadata, of="trace_metadata"),
        tags=checked_strings({key: text for key, text in info.tags.items() if key != ARTIFACT_LOCATION}, of="tags"),
        assessments=tuple(judged),
    )


def read_assessment(record: AssessmentRecord, *, trace_id: str, now: datetime) -> Assessment:
    """Return the assessment that a client describes, under an id of its own if it brought none."""
    if not record.assessment_name:
        raise required("assessment.assessment_name")
    kind, value, fault = read_judgement(record)
    source = record.source or Source()
    return Assessment(
        id=record.assessment_id or f"a-{uuid4().hex}",
        trace=trace_id,
        name=record.assessment_name,
        kind=kind,
        source_type=_enum(source.source_type, _SOURCES, of="source_type"),
        source_id=source.source_id,
        created_at=read_time(record.create_time, path="create_time") if record.create_time else now,
        updated_at=read_time(record.last_update_time, path="last_update_time") if record.last_update_time else now,
        value=value,
        fault=fault,
        rationale=record.rationale or None,
        metadata=record.metadata,
        span=record.span_id or None,
        overrides=record.overrides or None,
    )


def read_judgement(record: AssessmentRecord) -> tuple[AssessmentKind, Any, Fault | None]:
    """Return which kind of assessment a record is, its value, and why it has none."""
    given = [one for one in (record.feedback, record.expectation, record.issue) if one is not None]
    if len(given) != 1:
        raise invalid("Exactly one of `expectation`, `feedback`, or `issue` should be specified.")
    if record.issue is not None:
        return "issue", record.issue.issue_name, None
    if record.feedback is not None:
        error = record.feedback.error
        fault = None if error is None else Fault(error.error_code, error.error_message, error.stack_trace)
        return "feedback", None if record.feedback.value is msgspec.UNSET else record.feedback.value, fault
    assert record.expectation is not None
    serialized = record.expectation.serialized_value
    if serialized is None:
        if record.expectation.value in (None, msgspec.UNSET):
            raise invalid("The `value` field must be specified.")
        return "expectation", record.expectation.value, None
    if serialized.serialization_format != _JSON_FORMAT:
        shown = serialized.serialization_format[:80]
        raise invalid(f"Unknown serialization format: {shown}. Only {_JSON_FORMAT} is supported.")
    try:
        return "expectation", msgspec.json.decode(serialized.value), None
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"The serialized value is no JSON: {error}") from error


def checked_strings(strings: Mapping[str, str], *, of: str) -> dict[str, str]:
    """Return tags or metadata, long values cut."""
    for key in strings:
        if not key or len(key) > LONGEST_KEY:
            raise invalid(f"'{of}' exceeds the maximum length of {LONGEST_KEY} characters, or has an empty key")
    return {key: value[:LONGEST_VALUE] for key, value in strings.items()}


def written_time(moment: datetime) -> str:
    """Return a time as protobuf's JSON writes it, to the millisecond.

    Example:
        >>> written_time(datetime(2026, 1, 2, 3, 4, 5, 60_000, tzinfo=UTC))
        '2026-01-02T03:04:05.060Z'
    """
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return text.removesuffix(".000") + "Z"


def read_time(text: str, *, path: str) -> datetime:
    """Return the time of protobuf's JSON, to the millisecond."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise invalid(f"Invalid value {text[:80]!r} for parameter '{path}': expected one such as 2026-01-02T03:04:05Z.")
    seconds, fraction, zone = found.groups()
    try:
        whole = datetime.fromisoformat(seconds.upper() + ("+00:00" if zone in "Zz" else zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid(f"Invalid value {text[:80]!r} for parameter '{path}': {error}.") from error
    return whole.replace(microsecond=int(((fraction or ".") + "000")[1:4]) * 1000)


def _millis(moment: datetime) -> int:
    passed = moment - EPOCH
    if passed.days < 0:
        raise invalid("Invalid value for parameter 'request_time': it lies before 1970.")
    return passed.days * 86_400_000 + passed.seconds * 1000 + passed.microseconds // 1000


def _written_duration(millis: int) -> str:
    seconds, rest = divmod(millis, 1000)
    return f"{seconds}.{rest:03}s" if rest else f"{seconds}s"


def _read_duration(text: str) -> int:
    found = _DURATION.fullmatch(text)
    try:
        return int(Decimal(found[1]) * 1000) if found else _no_duration(text)
    except InvalidOperation:
        return _no_duration(text)


def _no_duration(text: str) -> int:
    raise invalid(f"Invalid value {text[:80]!r} for parameter 'execution_duration': expected seconds such as 0.5s.")


def _state(state: str | int) -> TraceStatus:
    found: TraceStatus = _enum(state, _STATES, of="state")  # type: ignore[assignment]
    return found


def _enum(value: str | int, names: Sequence[str], *, of: str) -> str:
    if isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    if value not in names:
        raise invalid(f"Invalid value {str(value)[:80]!r} for parameter '{of}': expected one of {', '.join(names)}.")
    return str(value)


def _preview(text: str | None) -> str | None:
    return None if text is None else text[:LONGEST_PREVIEW]


def _expectation(value: Any) -> ExpectationRecord:
    if isinstance(value, (bool, int, float, str)):
        return ExpectationRecord(value)
    return ExpectationRecord(serialized_value=Serialized(_JSON_FORMAT, msgspec.json.encode(value).decode()))
