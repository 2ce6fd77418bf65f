"""Speak KServe's protocol V1: `/v1/models/{name}:predict` with `instances` or `inputs`.

Source: KServe's data plane, version 1. The prediction of a classifier is its label, as KServe's own servers give it;
all outputs and the prediction ids come beside it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, SchemaMismatch, Unavailable
from interlock.server.answering import Answering
from interlock.server.calls import Call, Reply, StatusError, encode_json
from interlock.server.contracts.cloud_events import answer_event, read_event
from interlock.server.contracts.invocations import decode_loose
from interlock.server.contracts.predictions import beside, predictions
from interlock.server.contracts.rows import read_loose
from interlock.server.data_routes import DataRoute, Handler
from interlock.server.guard import Access
from interlock.serving.validation import RowCheck, Table


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes of KServe V1."""
    host = answering.host

    async def models(call: Call, params: dict[str, str]) -> Reply:
        return Reply(encode_json({"models": list(host.engines)}))

    async def model(call: Call, params: dict[str, str]) -> Reply:
        name = params["name"]
        if not host.engine(name).is_ready:
            raise Unavailable(f"Model with name {name[:100]} is not ready", why="it is not loaded yet")
        return Reply(encode_json({"name": name, "ready": True}))

    async def predict(call: Call, params: dict[str, str]) -> Reply:
        engine = host.engine(params["name"])
        body = await call.body()
        event = read_event(call, body)
        data = body if event is None else event.data
        answer, _ = await answering.predict(engine, lambda check: read_instances(data, check), size_bytes=len(data))
        reply = {"predictions": predictions(answer.outputs), **beside(answer)}
        if event is None:
            return Reply(encode_json(reply))
        return answer_event(event, reply, model=engine.name, environ=os.environ)

    def route(method: str, path: str, handler: Handler, access: Access = "data") -> DataRoute:
        return DataRoute(method=method, path=path, handler=handler, shape=error_body, access=access)

    async def alive(call: Call, params: dict[str, str]) -> Reply:
        return Reply(encode_json({"status": "alive"}))

    return [
        route("GET", "/", alive, "open"),
        route("GET", "/v1/models", models),
        route("GET", "/v1/models/{name}", model),
        route("POST", "/v1/models/{name}:predict", predict),
    ]


def unexplained_routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the route of explanations where nothing explains."""

    async def explain(call: Call, params: dict[str, str]) -> Reply:
        engine = answering.host.engine(params["name"])
        error = InvalidInput(
            f"'{engine.name}' has no explainer", why="this server explains no predictions", fix="ask :predict"
        )
        raise StatusError(501, error)

    return [DataRoute(method="POST", path="/v1/models/{name}:explain", handler=explain, shape=error_body)]


def read_instances(body: bytes, check: RowCheck) -> tuple[Table, dict[str, Any]]:
    """Return the rows of `instances` or `inputs`, and what the request says of them in `parameters`.

    Raises:
        InvalidInput: It cannot be read, or has neither or both.
        SchemaMismatch: The rows do not fit the signature.
    """
    call = decode_loose(body)
    given = [rows for rows in (call.instances, call.inputs) if rows is not None]
    if len(given) != 1:
        raise InvalidInput("the request has no rows" if not given else "the request has rows twice", why=_EXPECTED)
    parameters = call.params if call.parameters is msgspec.UNSET else call.parameters
    return read_loose(given[0], check), parameters if isinstance(parameters, dict) else {}


_EXPECTED = 'expected {"instances": [row, …]}, or `inputs` in its place'


def error_body(error: InterlockError) -> tuple[int, dict[str, str]]:
    """Return the status and body of an error in KServe's shape."""
    status = 400 if isinstance(error, SchemaMismatch) else error.http_status
    return status, {"error": error.what + (f"; {error.why}" if error.why else "")}
