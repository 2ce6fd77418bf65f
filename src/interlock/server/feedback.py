"""Take in what proved true, by prediction id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from interlock.core.clock import to_micros
from interlock.core.errors import InterlockError, InvalidInput, LimitExceeded
from interlock.ports.prediction_log import Feedback
from interlock.server.answering import Answering
from interlock.server.calls import Call, Reply, encode_json
from interlock.server.data_routes import DataRoute
from interlock.server.oip_routes import error_shape
from interlock.serving.validation import MAX_ROWS


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes that take feedback."""
    host = answering.host

    async def feedback(call: Call, params: dict[str, str]) -> Reply:
        if "name" in params:
            host.engine(params["name"])
        truths = read_truths(await call.body(), now_micros=to_micros(host.clock.now()))
        receipt = await answering.in_thread(lambda: host.log.feedback(truths))
        return Reply(encode_json(write_receipt(receipt)))

    return [
        DataRoute(method="POST", path="/api/v1/feedback", handler=feedback, shape=problem_shape),
        DataRoute(method="POST", path="/v2/models/{name}/feedback", handler=feedback, shape=error_shape),
    ]


def problem_shape(error: InterlockError) -> tuple[int, Any]:
    """Return the status and body of an error as a Problem."""
    return error.http_status, {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}


class Truth(msgspec.Struct, forbid_unknown_fields=True):
    """One truth as callers send it; without `known_at` it became known now."""

    prediction_id: str
    truth: bool | int | float | str | None
    known_at: datetime | None = None
    source: str = ""


class Truths(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a feedback request; a bare list is taken too."""

    feedback: list[Truth]


_decode = msgspec.json.Decoder(Truths).decode
_decode_list = msgspec.json.Decoder(list[Truth]).decode


def read_truths(body: bytes, *, now_micros: int) -> list[Feedback]:
    """Return the truths of a feedback request.

    Raises:
        InvalidInput: It cannot be read, is empty, or has a time without a zone.
    """
    try:
        truths = _decode_list(body) if body.lstrip()[:1] == b"[" else _decode(body).feedback
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(
            "the feedback cannot be read",
            why=str(error),
            fix='[{"prediction_id": "…", "truth": 1, "known_at": "2013-01-01T09:00:00Z", "source": "…"}]',
        ) from error
    if not truths:
        raise InvalidInput("the feedback is empty", why="at least one truth is expected")
    if len(truths) > MAX_ROWS:
        raise LimitExceeded(f"the feedback has {len(truths)} truths", why=f"at most {MAX_ROWS} fit in one request")
    return [
        Feedback(
            prediction=one.prediction_id,
            truth=one.truth,
            known_at=now_micros if one.known_at is None else to_micros(one.known_at),
            source=one.source,
        )
        for one in truths
    ]


def write_receipt(receipt: Any) -> dict[str, Any]:
    """Return what became of the feedback, unknown ids named."""
    return {"accepted": receipt.accepted, "duplicates": receipt.duplicates, "unknown": list(receipt.unknown)}
