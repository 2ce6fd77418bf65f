"""Read requests that are CloudEvents, and answer them by CloudEvents, as KServe does.

Source: CloudEvents 1.0, HTTP binding: binary (the attributes are `ce-` headers, the body is the data) and structured
(the body is an `application/cloudevents+json` object that holds the data). `CE_MERGE`, `CE_TYPE` and `CE_SOURCE` are
KServe's variables for the answer's attributes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from interlock.core.errors import InvalidInput
from interlock.server.calls import JSON, Call, Header, Reply, encode_json

STRUCTURED = "application/cloudevents+json"
_REQUIRED = ("specversion", "id", "source", "type")
_OPTIONAL = ("time", "subject", "datacontenttype", "dataschema")
_VERSIONS = ("1.0", "0.3")


class CloudEvent(msgspec.Struct):
    """An event: its attributes and its data.

    Args:
        attributes: By name, `specversion`, `id`, `source` and `type` among them.
        data: What it holds, as bytes of JSON.
        is_structured: Whether it came whole in the body.
    """

    attributes: dict[str, str]
    data: bytes
    is_structured: bool


def read_event(call: Call, body: bytes) -> CloudEvent | None:
    """Return the event that a request is, or None where it is a plain request.

    Raises:
        InvalidInput: It is an event that lacks an attribute, or cannot be read.
    """
    if call.media_type == STRUCTURED:
        return _structured(body)
    if call.header(b"ce-specversion") is None:
        return None
    names = (*_REQUIRED, *_OPTIONAL)
    found = {name: value for name in names if (value := call.header(f"ce-{name}".encode())) is not None}
    return CloudEvent(_checked(found), body, is_structured=False)


def _structured(body: bytes) -> CloudEvent:
    try:
        event = msgspec.json.decode(body, type=dict[str, Any])
        data = base64.b64decode(event["data_base64"], validate=True) if "data_base64" in event else None
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, TypeError, ValueError) as error:
        raise InvalidInput("the CloudEvent cannot be read", why=str(error)) from error
    if data is None:
        if "data" not in event:
            raise InvalidInput("the CloudEvent has no data", why="expected `data` or `data_base64`")
        data = encode_json(event["data"])
    attributes = {name: value for name, value in event.items() if isinstance(value, str) and name != "data_base64"}
    attributes.pop("data", None)
    return CloudEvent(_checked(attributes), data, is_structured=True)


def _checked(attributes: dict[str, str]) -> dict[str, str]:
    lacking = [name for name in _REQUIRED if not attributes.get(name)]
    if lacking:
        raise InvalidInput("the CloudEvent is not whole", why=f"it lacks {', '.join(lacking)}")
    if attributes["specversion"] not in _VERSIONS:
        raise InvalidInput("the CloudEvent is of another version", why=f"expected {' or '.join(_VERSIONS)}")
    return attributes


def answer_event(event: CloudEvent, reply: dict[str, Any], *, model: str, environ: Mapping[str, str]) -> Reply:
    """Return the event that answers another, in the same mode.

    Args:
        event: The one that came.
        reply: What the plain answer would be.
        model: Name of the model that answered.
        environ: `CE_TYPE` and `CE_SOURCE` are the answer's; `CE_MERGE=true` keeps the other attributes that came.
    """
    attributes = dict(event.attributes) if environ.get("CE_MERGE", "").lower() == "true" else {}
    attributes.pop("datacontenttype", None)
    attributes |= {
        "specversion": event.attributes["specversion"],
        "id": str(uuid4()),
        "time": datetime.now(UTC).isoformat(),
        "type": environ.get("CE_TYPE", "io.kserve.inference.response"),
        "source": environ.get("CE_SOURCE", f"io.kserve.inference.{model}"),
    }
    if event.is_structured:
        return Reply(encode_json({**attributes, "data": reply}), headers=((b"content-type", STRUCTURED.encode()),))
    headers: list[Header] = [JSON]
    headers += [(f"ce-{name}".encode("ascii", "ignore"), _safe(value)) for name, value in attributes.items()]
    return Reply(encode_json(reply), headers=tuple(headers))


def _safe(value: str) -> bytes:
    """Return text as a header may hold it: no line breaks, nothing beyond Latin-1."""
    return "".join(char for char in value if char.isprintable()).encode("latin-1", "replace")
