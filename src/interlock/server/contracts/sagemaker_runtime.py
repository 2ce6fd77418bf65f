"""Speak the API `sagemaker-runtime`, under which Amazon's clients call endpoints: boto3 with an `endpoint_url`.

Source: the API's service model: paths, headers, and errors by name: a request that the model refuses is a `ModelError`
(424) with the model's own status beside it. Whoever calls without an Amazon client gets MLflow's shapes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

from interlock.core.errors import InterlockError, InvalidInput, NotFound, Overloaded, Unavailable
from interlock.core.ids import new_id
from interlock.server.answering import Answering
from interlock.server.calls import JSON, Call, Header, Reply, StatusError, StreamReply, encode_json
from interlock.server.contracts.amazon import EVENT_STREAM, Amazon, failure_frame, part_frame, read_amazon
from interlock.server.contracts.invocations import checked_type, error_body, invoke, read_request
from interlock.server.data_routes import DataRoute, Handler
from interlock.serving.engine import EndpointEngine
from interlock.serving.requests import IDS, question
from interlock.serving.streaming import AnswerStream, Part

_VARIANT = b"x-amzn-invoked-production-variant"


def routes(answering: Answering) -> Sequence[DataRoute]:
    """Return the routes of the runtime API."""
    runtime = _Runtime(answering)

    def route(path: str, handler: Handler) -> DataRoute:
        return DataRoute(method="POST", path=path, handler=handler, shape=error_body)

    return [
        route("/endpoints/{name}/invocations", runtime.invocations),
        route("/endpoints/{name}/invocations-response-stream", runtime.stream),
        route("/endpoints/{name}/async-invocations", runtime.later),
    ]


class _Runtime:
    """The handlers."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def invocations(self, call: Call, params: dict[str, str]) -> Reply:
        return await self._told(call, params, self._invocations)

    async def stream(self, call: Call, params: dict[str, str]) -> Reply:
        return await self._told(call, params, self._stream)

    async def later(self, call: Call, params: dict[str, str]) -> Reply:
        return await self._told(call, params, self._later)

    async def _told(
        self,
        call: Call,
        params: dict[str, str],
        work: Callable[[Call, EndpointEngine, Amazon], Awaitable[Reply]],
    ) -> Reply:
        asked = read_amazon(call)
        if not asked.is_signed:
            return await work(call, self._answering.host.engine(params["name"]), asked)
        try:
            return await work(call, self._engine(params["name"]), asked)
        except (InterlockError, StatusError) as error:
            return runtime_error(error)

    def _engine(self, name: str) -> EndpointEngine:
        try:
            return self._answering.host.engine(name)
        except NotFound as error:
            raise _Invalid(f"Endpoint {name[:100]} not found.", why=error.why) from error

    async def _invocations(self, call: Call, engine: EndpointEngine, asked: Amazon) -> Reply:
        version = _version(engine, asked)
        headers: tuple[Header, ...] = asked.echoed
        if asked.is_signed:
            headers = (*headers, (_VARIANT, (version or engine.routing.live.model.version).encode()))
        return await invoke(self._answering, call, engine, version=version, identity=asked.identity, headers=headers)

    async def _stream(self, call: Call, engine: EndpointEngine, asked: Amazon) -> Reply:
        media_type = checked_type(call.header(b"content-type"))
        body = await call.body()
        version = _version(engine, asked)
        routing = engine.routing
        table, params, _ = read_request(body, media_type, routing.check)
        if asked.identity:
            params = {**params, IDS: [asked.identity]}
        about = question(table, params, now_micros=engine.now_micros())
        stream = engine.stream(about, routing=routing, version=version)
        first = await self._answering.in_thread(stream.next)
        headers = (
            (b"content-type", EVENT_STREAM),
            (b"x-amzn-sagemaker-content-type", b"application/jsonlines"),
            (_VARIANT, stream.version.encode()),
            *asked.echoed,
        )
        return StreamReply(headers=headers, chunks=self._frames(stream, first), gone=call.gone)

    async def _frames(self, stream: AnswerStream, first: Part | None) -> AsyncGenerator[bytes, None]:
        part = first
        try:
            while part is not None:
                yield part_frame(encode_json(part) + b"\n")
                part = await self._answering.in_thread(stream.next)
        except InterlockError as error:
            message = {"Message": error.what, "ErrorCode": "ModelInvocationFailed"}
            yield failure_frame(encode_json(message))
        finally:
            await self._answering.in_thread(stream.close)

    async def _later(self, call: Call, engine: EndpointEngine, asked: Amazon) -> Reply:
        raise _Invalid(
            f"Endpoint {engine.name} answers at once: asynchronous inference is not offered",
            why="its inputs and answers would lie in S3",
            fix="invoke_endpoint(…)",
        )


class _Invalid(StatusError):
    """What the API itself refuses, before any model is asked."""

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(400, InvalidInput(what, why=why, fix=fix))


def _version(engine: EndpointEngine, asked: Amazon) -> str | None:
    """Return the version that a variant means: versions of a model are an endpoint's variants.

    Raises:
        StatusError: No such version answers behind the endpoint.
    """
    if asked.variant is None:
        return None
    try:
        return engine.routing.version(asked.variant.removeprefix("v")).model.version
    except NotFound as error:
        raise _Invalid(f"Variant {asked.variant[:100]} not found for endpoint {engine.name}", why=error.why) from error


def runtime_error(error: InterlockError | StatusError) -> Reply:
    """Return an error as Amazon's clients parse it.

    Args:
        error: What went wrong: before a model was asked, or because of what it was asked.
    """
    problem = error.error if isinstance(error, StatusError) else error
    message = problem.what + (f"; {problem.why}" if problem.why else "")
    body: dict[str, Any] = {"Message": message, "message": message}
    if isinstance(error, _Invalid):
        status, code = 400, "ValidationError"
    elif isinstance(problem, Unavailable):
        status, code = 429, "ModelNotReadyException"
    elif isinstance(problem, Overloaded):
        status, code = 429, "ThrottlingException"
    else:
        original, said = error_body(problem)
        original = error.status if isinstance(error, StatusError) else original
        status, code = (424, "ModelError") if original < 500 else (500, "InternalFailure")
        if status == 424:
            body |= {"OriginalStatusCode": original, "OriginalMessage": encode_json(said).decode(), "LogStreamArn": ""}
    headers = ((b"x-amzn-errortype", code.encode()), (b"x-amzn-requestid", new_id().encode()))
    return Reply(encode_json(body), status, (JSON, *headers))
