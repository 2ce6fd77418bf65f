"""Requests that are small on the wire and large in memory."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from interlock.server.mlflow.otlp_limits import FEW_BYTES, MOST_MESSAGES, check_json, check_protobuf
from interlock.server.mlflow.wire import Failure


def _field(number: int, body: bytes) -> bytes:
    size, digits = len(body), b""
    while size >= 0x80:
        digits += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + digits + bytes([size]) + body


def _in_span(body: bytes) -> bytes:
    return _field(1, _field(2, _field(2, body)))


MANY = MOST_MESSAGES + 1
BOMBS = {
    "resource spans": _field(1, b"") * MANY * 2,
    "spans": _field(1, _field(2, _field(2, b"") * MANY * 2)),
    "named spans": _field(1, _field(2, _field(2, _field(5, b"x")) * MANY)),
    "attributes": _in_span(_field(9, b"") * MANY * 2),
    "events": _in_span(_field(11, b"") * MANY * 2),
    "values in a list": _in_span(_field(9, _field(2, _field(5, _field(1, b"") * MANY * 2)))),
    "pairs in a map": _in_span(_field(9, _field(2, _field(6, _field(1, b"") * MANY * 2)))),
    "origins": _field(1, _field(1, _field(1, b"") * MANY * 2)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_messages_is_refused(name: str) -> None:
    assert len(BOMBS[name]) > FEW_BYTES
    with pytest.raises(Failure) as caught:
        check_protobuf(BOMBS[name])
    assert caught.value.status == 413


def test_a_large_request_of_few_spans_passes() -> None:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(100):
        span = scope.spans.add(span_id=b"12345678", start_time_unix_nano=number, flags=7)
        span.attributes.add(key="text").value.CopyFrom(AnyValue(string_value="\x0a\x00" * 100_000))
        span.attributes.add(key="number").value.CopyFrom(AnyValue(double_value=0.5))
    body = request.SerializeToString()
    assert len(body) > 10 * FEW_BYTES
    check_protobuf(body)


@pytest.mark.parametrize("ending", [b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f", b"\x0b", b"\x0a", b"\x09\x01"])
def test_what_is_no_protobuf_is_left_to_the_parser(ending: bytes) -> None:
    check_protobuf(_field(5, bytes(2 * FEW_BYTES)) + ending)


def test_json_is_counted_by_its_braces() -> None:
    with pytest.raises(Failure):
        check_json(b'{"resourceSpans":[' + b"{}," * MANY * 2 + b"{}]}")
    with pytest.raises(Failure):
        check_json(b"[" + b"[]," * MANY * 2 + b"[]]")
    check_json(b'{"resourceSpans":["' + b"x" * 3 * FEW_BYTES + b'"]}')
