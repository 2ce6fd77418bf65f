"""Speak Triton's generate extension: one row in a flat JSON object, its answer whole or part by part.

Source: Triton's generate extension of the Open Inference Protocol. `/generate` answers with one JSON object;
`/generate_stream` with server-sent events, each with such an object, and with `{"error": …}` where the model fails
after the first of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, did_you_mean
from interlock.core.schema import Signature
from interlock.server.answering import Answering
from interlock.server.calls import Call, Reply, StreamReply, encode_json
from interlock.server.data_routes import DataRoute
from interlock.server.oip_routes import error_shape
from interlock.serving.engine import EndpointEngine
from interlock.serving.requests import question
from interlock.serving.routing import Routing
from interlock.serving.streaming import AnswerStream, Part

EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_UNCACHED = (b"cache-control", b"no-cache")

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Generation(msgspec.Struct):
    """A request of this extension.

    Args:
        row: The values of the model's inputs.
        parameters: What else it says.
        id: Its id, if it has one.
    """

    row: dict[str, Any]
    parameters: dict[str, Any]
    id: str | None


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes of the extension."""
    speaker = _Generating(answering)
    return [
        DataRoute(method="POST", path=f"/v2/models/{{name}}{version}/{verb}", handler=handler, shape=error_shape)
        for version in ("", "/versions/{version}")
        for verb, handler in (("generate", speaker.generate), ("generate_stream", speaker.generate_stream))
    ]


def read_generation(body: bytes, signature: Signature) -> Generation:
    """Read a request: inputs by name, at the top or among its parameters; a list of one value counts as the value.

    Raises:
        InvalidInput: It is no JSON object, or names something that is no input.
    """
    try:
        said = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("the request cannot be read", why=f"expected a JSON object; {error}") from error
    inputs = {column.name: column for column in signature.inputs}
    request_id = said.pop("id", None) if "id" not in inputs else None
    parameters = said.pop("parameters", None) if "parameters" not in inputs else None
    if not isinstance(parameters, (dict, type(None))) or not isinstance(request_id, (str, type(None))):
        raise InvalidInput("the request cannot be read", why="'parameters' is an object, 'id' a string")
    row: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in (parameters or {}).items():
        (row if name in inputs else rest)[name] = value
    for name, value in said.items():
        if name not in inputs:
            raise InvalidInput(f"the model takes no '{name[:100]}'", why=did_you_mean(name[:100], inputs))
        row[name] = value
    for name, value in row.items():
        if inputs[name].shape is None and isinstance(value, list) and len(value) == 1:
            row[name] = value[0]
    for name, column in inputs.items():
        if column.nullable:
            row.setdefault(name, None)
    return Generation(row, rest, request_id)


class _Generating:
    """The handlers."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def generate(self, call: Call, params: dict[str, str]) -> Reply:
        stream, wanted, engine = await self._opened(call, params)

        def whole() -> Reply:
            parts = list(stream)
            answer = stream.whole(parts)
            return Reply(encode_json(_object(engine, stream, answer, wanted)))

        return await self._answering.in_thread(whole)

    async def generate_stream(self, call: Call, params: dict[str, str]) -> Reply:
        stream, wanted, engine = await self._opened(call, params)
        # what fails before the first part is told by its status, as everywhere else
        first = await self._answering.in_thread(stream.next)
        events = self._events(engine, stream, wanted, first)
        return StreamReply(headers=(EVENTS, _UNCACHED), chunks=events, gone=call.gone)

    async def _opened(self, call: Call, params: dict[str, str]) -> tuple[AnswerStream, Generation, EndpointEngine]:
        engine = self._answering.host.engine(params["name"])
        body = await call.body()
        routing: Routing = engine.routing
        wanted = read_generation(body, routing.live.model.signature)
        table = routing.check.records([wanted.row])
        asked = question(table, wanted.parameters, now_micros=engine.now_micros())
        return engine.stream(asked, routing=routing, version=params.get("version")), wanted, engine

    async def _events(
        self, engine: EndpointEngine, stream: AnswerStream, wanted: Generation, first: Part | None
    ) -> AsyncGenerator[bytes, None]:
        part = first
        asking: asyncio.Future[Part | None] | None = None
        try:
            while part is not None:
                yield _event(_object(engine, stream, part, wanted))
                # the next part is asked for when the last one was taken, so a slow reader slows the model down
                asking = asyncio.ensure_future(self._answering.in_thread(stream.next))
                part = await asyncio.shield(asking)
        except InterlockError as error:
            yield _event(error_shape(error)[1])
        finally:
            if asking is not None and not asking.done():
                # the model is at work in its thread; it can be stopped when that part is there
                asking.add_done_callback(lambda done: self._stop(stream, done))
            else:
                await asyncio.shield(self._answering.in_thread(stream.close))

    def _stop(self, stream: AnswerStream, done: asyncio.Future[Part | None]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._answering.aside(stream.close)


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + encode_json(value) + b"\n\n"


def _object(engine: EndpointEngine, stream: AnswerStream, part: Part, wanted: Generation) -> dict[str, Any]:
    head: dict[str, Any] = {"model_name": engine.name, "model_version": stream.version, "prediction_id": stream.id}
    if wanted.id:
        head["id"] = wanted.id
    return {**head, **part}
