"""Take in spans over OTLP: `POST /v1/traces` with protobuf or JSON, in the experiment that a header names.

Source: OTLP over HTTP; MLflow's headers `x-mlflow-experiment-id` and `x-mlflow-run-id`.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from interlock.core.errors import InvalidInput, NotFound
from interlock.core.plain import as_text
from interlock.core.refs import ref_of
from interlock.ports.trace_store import SESSION, SpanBatch
from interlock.server.http import Answer, Request, Response
from interlock.server.mlflow.known_runs import active_experiment
from interlock.server.mlflow.otlp_messages import JSON, PROTOBUF, Arrived, read_spans
from interlock.server.mlflow.span_conventions import INPUTS, OUTPUTS, preview_of, session_of, user_of
from interlock.server.mlflow.trace_records import LONGEST_KEY, LONGEST_VALUE, SPANS_LOCATION, STORED_HERE
from interlock.server.mlflow.wire import Failure, Ground
from interlock.server.router import Route

PATH = "/v1/traces"
MOST_BYTES = 64 * 1024 * 1024
"""How large a request may be, also once it is decompressed."""
_TAG_PREFIX = "mlflow.traceTag."
_RESERVED = ("telemetry.sdk.", "mlflow.")
_USER = "mlflow.trace.user"
_RAW_DEFLATE = -zlib.MAX_WBITS
_WINDOWS = {"gzip": (16 + zlib.MAX_WBITS,), "deflate": (zlib.MAX_WBITS, _RAW_DEFLATE)}


def routes(ground: Ground) -> list[Route]:
    """Return the one route, which is at the root."""
    return [Route(method="POST", path=PATH, access="api", handler=_handler(ground))]


def _handler(ground: Ground) -> Callable[[Request], Awaitable[Answer]]:
    async def answer(request: Request) -> Answer:
        try:
            return await _take(ground, request)
        except Failure as failure:
            return failure.response()

    return answer


async def _take(ground: Ground, request: Request) -> Response:
    experiment = request.header("x-mlflow-experiment-id")
    media_type = request.media_type
    if not experiment:
        raise Failure("INVALID_PARAMETER_VALUE", "The header x-mlflow-experiment-id is missing.", status=422)
    if media_type not in (PROTOBUF, JSON):
        raise Failure("BAD_REQUEST", f"Invalid Content-Type: {media_type[:80]}. Expected: {PROTOBUF} or {JSON}")
    body = await _body(request)
    encoding = (request.header("content-encoding") or "identity").strip().lower()
    run = request.header("x-mlflow-run-id") or ""
    batches = await ground.workers.run(_batches, body, encoding, media_type)
    await ground.workers.in_turn(_keep, ground, batches, experiment, run)
    return Response(body=b"{}" if media_type == JSON else b"", media_type=media_type)


async def _body(request: Request) -> bytes:
    announced = request.header("content-length") or "0"
    whole = bytearray()
    if not announced.isdecimal() or int(announced) <= MOST_BYTES:
        async for chunk in request.chunks():
            whole += chunk
            if len(whole) > MOST_BYTES:
                break
        else:
            return bytes(whole)
    raise _too_large()


def _batches(body: bytes, encoding: str, media_type: str) -> list[SpanBatch]:
    by_trace: dict[str, list[Arrived]] = {}
    for one in read_spans(_decompressed(body, encoding), media_type):
        by_trace.setdefault(one.trace, []).append(one)
    return [_batch(trace, arrived) for trace, arrived in by_trace.items()]


def _keep(ground: Ground, batches: list[SpanBatch], experiment_id: str, run: str) -> None:
    experiment = active_experiment(ground, experiment_id)
    try:
        ground.stores.traces.log_spans(experiment.id, batches)
    except InvalidInput as error:
        raise Failure("INVALID_PARAMETER_VALUE", f"{error.what}. {error.why}", status=422) from error
    ended = [batch.trace for batch in batches if any(span.parent is None for span in batch.spans)]
    if run and ended and _is_known(ground, run):
        ground.stores.traces.link(ended, [ref_of("run", run)])


def _is_known(ground: Ground, run: str) -> bool:
    try:
        ground.stores.runs.get(run)
    except NotFound:
        return False
    return True


def _batch(trace: str, arrived: list[Arrived]) -> SpanBatch:
    """Return the spans of one trace, with what they say of it."""
    root = next((one.span for one in arrived if one.span.parent is None), None)
    tags: dict[str, str] = {}
    resource = next((one.resource for one in arrived if one.resource), {})
    for key, value in resource.items():
        if not key.startswith(_RESERVED):
            tags[key] = as_text(value)
    attributes = {} if root is None else root.attributes
    for key, value in attributes.items():
        if key.startswith(_TAG_PREFIX):
            tags[key.removeprefix(_TAG_PREFIX)] = as_text(value)
    tags[SPANS_LOCATION] = STORED_HERE
    said = {
        SESSION: next((text for one in arrived if (text := session_of(one.span.attributes))), None),
        _USER: next((text for one in arrived if (text := user_of(one.span.attributes))), None),
    }
    return SpanBatch(
        trace,
        tuple(one.span for one in arrived),
        tags={key: text[:LONGEST_VALUE] for key, text in tags.items() if 1 <= len(key) <= LONGEST_KEY},
        metadata={key: text for key, text in said.items() if text is not None},
        request=preview_of(attributes.get(INPUTS), role="user"),
        response=preview_of(attributes.get(OUTPUTS), role="assistant"),
    )


def _decompressed(body: bytes, encoding: str) -> bytes:
    """Return a body as it was before it was compressed, if that is not endless."""
    if encoding == "identity":
        return body
    if encoding not in _WINDOWS:
        raise Failure("BAD_REQUEST", f"Unsupported Content-Encoding: {encoding[:40]}")
    trouble: Any = None
    for window in _WINDOWS[encoding]:
        inflater = zlib.decompressobj(window)
        try:
            whole = inflater.decompress(body, MOST_BYTES + 1)
        except zlib.error as error:
            trouble = error
            continue
        if len(whole) > MOST_BYTES:
            raise _too_large()
        if inflater.eof:
            return whole
    raise Failure("BAD_REQUEST", f"Failed to decompress {encoding} payload: {trouble or 'it ends too early'}")


def _too_large() -> Failure:
    return Failure("BAD_REQUEST", f"The request is too large: at most {MOST_BYTES} bytes are taken.", status=413)
