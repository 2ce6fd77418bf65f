from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.server.calls import WholeCall
from interlock.server.contracts.cloud_events import STRUCTURED, answer_event, read_event
from interlock.server.limits import Limits

BINARY = {b"ce-specversion": b"1.0", b"ce-id": b"7", b"ce-source": b"here", b"ce-type": b"asked", b"ce-subject": b"s"}
WHOLE = {"specversion": "1.0", "id": "7", "source": "here", "type": "asked", "data": {"instances": []}}


def call_of(headers: dict[bytes, bytes], body: bytes = b"{}") -> WholeCall:
    return WholeCall({"method": "POST", "query_string": b""}, headers, body, Limits())


def structured(event: Any) -> Any:
    body = json.dumps(event).encode()
    return read_event(call_of({b"content-type": STRUCTURED.encode()}, body), body)


def test_a_plain_request_is_no_event() -> None:
    assert read_event(call_of({b"content-type": b"application/json"}), b"{}") is None


def test_a_binary_event_is_answered_by_a_binary_one() -> None:
    event = read_event(call_of(BINARY), b"{}")
    assert event is not None
    reply = answer_event(event, {"predictions": [1]}, model="delay", environ={})
    headers = dict(reply.headers)
    assert json.loads(reply.body) == {"predictions": [1]}
    assert headers[b"ce-type"] == b"io.kserve.inference.response"
    assert headers[b"ce-source"] == b"io.kserve.inference.delay"
    assert headers[b"ce-id"] != b"7"
    assert b"ce-subject" not in headers


def test_attributes_are_kept_where_the_environment_says_so() -> None:
    event = read_event(call_of({**BINARY, b"ce-time": b"2020-01-01T00:00:00Z"}), b"{}")
    assert event is not None
    environ = {"CE_MERGE": "true", "CE_TYPE": "mine", "CE_SOURCE": "me\r\nx: y"}
    headers = dict(answer_event(event, {}, model="delay", environ=environ).headers)
    assert (headers[b"ce-subject"], headers[b"ce-type"], headers[b"ce-source"]) == (b"s", b"mine", b"mex: y")
    assert headers[b"ce-time"] != b"2020-01-01T00:00:00Z"


def test_a_structured_event_is_answered_by_a_structured_one() -> None:
    for event in (
        structured(WHOLE),
        structured({**WHOLE, "data": None, "data_base64": base64.b64encode(b"{}").decode()}),
    ):
        reply = answer_event(event, {"predictions": [1]}, model="delay", environ={})
        assert dict(reply.headers)[b"content-type"] == STRUCTURED.encode()
        found = json.loads(reply.body)
        assert (found["data"], found["specversion"]) == ({"predictions": [1]}, "1.0")


@pytest.mark.parametrize(
    "event",
    [
        {**WHOLE, "specversion": "9"},
        {name: value for name, value in WHOLE.items() if name != "data"},
        {name: value for name, value in WHOLE.items() if name != "source"},
        {**WHOLE, "data_base64": "?"},
        {**WHOLE, "data_base64": 5},
        [1],
    ],
)
def test_events_that_are_not_whole_are_refused(event: Any) -> None:
    with pytest.raises(InvalidInput, match="CloudEvent"):
        structured(event)


def test_a_binary_event_without_a_source_is_refused() -> None:
    with pytest.raises(InvalidInput, match="it lacks source"):
        read_event(call_of({**BINARY, b"ce-source": b""}), b"{}")
