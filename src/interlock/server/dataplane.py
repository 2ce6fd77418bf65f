"""Answer predictions and feedback: one small ASGI application for every protocol of the data plane."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import msgspec

from interlock.core.clock import to_micros
from interlock.core.errors import (
    InterlockError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Overloaded,
    Unavailable,
)
from interlock.server import feedback, invocations, oip
from interlock.server.calls import COMPRESS_FROM_BYTES, JSON, Call, Header, Reply, StatusError, compress, encode_json
from interlock.server.hosting import EndpointHost
from interlock.server.http import Receive, Scope, Send
from interlock.server.limits import Limits
from interlock.serving.engine import EndpointEngine
from interlock.serving.requests import question

DATA_LIMITS = Limits(body_bytes=6_291_456)
"""A request body has at most 6 MiB, as with SageMaker."""

_INLINE_BODY_BYTES = 32_768
_BINARY = (b"content-type", b"application/octet-stream")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_logger = logging.getLogger(__name__)


Handler = Callable[[Call], Awaitable[Reply]]
Shape = Callable[[InterlockError], tuple[int, Any]]
"""Gives an error's status and body in the words of a protocol."""


def _oip_error(error: InterlockError) -> tuple[int, Any]:
    return error.http_status, {"error": oip.error_text(error)}


class DataPlane:
    """The data plane as an ASGI application.

    Small requests to quick models are answered on the event loop; others in threads. Errors come in the shape of
    the protocol that was spoken; bad input is never a 500.

    Args:
        host: The endpoints.
        limits: What a request may bring, and how many may run at once.
        version: What `/version` says.
    """

    def __init__(self, host: EndpointHost, *, limits: Limits = DATA_LIMITS, version: str = "0.1.0") -> None:
        self._host = host
        self._limits = limits
        self._version = version
        self._in_flight = 0
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="interlock-data")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        method = scope["method"]
        shape: Shape = _oip_error
        try:
            wanted, handler, shape = self._find(_segments(scope))
            if method != wanted and not (method == "HEAD" and wanted == "GET"):
                allow = (b"allow", wanted.encode())
                raise StatusError(
                    405, InvalidInput(f"{method[:20]} is not possible here", why=f"expected {wanted}"), (allow,)
                )
            reply = await self._admitted(handler, Call(scope, headers, receive, self._limits))
        except StatusError as refusal:
            reply = _error_reply(shape(refusal.error)[1], refusal.status, refusal.headers)
        except InterlockError as error:
            status, body = shape(error)
            retry = ((b"retry-after", b"1"),) if status == 429 else ()
            reply = _error_reply(body, status, retry)
        except RecursionError:
            status, body = shape(LimitExceeded("the request is nested too deeply", why="it does not fit the stack"))
            reply = _error_reply(body, status)
        except Exception:  # noqa: BLE001 (the edge of the process)
            _logger.exception("%s %s failed", method, scope["path"])
            status, body = shape(InterlockError("the server could not answer", why="its log has the details"))
            reply = _error_reply(body, status)
        if b"accept-encoding" in headers and len(reply.body) >= COMPRESS_FROM_BYTES:
            compress(reply, headers[b"accept-encoding"])
        await reply.send(send, head_only=method == "HEAD")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def _admitted(self, handler: Handler, call: Call) -> Reply:
        if self._in_flight >= self._limits.in_flight:
            raise Overloaded(
                "the server is busy", why=f"{self._in_flight} requests are in flight", fix="try again soon"
            )
        self._in_flight += 1
        try:
            return await handler(call)
        finally:
            self._in_flight -= 1

    def _find(self, path: list[str]) -> tuple[str, Handler, Shape]:
        """Return the method, the handler and the error shape of a path."""
        match path:
            case ["v2", *rest]:
                return (*self._find_oip(rest), _oip_error)
            case ["endpoints", name, "invocations"]:
                return "POST", lambda call: self._invoke(call, self._host.engine(name)), invocations.error_body
            case ["invocations"]:
                return "POST", lambda call: self._invoke(call, self._host.only()), invocations.error_body
            case ["api", "v1", "feedback"]:
                return "POST", lambda call: self._feedback(call, None), _problem
            case ["ping" | "health"]:
                return "GET", self._ping, invocations.error_body
            case ["version"]:
                return "GET", lambda call: _text(self._version), invocations.error_body
        raise NotFound(f"there is nothing at /{'/'.join(path)[:200]}", why="see /v2/repository/index for endpoints")

    def _find_oip(self, path: list[str]) -> tuple[str, Handler]:
        host = self._host
        match path:
            case ["models", name, "infer"]:
                return "POST", lambda call: self._infer(call, name, None)
            case ["models", name, "versions", version, "infer"]:
                return "POST", lambda call: self._infer(call, name, version)
            case []:
                return "GET", lambda call: _json(lambda: oip.server_metadata(self._version))
            case ["health", "live"]:
                return "GET", lambda call: _json(lambda: {"live": True})
            case ["health", "ready"]:
                return "GET", self._ready
            case ["repository", "index"]:
                return "POST", self._index
            case ["repository", "models", name, "load"]:
                return "POST", lambda call: self._load(name)
            case ["repository", "models", name, "unload"]:
                return "POST", lambda call: _unload(name)
            case ["models", "stats"]:
                return "GET", lambda call: _json(lambda: oip.statistics(host.engines))
            case ["models", name]:
                return "GET", lambda call: _json(lambda: oip.model_metadata(host.engine(name), None))
            case ["models", name, "ready"]:
                return "GET", lambda call: self._model_ready(name, None)
            case ["models", name, "stats"]:
                return "GET", lambda call: _json(lambda: oip.statistics({name: host.engine(name)}))
            case ["models", name, "feedback"]:
                return "POST", lambda call: self._feedback(call, name)
            case ["models", name, "versions", version]:
                return "GET", lambda call: _json(lambda: oip.model_metadata(host.engine(name), version))
            case ["models", name, "versions", version, "ready"]:
                return "GET", lambda call: self._model_ready(name, version)
            case ["models", name, "versions", version, "stats"]:
                return "GET", lambda call: _json(lambda: oip.statistics({name: host.engine(name)}, version))
        raise NotFound(
            f"there is nothing at /v2/{'/'.join(path)[:200]}", why="GET /v2 names the extensions spoken here"
        )

    async def _infer(self, call: Call, name: str, version: str | None) -> Reply:
        engine = self._host.engine(name)
        body = await call.body()
        json_length = call.header(oip.LENGTH_HEADER)

        def work() -> Reply:
            request = oip.read_request(body, json_length)
            routing = engine.routing
            table = routing.check.tensors(request.inputs)
            asked = question(table, request.parameters, now_micros=engine.now_micros())
            oip.check_outputs(request, routing)
            answer = engine.predict(asked, routing=routing, version=version)
            payload, head = oip.write_reply(engine, request, answer, routing)
            if head is None:
                return Reply(payload)
            return Reply(payload, headers=(_BINARY, (oip.LENGTH_HEADER, str(head).encode())))

        if len(body) <= _INLINE_BODY_BYTES and engine.is_quick:
            return work()
        return await self._in_thread(work)

    async def _invoke(self, call: Call, engine: EndpointEngine) -> Reply:
        media_type = call.media_type
        if media_type not in invocations.JSON_TYPES and media_type != invocations.CSV_TYPE:
            raise StatusError(
                415, InvalidInput("the content type is not taken", why="expected application/json or text/csv")
            )
        body = await call.body()

        def work() -> Reply:
            routing = engine.routing
            table, params = invocations.read_rows(body, media_type, routing.check)
            asked = question(table, params, now_micros=engine.now_micros())
            answer = engine.predict(asked, routing=routing)
            return Reply(encode_json(invocations.write_reply(answer)))

        if len(body) <= _INLINE_BODY_BYTES and engine.is_quick:
            return work()
        return await self._in_thread(work)

    async def _in_thread(self, work: Callable[[], Reply]) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _feedback(self, call: Call, name: str | None) -> Reply:
        if name is not None:
            self._host.engine(name)
        truths = feedback.read_truths(await call.body(), now_micros=to_micros(self._host.clock.now()))
        receipt = await asyncio.get_running_loop().run_in_executor(self._threads, self._host.log.feedback, truths)
        return Reply(encode_json(feedback.write_receipt(receipt)))

    async def _ping(self, call: Call) -> Reply:
        if not self._host.is_ready:
            raise Unavailable("not every endpoint is ready", why="a model is not loaded yet")
        return await _text("\n")

    async def _ready(self, call: Call) -> Reply:
        ready = self._host.is_ready
        return Reply(encode_json({"ready": ready}), status=200 if ready else 503)

    async def _model_ready(self, name: str, version: str | None) -> Reply:
        engine = self._host.engine(name)
        if version is not None and engine.is_ready:
            engine.routing.version(version)
        return Reply(encode_json({"name": name, "ready": engine.is_ready}), status=200 if engine.is_ready else 503)

    async def _index(self, call: Call) -> Reply:
        body = await call.body()
        try:
            wanted = msgspec.json.decode(body, type=dict[str, Any]) if body.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput("the request cannot be read", why=str(error)) from error
        return Reply(encode_json(oip.repository_index(self._host.engines, only_ready=wanted.get("ready") is True)))

    async def _load(self, name: str) -> Reply:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._host.reload, name)
        return Reply(b"{}")


def _segments(scope: Scope) -> list[str]:
    """Return the segments of a path; an escaped slash stays within its segment."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("ascii", "replace").strip("/")
    if not path:
        return [""]
    segments = path.split("/")
    return [unquote(segment) for segment in segments] if "%" in path else segments


def _problem(error: InterlockError) -> tuple[int, Any]:
    return error.http_status, {"code": error.code, "what": error.what, "why": error.why, "fix": error.fix}


def _error_reply(body: Any, status: int, headers: tuple[Header, ...] = ()) -> Reply:
    return Reply(encode_json(body), status, (JSON, *headers))


async def _json(make: Callable[[], Any]) -> Reply:
    return Reply(encode_json(make()))


async def _text(text: str) -> Reply:
    return Reply(text.encode(), headers=(_TEXT,))


async def _unload(name: str) -> Reply:
    raise StatusError(
        501,
        InvalidInput(
            f"'{name[:100]}' cannot be unloaded over the data plane",
            why="the endpoint's routing decides what is loaded",
            fix="interlock endpoint rollback NAME",
        ),
    )
