"""Read the spans of OTLP requests, in protobuf or in JSON.

Source: OpenTelemetry protocol (OTLP) 1.5, `trace_service.proto`; in its JSON ids are hexadecimal, names are in camel
case and 64-bit integers may be strings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from interlock.ports.trace_store import Span, SpanEvent, SpanLink, SpanStatus
from interlock.server.mlflow.otlp_limits import check_json, check_protobuf
from interlock.server.mlflow.span_conventions import KIND, figures_of, in_mlflows_words
from interlock.server.mlflow.span_records import REQUEST_ID, TRACE_PREFIX
from interlock.server.mlflow.wire import Failure

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_STATUS: dict[Any, SpanStatus] = {
    **dict.fromkeys((0, "STATUS_CODE_UNSET"), "UNSET"),
    **dict.fromkeys((1, "STATUS_CODE_OK"), "OK"),
    **dict.fromkeys((2, "STATUS_CODE_ERROR"), "ERROR"),
}
_UNREADABLE = "Invalid OpenTelemetry format"
_HEX = re.compile(r"[0-9a-f]*")
_DEEPEST = 64
_SERVICE = "service.name"
_TRACE_BYTES = 16
_SPAN_BYTES = 8


class Arrived(msgspec.Struct, frozen=True):
    """One span as it arrived, with the trace it belongs to and what it says of its origin."""

    trace: str
    span: Span
    resource: dict[str, Any]


class _AnyValue(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | None = None
    double_value: float | str | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: bytes | None = None


class _Array(msgspec.Struct):
    values: list[_AnyValue] = []


class _Pair(msgspec.Struct):
    key: str = ""
    value: _AnyValue | None = None


class _Pairs(msgspec.Struct):
    values: list[_Pair] = []


class _Event(msgspec.Struct, rename="camel"):
    time_unix_nano: int = 0
    name: str = ""
    attributes: list[_Pair] = []


class _Link(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    attributes: list[_Pair] = []


class _Status(msgspec.Struct):
    message: str = ""
    code: int | str = 0


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0
    attributes: list[_Pair] = []
    events: list[_Event] = []
    links: list[_Link] = []
    status: _Status = msgspec.field(default_factory=_Status)


class _Scope(msgspec.Struct):
    spans: list[_Span] = []


class _Resource(msgspec.Struct):
    attributes: list[_Pair] = []


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    scope_spans: list[_Scope] = []


class _Request(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] = []


_decode_json = msgspec.json.Decoder(_Request, strict=False).decode


def read_spans(body: bytes, media_type: str) -> list[Arrived]:
    """Return the spans of a request.

    Raises:
        Failure: It cannot be read (400), holds too much (413), or has a span that makes no sense (422).
    """
    request = _read_json(body) if media_type == JSON else _read_protobuf(body)
    if not request.resource_spans:
        raise Failure("BAD_REQUEST", f"{_UNREADABLE} - no spans found")
    value = _json_value if media_type == JSON else _protobuf_value
    try:
        return list(_spans(request, value))
    except RecursionError as error:
        raise Failure("BAD_REQUEST", f"{_UNREADABLE}: a value is nested too deeply") from error


def _read_json(body: bytes) -> Any:
    check_json(body)
    try:
        return _decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure("BAD_REQUEST", f"{_UNREADABLE}: {error}") from error


def _read_protobuf(body: bytes) -> Any:
    # eight megabytes that only those pay for who are sent spans
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    check_protobuf(body)
    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise Failure("BAD_REQUEST", _UNREADABLE) from error
    return request


def _spans(request: Any, value: Callable[[Any, int], Any]) -> Iterator[Arrived]:
    def pairs(attributes: Any) -> dict[str, Any]:
        return {_clean(one.key): value(one.value, 0) for one in attributes}

    for group in request.resource_spans:
        resource = pairs(group.resource.attributes)
        for scope in group.scope_spans:
            for raw in scope.spans:
                trace = TRACE_PREFIX + _id(raw.trace_id, _TRACE_BYTES, of="trace_id")
                yield Arrived(trace, _span(trace, raw, pairs, resource), resource)


def _span(trace: str, raw: Any, pairs: Callable[[Any], dict[str, Any]], resource: dict[str, Any]) -> Span:
    parent = _parent(raw.parent_span_id)
    # who the sender is, is shown on the root
    origin = {_SERVICE: resource[_SERVICE]} if _SERVICE in resource and parent is None else {}
    attributes = in_mlflows_words({**origin, **pairs(raw.attributes), REQUEST_ID: trace})
    kind = attributes.get(KIND)
    status = _STATUS.get(raw.status.code)
    if status is None:
        raise _no_span(f"its status is {raw.status.code!r:.40}")
    return Span(
        id=_id(raw.span_id, _SPAN_BYTES, of="span_id"),
        name=_clean(raw.name),
        start_ns=raw.start_time_unix_nano,
        end_ns=raw.end_time_unix_nano or None,
        parent=parent,
        kind=kind if isinstance(kind, str) else "",
        status=status,
        message=_clean(raw.status.message),
        attributes=attributes,
        events=tuple(SpanEvent(_clean(one.name), one.time_unix_nano, pairs(one.attributes)) for one in raw.events),
        links=tuple(
            SpanLink(
                TRACE_PREFIX + _id(one.trace_id, _TRACE_BYTES, of="link"),
                _id(one.span_id, _SPAN_BYTES, of="link"),
                pairs(one.attributes),
            )
            for one in raw.links
        ),
        figures=figures_of(attributes),
    )


def _protobuf_value(any_value: Any, depth: int) -> Any:
    field = any_value.WhichOneof("value")
    if field is None:
        return None
    if field == "array_value":
        return [_protobuf_value(one, depth + 1) for one in any_value.array_value.values]
    if field == "kvlist_value":
        return {_clean(one.key): _protobuf_value(one.value, depth + 1) for one in any_value.kvlist_value.values}
    return _clean(getattr(any_value, field))


def _json_value(any_value: _AnyValue | None, depth: int) -> Any:
    if any_value is None:
        return None
    if depth > _DEEPEST:
        raise Failure("BAD_REQUEST", f"{_UNREADABLE}: a value is nested too deeply")
    if any_value.array_value is not None:
        return [_json_value(one, depth + 1) for one in any_value.array_value.values]
    if any_value.kvlist_value is not None:
        return {_clean(one.key): _json_value(one.value, depth + 1) for one in any_value.kvlist_value.values}
    if any_value.double_value is not None:
        try:
            return float(any_value.double_value)
        except ValueError as error:
            raise Failure("BAD_REQUEST", f"{_UNREADABLE}: {error}") from error
    if any_value.int_value is not None and not -(2**63) <= any_value.int_value < 2**63:
        raise Failure("BAD_REQUEST", f"{_UNREADABLE}: an integer has more than 64 bits")
    plain = (any_value.string_value, any_value.bool_value, any_value.int_value, any_value.bytes_value)
    return next((_clean(one) for one in plain if one is not None), None)


def _clean(value: Any) -> Any:
    """Return text without NUL, which protobuf takes and databases do not."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def _id(given: bytes | str, size: int, *, of: str) -> str:
    """Return an id as so many hexadecimal digits."""
    digits = given.lower() if isinstance(given, str) else given.hex()
    if len(digits) != 2 * size or not _HEX.fullmatch(digits):
        raise _no_span(f"its {of} has to be {size} bytes")
    return digits


def _parent(given: bytes | str) -> str | None:
    """Return the id of a parent; zero means that there is none."""
    digits = _id(given, _SPAN_BYTES, of="parent_span_id") if given else ""
    return digits if digits.strip("0") else None


def _no_span(why: str) -> Failure:
    return Failure("INVALID_PARAMETER_VALUE", f"Cannot convert OpenTelemetry span to MLflow span: {why}", status=422)
