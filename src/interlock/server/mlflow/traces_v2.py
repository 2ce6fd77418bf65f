"""Answer the endpoints for traces that clients used before MLflow 3: begin, end, show, search.

Source: MLflow REST API 2.0, messages StartTrace, EndTrace, GetTraceInfo and SearchTraces.
"""

from __future__ import annotations

from uuid import uuid4

import msgspec

from interlock.ports.trace_store import RecordedTrace, TraceStatus
from interlock.server.mlflow.enum_words import word
from interlock.server.mlflow.known_runs import LAST_MILLIS, active_experiment, experiment_number
from interlock.server.mlflow.trace_filter import parse_filter, parse_order
from interlock.server.mlflow.trace_records import TraceShower, checked_strings
from interlock.server.mlflow.traces import LARGEST_REQUEST_BYTES, MOST_FOUND, known_trace
from interlock.server.mlflow.wire import Endpoint, Ground, invalid, required

_STATUSES = ("TRACE_STATUS_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS")
_SHOWN_STATUS = {"STATE_UNSPECIFIED": "TRACE_STATUS_UNSPECIFIED"}
_STATUS: dict[str, TraceStatus] = {"OK": "OK", "ERROR": "ERROR", "IN_PROGRESS": "IN_PROGRESS"}


class Pair(msgspec.Struct):
    """One entry of a map."""

    key: str = ""
    value: str = ""


class TraceInfoV2(msgspec.Struct, omit_defaults=True):
    """What a trace comes to."""

    request_id: str
    experiment_id: str
    timestamp_ms: int
    status: str
    execution_time_ms: int | None = None
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class InfoAnswer(msgspec.Struct, frozen=True):
    """One trace."""

    trace_info: TraceInfoV2


class FoundAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of a search."""

    traces: list[TraceInfoV2] = []
    next_page_token: str = ""


class _Start(msgspec.Struct):
    experiment_id: str = ""
    timestamp_ms: int | None = None
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class _End(msgspec.Struct):
    request_id: str = ""
    timestamp_ms: int | None = None
    status: str | int | None = None
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class _One(msgspec.Struct):
    request_id: str = ""


class _Search(msgspec.Struct):
    experiment_ids: list[str] = []
    filter: str = ""
    max_results: int = 100
    order_by: list[str] = []
    page_token: str = ""


def _start(ground: Ground, asked: _Start) -> InfoAnswer:
    trace = RecordedTrace(
        id=f"tr-{uuid4().hex}",
        experiment=active_experiment(ground, asked.experiment_id).id,
        start_ms=_moment(asked.timestamp_ms),
        metadata=_strings(asked.request_metadata, of="request_metadata"),
        tags=_strings(asked.tags, of="tags"),
    )
    return InfoAnswer(_shown(TraceShower(ground), ground.stores.traces.record(trace)))


def _end(ground: Ground, asked: _End) -> InfoAnswer:
    before = known_trace(ground, asked.request_id)
    status = word(asked.status, _STATUSES, of="status", default="STATE_UNSPECIFIED")
    after = RecordedTrace(
        id=before.id,
        experiment=before.experiment,
        start_ms=before.start_ms,
        status=_STATUS.get(status or "", "STATE_UNSPECIFIED"),
        duration_ms=max(_moment(asked.timestamp_ms) - before.start_ms, 0),
        client_request=before.client_request,
        request=before.request,
        response=before.response,
        metadata=before.metadata | _strings(asked.request_metadata, of="request_metadata"),
        tags=before.tags | _strings(asked.tags, of="tags"),
    )
    return InfoAnswer(_shown(TraceShower(ground), ground.stores.traces.record(after)))


def _get(ground: Ground, asked: _One) -> InfoAnswer:
    return InfoAnswer(_shown(TraceShower(ground), known_trace(ground, asked.request_id)))


def _search(ground: Ground, asked: _Search) -> FoundAnswer:
    if not asked.experiment_ids:
        raise required("experiment_ids")
    if not 1 <= asked.max_results <= MOST_FOUND:
        raise invalid(
            f"Invalid value {asked.max_results} for parameter 'max_results' supplied: expected 1 to {MOST_FOUND}."
        )
    page = ground.stores.traces.search(
        experiments=list(dict.fromkeys(experiment_number(one) for one in asked.experiment_ids)),
        where=parse_filter(asked.filter),
        order=parse_order(asked.order_by),
        limit=asked.max_results,
        after=asked.page_token or None,
    )
    shower = TraceShower(ground)
    return FoundAnswer([_shown(shower, trace) for trace in page.traces], page.after or "")


def _shown(shower: TraceShower, trace: RecordedTrace) -> TraceInfoV2:
    info = shower.show(trace)
    return TraceInfoV2(
        request_id=trace.id,
        experiment_id=str(trace.experiment),
        timestamp_ms=trace.start_ms,
        status=_SHOWN_STATUS.get(trace.status, trace.status),
        execution_time_ms=trace.duration_ms,
        request_metadata=[Pair(*one) for one in info.trace_metadata.items()],
        tags=[Pair(*one) for one in info.tags.items()],
    )


def _strings(pairs: list[Pair], *, of: str) -> dict[str, str]:
    if any(not one.key for one in pairs):
        raise invalid(f"Missing value for required parameter 'key' of '{of}'.")
    return checked_strings({one.key: one.value for one in pairs}, of=of)


def _moment(millis: int | None) -> int:
    if millis is None:
        raise required("timestamp_ms")
    if not 0 <= millis <= LAST_MILLIS:
        raise invalid(f"Invalid value {millis} for parameter 'timestamp_ms' supplied: expected 0 to {LAST_MILLIS}.")
    return millis


_ALL = "/2.0/mlflow/traces"
_ONE = f"{_ALL}/{{request_id}}"
_MOST = LARGEST_REQUEST_BYTES

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=_ALL, request=_Start, handle=_start, body_bytes=_MOST, in_turn=True),
    Endpoint(method="GET", path=_ALL, request=_Search, handle=_search, body_bytes=_MOST),
    Endpoint(method="PATCH", path=_ONE, request=_End, handle=_end, body_bytes=_MOST, in_turn=True),
    Endpoint(method="GET", path=f"{_ONE}/info", request=_One, handle=_get, body_bytes=_MOST),
)
