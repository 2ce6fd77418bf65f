"""Write spans as MLflow shows them: in OTLP's JSON of protobuf, or in the form of a trace's file.

Source: OpenTelemetry's `trace.proto` and `common.proto`, protobuf's JSON mapping with names as in the files.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from interlock.core.plain import as_text
from interlock.ports.trace_store import RecordedTrace, Span

TRACE_PREFIX = "tr-"
REQUEST_ID = "mlflow.traceRequestId"
"""The attribute in which a span names its trace."""
SIZES = "mlflow.trace.sizeStats"
"""The metadata in which a client says how many spans a trace has."""
_CODES = {"UNSET": "STATUS_CODE_UNSET", "OK": "STATUS_CODE_OK", "ERROR": "STATUS_CODE_ERROR"}


def span_record(trace_id: str, span: Span) -> dict[str, Any]:
    """Return a span as in OTLP."""
    record: dict[str, Any] = {
        "trace_id": _trace_bytes(trace_id),
        "span_id": _bytes(span.id),
        "name": span.name,
        "start_time_unix_nano": span.start_ns,
        "attributes": _pairs(span.attributes),
        "status": {"code": _CODES[span.status], **({"message": span.message} if span.message else {})},
    }
    if span.parent is not None:
        record["parent_span_id"] = _bytes(span.parent)
    if span.end_ns is not None:
        record["end_time_unix_nano"] = span.end_ns
    if span.events:
        record["events"] = [
            {"time_unix_nano": one.time_ns, "name": one.name, "attributes": _pairs(one.attributes)}
            for one in span.events
        ]
    if span.links:
        record["links"] = [
            {"trace_id": _trace_bytes(one.trace), "span_id": _bytes(one.span), "attributes": _pairs(one.attributes)}
            for one in span.links
        ]
    return record


def file_record(trace_id: str, span: Span) -> dict[str, Any]:
    """Return a span as in the file of a trace, where every attribute is JSON in a string."""
    return {
        "trace_id": _trace_bytes(trace_id),
        "span_id": _bytes(span.id),
        "parent_span_id": None if span.parent is None else _bytes(span.parent),
        "name": span.name,
        "start_time_unix_nano": span.start_ns,
        "end_time_unix_nano": span.end_ns,
        "events": [
            {"name": one.name, "time_unix_nano": one.time_ns, "attributes": _finite(one.attributes)}
            for one in span.events
        ],
        "status": {"code": _CODES[span.status], "message": span.message},
        "attributes": {key: json.dumps(_finite(value)) for key, value in span.attributes.items()},
        "links": [
            {"trace_id": one.trace, "span_id": one.span, "attributes": _finite(one.attributes)} for one in span.links
        ],
    }


def is_whole(trace: RecordedTrace, spans: list[Span]) -> bool:
    """Say whether as many spans have come as the client said there are; at least one."""
    try:
        expected = json.loads(trace.metadata.get(SIZES, "{}"))["num_spans"]
    except (ValueError, KeyError, TypeError, RecursionError):
        expected = 1
    return len(spans) >= max(expected if isinstance(expected, int) else 1, 1)


def _pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, **({} if value is None else {"value": _any(value)})} for key, value in values.items()]


def _any(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, int):
        # what is beyond 64 bits with a sign has no other way to travel
        return {"int_value": value} if -(2**63) <= value < 2**63 else {"double_value": float(value)}
    if isinstance(value, float):
        return {"double_value": _finite(value)}
    if isinstance(value, bytes):
        return {"bytes_value": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"kvlist_value": {"values": _pairs({str(key): one for key, one in value.items()})}}
    if isinstance(value, (list, tuple)):
        return {"array_value": {"values": [_any(one) for one in value]}}
    return {"string_value": as_text(value)}


def _finite(value: Any) -> Any:
    """Return a value with what JSON lacks as the strings that protobuf writes for it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else as_text(value)


def _trace_bytes(trace_id: str) -> str:
    return _bytes(trace_id.removeprefix(TRACE_PREFIX))


def _bytes(digits: str) -> str:
    """Return hexadecimal digits as base64; an id that is none is its own bytes."""
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        data = digits.encode()
    return base64.b64encode(data).decode()
