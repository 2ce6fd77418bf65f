"""Port: recorded traces of programs, the spans they are made of, and what was judged of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from interlock.ports.trace_search import TraceFilter, TraceOrder

TraceStatus = Literal["IN_PROGRESS", "OK", "ERROR", "STATE_UNSPECIFIED"]
SpanStatus = Literal["UNSET", "OK", "ERROR"]
AssessmentKind = Literal["feedback", "expectation", "issue"]

SESSION = "mlflow.trace.session"
"""Key of the metadata in which traces, and assessments of whole sessions, name their session."""
SOURCE_RUN = "mlflow.sourceRun"
"""Key of the metadata in which a trace names the run that made it."""


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened during a span; `time_ns` is nanoseconds since 1970 UTC."""

    name: str
    time_ns: int
    attributes: dict[str, Any] = {}


class SpanLink(msgspec.Struct, frozen=True):
    """A span, perhaps of another trace, that a span has to do with."""

    trace: str
    span: str
    attributes: dict[str, Any] = {}


class Span(msgspec.Struct, frozen=True):
    """One piece of work within a trace.

    Args:
        id: 16 hex digits, unique within its trace.
        name: What was done.
        start_ns: When it began, in nanoseconds since 1970 UTC.
        end_ns: When it ended, if it has.
        parent: Id of the span that contains it; None for the root.
        kind: What kind of work it was (`LLM`, `TOOL`, `CHAIN`, …), if that is known.
        status: How it went.
        message: Why it failed.
        attributes: Plain values that describe it.
        events: What happened during it.
        links: Spans it has to do with.
        figures: What it consumed, by the key of the trace's metadata that sums it up (tokens, cost). A span's figures
            stand for all that is below it.
    """

    id: str
    name: str
    start_ns: int
    end_ns: int | None = None
    parent: str | None = None
    kind: str = ""
    status: SpanStatus = "UNSET"
    message: str = ""
    attributes: dict[str, Any] = {}
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    figures: dict[str, dict[str, int | float]] = {}


class SpanBatch(msgspec.Struct, frozen=True):
    """Some spans of one trace, and what they say of it.

    Args:
        trace: Id of the trace.
        spans: The spans; one sent again replaces itself.
        tags: Tags to set on the trace.
        metadata: Metadata for the trace, where it has none under the key.
        request: A preview of what was asked, for a trace that has none.
        response: A preview of what was answered, for a trace that has none.
    """

    trace: str
    spans: tuple[Span, ...]
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    request: str | None = None
    response: str | None = None


class Fault(msgspec.Struct, frozen=True):
    """Why there is no feedback where some was asked for."""

    code: str
    message: str = ""
    stack_trace: str = ""


class Assessment(msgspec.Struct, frozen=True):
    """One judgement of a trace or of one of its spans.

    Args:
        id: Unique within its trace.
        trace: Id of the trace.
        name: What was judged.
        kind: Feedback on what happened, an expectation of what should have, or an issue that was found.
        source_type: Who judged (`HUMAN`, `LLM_JUDGE`, `CODE`).
        source_id: Who exactly.
        created_at: When it was made.
        updated_at: When it last changed.
        value: The judgement, a plain value.
        fault: Why there is none.
        rationale: Why it is as it is.
        metadata: Short strings; with a session in it the judgement is of the whole session.
        span: Id of the span it is about, if not the trace.
        overrides: Id of the assessment it replaces, which is then no longer valid.
        valid: Whether nothing has replaced it.
    """

    id: str
    trace: str
    name: str
    kind: AssessmentKind
    source_type: str
    source_id: str
    created_at: datetime
    updated_at: datetime
    value: Any = None
    fault: Fault | None = None
    rationale: str | None = None
    metadata: dict[str, str] = {}
    span: str | None = None
    overrides: str | None = None
    valid: bool = True


class RecordedTrace(msgspec.Struct, frozen=True):
    """The record of one request on its way through a program; its Ref is `trace:<id>`.

    Args:
        id: Comes from the caller (`tr-` and 32 hex digits).
        experiment: Id of its experiment.
        start_ms: When it began, in milliseconds since 1970 UTC.
        status: How it went, or that it goes on.
        duration_ms: How long it took, if that is known.
        client_request: The caller's own id of the request.
        request: A preview of what was asked.
        response: A preview of what was answered.
        metadata: Strings set once.
        tags: Strings that may change.
        assessments: What was judged of it, in order of arrival.
    """

    id: str
    experiment: int
    start_ms: int
    status: TraceStatus = "IN_PROGRESS"
    duration_ms: int | None = None
    client_request: str | None = None
    request: str | None = None
    response: str | None = None
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    assessments: tuple[Assessment, ...] = ()


class TraceChange(msgspec.Struct, frozen=True):
    """What to change of a trace; tags that are to be removed and are not there raise `NotFound`."""

    tags: dict[str, str] = {}
    remove_tags: tuple[str, ...] = ()


class AssessmentChange(msgspec.Struct, frozen=True):
    """What to change of an assessment; what is None stays, metadata is added to.

    Args:
        name: Another name.
        value: Another value, in a tuple of one, since None is a value.
        fault: Why there is no value; given with `value` only.
        rationale: Another reason.
        metadata: More metadata.
    """

    name: str | None = None
    value: tuple[Any] | None = None
    fault: Fault | None = None
    rationale: str | None = None
    metadata: dict[str, str] = {}


class TracePage(msgspec.Struct, frozen=True):
    """Some traces, and what to pass as `after` for the next ones, None at the end."""

    traces: tuple[RecordedTrace, ...]
    after: str | None


class TraceStore(Protocol):
    """Recorded traces.

    Thread-safe and process-safe; every method is one transaction with its events and edges. The spans of a trace and
    its `record` come in any order, from several processes, and again: until it is recorded its times, status and
    figures are those of its spans; what `record` says is final, and figures it leaves out are summed up from the
    spans. Unknown traces and assessments raise `NotFound`.

    Searchable attributes: `id`, `experiment`, `start_ms`, `duration_ms`, `end_ms`, `status`, `client_request`. Ties,
    and no order, are newest first: `start_ms` descending, then id.

    Events: `trace.assessed`, `trace.assessment_changed`, `trace.assessment_removed`, and `trace.deleted`, one for
    each call (subject: the oldest deleted); none for traces and spans themselves, of which there are too many. Edges
    of links: model version → trace (`used_in`), trace → run (`linked_to`).
    """

    @abstractmethod
    def record(self, trace: RecordedTrace) -> RecordedTrace:
        """Say what a whole trace comes to; what it has already of tags, metadata and assessments is kept beside."""

    @abstractmethod
    def log_spans(self, experiment: int, batches: Sequence[SpanBatch]) -> None:
        """Add spans; a trace that is new begins in the experiment."""

    @abstractmethod
    def get(self, trace_id: str) -> RecordedTrace:
        """Return a trace without its spans."""

    @abstractmethod
    def traces(self, ids: Sequence[str], *, experiments: Sequence[int] | None = None) -> list[RecordedTrace]:
        """Return those of some traces that exist (and belong to the experiments), in the order asked for, each once."""

    @abstractmethod
    def spans(self, ids: Sequence[str]) -> dict[str, list[Span]]:
        """Return the spans of some traces, the root first, then by start; a trace that has none is left out."""

    @abstractmethod
    def search(
        self,
        *,
        experiments: Sequence[int],
        where: TraceFilter | None = None,
        order: Sequence[TraceOrder] = (),
        limit: int = 100,
        after: str | None = None,
    ) -> TracePage:
        """Find traces of some experiments; `after` is what the page before returned."""

    @abstractmethod
    def update(self, trace_id: str, change: TraceChange) -> RecordedTrace:
        """Set or remove tags."""

    @abstractmethod
    def delete(
        self, experiment: int, *, ids: Sequence[str] = (), until_ms: int | None = None, limit: int | None = None
    ) -> int:
        """Forget traces of an experiment with all they have, oldest first; return how many there were.

        Args:
            experiment: Id of the experiment.
            ids: Which traces; none named means all.
            until_ms: Only those that began at or before this moment.
            limit: How many at most.
        """

    @abstractmethod
    def link(self, ids: Sequence[str], refs: Sequence[str]) -> None:
        """Tie traces to runs and model versions, given as Refs; a trace may come later than what it is tied to."""

    @abstractmethod
    def assess(self, assessment: Assessment) -> Assessment:
        """Add a judgement; one that overrides another makes that one invalid. An id used before raises `Conflict`."""

    @abstractmethod
    def reassess(self, trace_id: str, assessment_id: str, change: AssessmentChange, *, at: datetime) -> Assessment:
        """Change a judgement."""

    @abstractmethod
    def remove_assessment(self, trace_id: str, assessment_id: str) -> bool:
        """Take a judgement back, and make the one it had overridden valid again; return whether it was there."""
