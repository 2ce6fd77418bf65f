"""Count what is in an OTLP request before it is unpacked: of two bytes a parser may make two hundred.

Source: protobuf's wire format; the message fields of OTLP's `trace_service.proto`.
"""

from __future__ import annotations

from interlock.server.mlflow.wire import Failure

FEW_BYTES = 1024 * 1024
"""Requests up to this size are not counted: whatever is in them fits the memory."""
MOST_MESSAGES = 300_000
"""Spans, events, attributes and values in one request; a span of MLflow's client has about twenty."""

MOST_FIELDS = 10 * MOST_MESSAGES
"""Fields of any kind in one request: reading them one by one must not take the server's time."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

# which fields of a message are messages themselves, by number; the rest is text, numbers, or unknown
_FIELDS: dict[str, dict[int, str]] = {
    "request": {1: "resource spans"},
    "resource spans": {1: "resource", 2: "scope spans"},
    "resource": {1: "pair", 3: "entity"},
    "entity": {},
    "scope spans": {1: "scope", 2: "span"},
    "scope": {3: "pair"},
    "span": {9: "pair", 11: "event", 13: "link", 15: "status"},
    "event": {3: "pair"},
    "link": {4: "pair"},
    "status": {},
    "pair": {2: "value"},
    "value": {5: "list", 6: "pairs"},
    "list": {1: "value"},
    "pairs": {1: "pair"},
}


def check_protobuf(body: bytes) -> None:
    """Refuse a request in protobuf that holds too much; what is no protobuf is left to the parser.

    Raises:
        Failure: There are more messages than `MOST_MESSAGES`, or fields than `MOST_FIELDS` (413).
    """
    if len(body) <= FEW_BYTES:
        return
    count = seen = 0
    waiting = [(0, len(body), "request")]
    while waiting:
        at, end, kind = waiting.pop()
        fields = _FIELDS[kind]
        while at < end:
            tag, at = _varint(body, at, end)
            seen += 1
            if seen > MOST_FIELDS:
                raise _too_many()
            if tag < 8:  # there is no field 0
                return
            wire = tag & 7
            if wire == _LENGTH:
                size, at = _varint(body, at, end)
                if at + size > end:
                    return
                inner = fields.get(tag >> 3)
                if inner is not None:
                    count += 1
                    if count > MOST_MESSAGES:
                        raise _too_many()
                    waiting.append((at, at + size, inner))
                at += size
            elif wire == _VARINT:
                _, at = _varint(body, at, end)
            elif wire in (_FIXED64, _FIXED32):
                at += 8 if wire == _FIXED64 else 4
            else:
                return


def check_json(body: bytes) -> None:
    """Refuse a request in JSON that holds too many objects and lists.

    Raises:
        Failure: There are more than `MOST_MESSAGES` (413).
    """
    if len(body) > FEW_BYTES and body.count(b"{") + body.count(b"[") > 2 * MOST_MESSAGES:
        raise _too_many()


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number and where it ends; one that does not end is read as one that ends with the message."""
    value = shift = 0
    while at < end:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return value, at
        shift += 7
    return value, end


def _too_many() -> Failure:
    message = f"The request holds too much: at most {MOST_MESSAGES} spans, events, attributes and values are taken."
    return Failure("BAD_REQUEST", message, status=413)
