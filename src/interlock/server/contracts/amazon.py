"""Read what SageMaker's headers say of a call, and frame events as Amazon's clients read them.

Source: SageMaker, how containers serve requests, and the API `sagemaker-runtime`; the `application/vnd.amazon`
`.eventstream` format.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

import msgspec

from interlock.core.errors import InvalidInput
from interlock.ports.prediction_log import is_prediction_id
from interlock.server.calls import Call, Header

EVENT_STREAM = b"application/vnd.amazon.eventstream"
_IDENTITY = b"x-amzn-sagemaker-inference-id"
_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
_VARIANT = b"x-amzn-sagemaker-target-variant"
_MODEL = b"x-amzn-sagemaker-target-model"
_LONGEST_ATTRIBUTES = 1_024
_TEXT = 7


class Amazon(msgspec.Struct):
    """What SageMaker's headers say.

    Args:
        identity: The id that the caller gives the prediction; empty for none.
        variant: The version that shall answer; None for any.
        model: The model that shall answer; None for the only one.
        echoed: What the answer carries back.
        is_signed: Whether an Amazon client made the call, which reads errors in the words of the runtime API.
    """

    identity: str
    variant: str | None
    model: str | None
    echoed: tuple[Header, ...]
    is_signed: bool


def read_amazon(call: Call) -> Amazon:
    """Return what a call's headers say.

    Raises:
        InvalidInput: An id or attributes cannot be carried.
    """
    identity = call.header(_IDENTITY) or ""
    if identity and not is_prediction_id(identity):
        raise InvalidInput("the inference id cannot be used", why="it is 1 to 200 printable characters")
    attributes = call.header(_ATTRIBUTES)
    if attributes is not None and len(attributes) > _LONGEST_ATTRIBUTES:
        raise InvalidInput("the custom attributes are too long", why=f"at most {_LONGEST_ATTRIBUTES} characters")
    echoed = ((_ATTRIBUTES, attributes.encode("latin-1")),) if attributes else ()
    variant = call.header(_VARIANT)
    return Amazon(
        identity=identity,
        variant=None if variant in (None, "", "AllTraffic") else variant,
        model=call.header(_MODEL),
        echoed=echoed,
        is_signed=(call.header(b"authorization") or "").startswith("AWS4-")
        or call.header(b"amz-sdk-invocation-id") is not None,
    )


def event_frame(payload: bytes, headers: Mapping[str, str]) -> bytes:
    """Return one event of an event stream: lengths, their checksum, headers, payload, and the checksum of all.

    Example:
        >>> len(event_frame(b"", {":event-type": "PayloadPart"}))
        43
    """
    head = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _TEXT, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    frame = prelude + struct.pack("!I", crc32(prelude)) + head + payload
    return frame + struct.pack("!I", crc32(frame))


def part_frame(payload: bytes) -> bytes:
    """Return one part of an answer."""
    return event_frame(
        payload,
        {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"},
    )


def failure_frame(message: bytes) -> bytes:
    """Return the end of an answer whose model failed after its first part."""
    return event_frame(
        message,
        {":message-type": "exception", ":exception-type": "ModelStreamError", ":content-type": "application/json"},
    )
