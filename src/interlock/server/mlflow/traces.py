"""Answer MLflow's endpoints for traces: start, show, search, tag, link and delete them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from interlock.core.errors import NotFound
from interlock.core.refs import ref_of
from interlock.ports.trace_store import RecordedTrace, Span, TraceChange
from interlock.server.http import Answer, Request, Response
from interlock.server.mlflow.contents import send
from interlock.server.mlflow.file_tree import checked_path, found_blob
from interlock.server.mlflow.key_rules import check_key
from interlock.server.mlflow.known_runs import active_experiment, experiment_number, known_run
from interlock.server.mlflow.span_records import file_record, is_whole, span_record
from interlock.server.mlflow.trace_filter import parse_filter, parse_order
from interlock.server.mlflow.trace_records import (
    LONGEST_KEY,
    LONGEST_VALUE,
    SPANS_LOCATION,
    STORED_HERE,
    Location,
    TraceInfo,
    TraceShower,
    read_trace,
)
from interlock.server.mlflow.wire import (
    DONE,
    Endpoint,
    Failure,
    Ground,
    RawEndpoint,
    invalid,
    missing,
    read,
    required,
    write,
)

MOST_FOUND = 500
MOST_IDS = 1000
MOST_LINKS = 100
LARGEST_REQUEST_BYTES = 1024 * 1024
"""How large a JSON request about traces may be."""
WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.5)
"""How long a client that asks for a whole trace is kept waiting for the rest of its spans, look by look."""
_BLOCKED = (SPANS_LOCATION, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure")
_DELETABLE = ("mlflow.trace.archivalFailure",)


class _Given(msgspec.Struct):
    trace_info: TraceInfo | None = None


class _Start(msgspec.Struct):
    trace: _Given | None = None


class _OneTrace(msgspec.Struct):
    trace_id: str = ""


class _WholeTrace(msgspec.Struct):
    trace_id: str = ""
    allow_partial: bool = False


class _ManyTraces(msgspec.Struct):
    trace_ids: list[str] = []
    experiment_ids: list[str] | None = None


class _Search(msgspec.Struct):
    locations: list[Location] = []
    filter: str | None = None
    max_results: int = 100
    order_by: list[str] = []
    page_token: str | None = None


class _SetTag(msgspec.Struct):
    trace_id: str = ""
    key: str = ""
    value: str = ""


class _DeleteTag(msgspec.Struct):
    trace_id: str = ""
    key: str = ""


class _Delete(msgspec.Struct):
    experiment_id: str = ""
    max_timestamp_millis: int | None = None
    max_traces: int | None = None
    request_ids: list[str] = []


class _LinkRun(msgspec.Struct):
    trace_ids: list[str] = []
    run_id: str = ""


class _PromptVersion(msgspec.Struct):
    name: str = ""
    version: str | int = ""


class _LinkPrompts(msgspec.Struct):
    trace_id: str = ""
    prompt_versions: list[_PromptVersion] = []


class _File(msgspec.Struct):
    request_id: str = ""
    path: str = ""


class InfoAnswer(msgspec.Struct, omit_defaults=True):
    """One trace; its spans where they were asked for."""

    trace_info: TraceInfo
    spans: list[dict[str, Any]] = []


class TraceAnswer(msgspec.Struct, frozen=True):
    """One trace."""

    trace: InfoAnswer


class TracesAnswer(msgspec.Struct, frozen=True):
    """Whole traces."""

    traces: list[InfoAnswer]


class InfosAnswer(msgspec.Struct, frozen=True):
    """Traces without their spans."""

    trace_infos: list[TraceInfo]


class FoundAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of a search."""

    traces: list[TraceInfo] = []
    next_page_token: str = ""


class DeletedAnswer(msgspec.Struct, frozen=True):
    """How many traces were deleted."""

    traces_deleted: int


def _start(ground: Ground, asked: _Start) -> TraceAnswer:
    if asked.trace is None or asked.trace.trace_info is None:
        raise required("trace")
    given = read_trace(asked.trace.trace_info, now=ground.clock.now())
    active_experiment(ground, str(given.experiment))
    recorded = ground.stores.traces.record(given)
    return TraceAnswer(InfoAnswer(TraceShower(ground).show(recorded)))


def _get_info(ground: Ground, asked: _OneTrace) -> TraceAnswer:
    return TraceAnswer(InfoAnswer(TraceShower(ground).show(known_trace(ground, asked.trace_id))))


async def _get_whole(ground: Ground, request: Request) -> Answer:
    asked = await read(request, _WholeTrace)
    for wait_s in (0.0, *WAITS_S):
        await asyncio.sleep(wait_s)
        trace, spans = await ground.workers.run(_with_spans, ground, asked.trace_id)
        if asked.allow_partial or is_whole(trace, spans):
            return write(request, TraceAnswer(_shown(TraceShower(ground), trace, spans)))
    raise missing(f"Trace with ID {asked.trace_id} is not fully exported yet, please try again later.")


def _with_spans(ground: Ground, trace_id: str) -> tuple[RecordedTrace, list[Span]]:
    trace = known_trace(ground, trace_id)
    if trace.tags.get(SPANS_LOCATION) != STORED_HERE:
        raise missing(f"The spans of trace '{trace_id}' are not here: its client may have put them into a file.")
    return trace, ground.stores.traces.spans([trace_id]).get(trace_id, [])


def _get_many(ground: Ground, asked: _ManyTraces) -> TracesAnswer:
    traces = _asked_for(ground, asked)
    spans = ground.stores.traces.spans([trace.id for trace in traces])
    shower = TraceShower(ground)
    whole = [trace for trace in traces if is_whole(trace, spans.get(trace.id, []))]
    return TracesAnswer([_shown(shower, trace, spans[trace.id]) for trace in whole])


def _get_infos(ground: Ground, asked: _ManyTraces) -> InfosAnswer:
    shower = TraceShower(ground)
    return InfosAnswer([shower.show(trace) for trace in _asked_for(ground, asked)])


def _asked_for(ground: Ground, asked: _ManyTraces) -> list[RecordedTrace]:
    if not asked.trace_ids:
        raise required("trace_ids")
    if len(asked.trace_ids) > MOST_IDS:
        raise invalid(f"At most {MOST_IDS} traces can be asked for at once; got {len(asked.trace_ids)}.")
    numbers = None if asked.experiment_ids is None else [experiment_number(one) for one in asked.experiment_ids]
    return ground.stores.traces.traces(asked.trace_ids, experiments=numbers)


def _shown(shower: TraceShower, trace: RecordedTrace, spans: Sequence[Span]) -> InfoAnswer:
    return InfoAnswer(shower.show(trace), [span_record(trace.id, span) for span in spans])


def _search(ground: Ground, asked: _Search) -> FoundAnswer:
    if not 1 <= asked.max_results <= MOST_FOUND:
        raise invalid(
            f"Invalid value {asked.max_results} for parameter 'max_results' supplied: expected 1 to {MOST_FOUND}."
        )
    places = [one.mlflow_experiment.experiment_id for one in asked.locations if one.mlflow_experiment is not None]
    if not asked.locations:
        raise required("locations")
    page = ground.stores.traces.search(
        experiments=list(dict.fromkeys(experiment_number(one) for one in places)),
        where=parse_filter(asked.filter),
        order=parse_order(asked.order_by),
        limit=asked.max_results,
        after=asked.page_token or None,
    )
    shower = TraceShower(ground)
    return FoundAnswer([shower.show(trace) for trace in page.traces], page.after or "")


def _set_tag(ground: Ground, asked: _SetTag) -> Response:
    _check_tag(asked.key, verb="set")
    check_key(asked.key, path="key", of="key")
    _change(ground, asked.trace_id, TraceChange(tags={asked.key: asked.value[:LONGEST_VALUE]}))
    return DONE


def _delete_tag(ground: Ground, asked: _DeleteTag) -> Response:
    _check_tag(asked.key, verb="deleted")
    if asked.key not in known_trace(ground, asked.trace_id).tags:
        raise missing(f"No trace tag with key '{asked.key}' for trace with ID '{asked.trace_id}'")
    _change(ground, asked.trace_id, TraceChange(remove_tags=(asked.key,)))
    return DONE


def _check_tag(key: str, *, verb: str) -> None:
    if not key:
        raise required("key")
    if key in _BLOCKED and not (verb == "deleted" and key in _DELETABLE):
        raise invalid(f"Tag '{key}' is immutable and cannot be {verb} on a trace.")
    if len(key) > LONGEST_KEY:
        raise invalid(f"'key' exceeds the maximum length of {LONGEST_KEY} characters")


def _change(ground: Ground, trace_id: str, change: TraceChange) -> None:
    try:
        ground.stores.traces.update(trace_id, change)
    except NotFound:
        raise _no_trace(trace_id) from None


def _delete(ground: Ground, asked: _Delete) -> DeletedAnswer:
    if not asked.experiment_id:
        raise required("experiment_id")
    until, most = asked.max_timestamp_millis, asked.max_traces
    if until is None and not asked.request_ids:
        raise invalid("Either `max_timestamp_millis` or `trace_ids` must be specified.")
    if until is not None and asked.request_ids:
        raise invalid("Only one of `max_timestamp_millis` and `trace_ids` can be specified.")
    if asked.request_ids and most is not None:
        raise invalid("`max_traces` can't be specified if `trace_ids` is specified.")
    if most is not None and most <= 0:
        raise invalid(f"`max_traces` must be a positive integer, received {most}.")
    number = experiment_number(asked.experiment_id)
    until = None if until is None else min(max(until, -1), 2**63 - 1)
    return DeletedAnswer(ground.stores.traces.delete(number, ids=asked.request_ids, until_ms=until, limit=most))


def _link_run(ground: Ground, asked: _LinkRun) -> Response:
    if not asked.trace_ids:
        raise required("trace_ids")
    if not asked.run_id:
        raise required("run_id")
    if len(asked.trace_ids) > MOST_LINKS:
        raise invalid(
            f"Cannot link more than {MOST_LINKS} traces to a run in a single request."
            f" Provided {len(asked.trace_ids)} traces."
        )
    run = known_run(ground, asked.run_id)
    ground.stores.traces.link(asked.trace_ids, [ref_of("run", run.id)])
    return DONE


def _link_prompts(ground: Ground, asked: _LinkPrompts) -> Response:
    if not asked.trace_id:
        raise required("trace_id")
    if not asked.prompt_versions:
        raise required("prompt_versions")
    known_trace(ground, asked.trace_id)
    refs = []
    for one in asked.prompt_versions[:MOST_IDS]:
        number = str(one.version)
        if not one.name or not number.isascii() or not number.isdecimal() or len(number) > 18:
            raise invalid(f"Invalid prompt version '{one.name[:80]}/{number[:80]}': expected a name and a number.")
        refs.append(f"{ref_of('model', one.name)}@{int(number)}")
    ground.stores.traces.link([asked.trace_id], refs)
    return DONE


async def _get_file(ground: Ground, request: Request) -> Answer:
    """Send the spans of a trace as the web UI reads them, or a file that a client attached to the trace."""
    asked: _File = await read(request, _File)
    if not asked.request_id:
        raise Failure("BAD_REQUEST", 'Request must include the "request_id" query parameter.')
    if not asked.path:
        return await ground.workers.run(_spans_file, ground, asked.request_id)
    trace = await ground.workers.run(known_trace, ground, asked.request_id)
    path = checked_path(asked.path)
    # only what lies here is sent: where an experiment keeps its files elsewhere, clients read them there
    place = f"{trace.experiment}/traces/{trace.id}/artifacts/attachments/{path}"
    return await send(ground, request, await found_blob(ground, place), name=path)


def _spans_file(ground: Ground, trace_id: str) -> Response:
    trace, spans = _with_spans(ground, trace_id)
    body = msgspec.json.encode({"spans": [file_record(trace.id, span) for span in spans]})
    disposition = (b"content-disposition", b"attachment; filename=traces.json")
    return Response(body=body, media_type="application/octet-stream", headers=(disposition,))


def known_trace(ground: Ground, trace_id: str) -> RecordedTrace:
    """Return a trace without its spans."""
    if not trace_id:
        raise required("trace_id")
    try:
        return ground.stores.traces.get(trace_id)
    except NotFound:
        raise _no_trace(trace_id) from None


def _no_trace(trace_id: str) -> Failure:
    return missing(f"Trace with ID '{trace_id[:120]}' not found.")


_V2 = "/2.0/mlflow/traces"
_V3 = "/3.0/mlflow/traces"
_asking = partial(Endpoint, body_bytes=LARGEST_REQUEST_BYTES)
_writing = partial(_asking, in_turn=True)

ENDPOINTS: tuple[Endpoint | RawEndpoint, ...] = (
    _writing(method="POST", path=_V3, request=_Start, handle=_start),
    RawEndpoint(method="GET", path=f"{_V3}/get", answer=_get_whole),
    _asking(method="GET", path=f"{_V3}/batchGet", request=_ManyTraces, handle=_get_many),
    _asking(method="POST", path=f"{_V3}/batchGetInfos", request=_ManyTraces, handle=_get_infos),
    _asking(method="POST", path=f"{_V3}/search", request=_Search, handle=_search),
    _asking(method="GET", path=f"{_V3}/{{trace_id}}", request=_OneTrace, handle=_get_info),
    *(
        endpoint
        for root in (_V2, _V3)
        for endpoint in (
            _writing(method="PATCH", path=f"{root}/{{trace_id}}/tags", request=_SetTag, handle=_set_tag),
            _writing(method="DELETE", path=f"{root}/{{trace_id}}/tags", request=_DeleteTag, handle=_delete_tag),
            _asking(method="POST", path=f"{root}/delete-traces", request=_Delete, handle=_delete),
        )
    ),
    _writing(method="POST", path=f"{_V2}/link-to-run", request=_LinkRun, handle=_link_run),
    _writing(method="POST", path=f"{_V2}/link-prompts", request=_LinkPrompts, handle=_link_prompts),
    RawEndpoint(method="GET", path="/2.0/mlflow/get-trace-artifact", answer=_get_file),
)
