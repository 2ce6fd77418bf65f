"""Answer MLflow clients: straight from the upstream server while it is there, from the spool while it is away."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

from interlock.core.errors import InterlockError, Overloaded, StorageFull, Unavailable
from interlock.core.hashing import digest_of
from interlock.server.guard import Guard
from interlock.server.http import (
    JSON_TYPE,
    Answer,
    Receive,
    Rejection,
    Request,
    Response,
    Scope,
    Send,
    encode_json,
    json_response,
)
from interlock.server.limits import Limits
from interlock.server.mlflow.wire import Failure, error_response
from interlock.server.spool.committing import GroupCommit
from interlock.server.spool.creating import marked
from interlock.server.spool.forwarder import Forwarder
from interlock.server.spool.passing import Passage, response, target_of
from interlock.server.spool.records import (
    IDEMPOTENCY,
    KEPT_HEADERS,
    MADE_BY,
    Call,
    Subjects,
    Write,
    call_of,
    invent_id,
    mentioned,
    read_object,
    rooted,
    subjects,
)
from interlock.server.spool.status import STATUS_PATH, status_of
from interlock.server.spool.store import Store
from interlock.server.spool.upstream import Reply, Upstream
from interlock.server.workers import Workers

SPOOL_LIMITS = Limits(body_bytes=64 << 20, in_flight=1024)
"""What a request may bring; artifacts are streams, and bounded by the spool's own size."""
STRAIGHT_S, UPLOAD_S = 20.0, 120.0
"""How long the server may be silent over a write before that is spooled."""
SETTLE_S = 60.0
"""How long a request waits for what it needs to be forwarded."""
_SETTLE_LOOK_S = 0.05
_SHOWN = ("/runs/get", "/experiments/get", "/experiments/get-by-name")
"""Reads of one thing, of which the spool knows all that waits."""
_PIECE_BYTES = 1 << 20
_THREADS = 64
_NO_JSON = frozenset({"otlp-traces", "put-artifact", "delete-model-tag"})
_MULTIPART = "/api/2.0/mlflow-artifacts/mpu/create"
_NOT_IN_PARTS = "Multipart upload is not supported for the current artifact repository"
"""By these words MLflow's clients know that they may send a file whole."""
_PLAIN = re.compile(r"[!-~]+")
_logger = logging.getLogger(__name__)


class SpoolRequest(Request):
    """A request to a spool.

    `intent` is the digest of a creation that is noted until its answer is sent.
    """

    intent: str = ""


class SpoolApp:
    """The spool, as an ASGI application.

    Args:
        store: Its folder; opened and closed by the caller.
        upstream: The tracking server.
        forwarder: What empties the folder.
        host: The address that is listened on.
        limits: What a request may bring.
        settle_s: How long a request waits for what it needs to be forwarded.
    """

    def __init__(
        self,
        store: Store,
        upstream: Upstream,
        forwarder: Forwarder,
        *,
        host: str = "127.0.0.1",
        limits: Limits = SPOOL_LIMITS,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._store = store
        self._upstream = upstream
        self._forwarder = forwarder
        self._limits = limits
        self._settle_s = settle_s
        self._in_flight = 0
        self._guard = Guard(host=host, limits=limits)
        self._workers = Workers(_THREADS)
        self._disk = Workers(1)
        self._passage = Passage(store, upstream, self._workers)
        self._commit = GroupCommit(store, self._disk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1003})
            return
        if self._in_flight >= self._limits.in_flight:
            busy = Overloaded("the spool is busy", why=f"{self._in_flight} requests are in flight")
            await error_response(busy).send(send)
            return
        self._in_flight += 1
        try:
            request = SpoolRequest(scope, receive, params={}, limits=self._limits)
            answer = await self._answer(request)
            await answer.send(send, head_only=scope["method"] == "HEAD")
            if request.intent:
                await self._disk.run(self._store.state.fulfil, request.intent)
        finally:
            self._in_flight -= 1

    async def _answer(self, request: SpoolRequest) -> Answer:
        method, path = request.scope["method"], target_of(request).partition("?")[0]
        try:
            self._guard.inspect(request.scope)
            if not _PLAIN.fullmatch(target_of(request)):
                raise Failure("INVALID_PARAMETER_VALUE", "The address holds characters that have to be escaped.")
            if (method, path) == ("GET", STATUS_PATH):
                return json_response(await self._workers.run(self._status))
            if rooted(path).startswith(_MULTIPART):
                # the parts would go past the spool; clients that are told so send the file whole
                raise Failure("NOT_IMPLEMENTED", _NOT_IN_PARTS)
            call = call_of(method, path)
            if call is None:
                return await self._pass(request, path, await request.body())
            if call.name == "put-artifact":
                return await self._take_file(request, call)
            return await self._take(request, call)
        except Failure as failure:
            return failure.response()
        except StorageFull as error:
            return Failure("RESOURCE_EXHAUSTED", f"{error.what}: {error.why}. {error.fix}.", status=507).response()
        except Rejection as rejection:
            return error_response(rejection.error, status=rejection.status, headers=rejection.headers)
        except InterlockError as error:
            return error_response(error)
        except Exception:  # noqa: BLE001 (the edge of the process)
            _logger.exception("%s %s failed", method, path)
            return error_response(InterlockError("the spool could not answer", why="its log has the details"))

    def _status(self) -> Any:
        return status_of(self._store, self._upstream, forwarded=self._forwarder.forwarded)

    async def _pass(self, request: Request, path: str, body: bytes) -> Answer:
        """Pass on what is no write that can be spooled; answer from what is known where that is all there is."""
        reads = request.scope["method"] in ("GET", "HEAD")
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
        path, texts = rooted(path), (target_of(request).encode(), body)
        if reads and path.endswith(_SHOWN) and self._waits_for(query, *texts):
            # the spool knows more than the server, until that has caught up
            known = await self._workers.run(self._store.known.answer, path, query)
            if known is not None:
                return json_response(known)
        if self._upstream.away_since is None:
            try:
                await self._settled(query, *texts)
                return await self._passage.through(request, body)
            except Unavailable:
                self._forwarder.wake()
        if reads:
            known = await self._workers.run(self._store.known.answer, path, query)
            if known is not None:
                return json_response(known)
            if (page := self._store.known.page(path)) is not None:
                return Response(body=page[1], media_type=page[0])
        raise self._away()

    def _waits_for(self, query: dict[str, str], *texts: bytes) -> bool:
        """Say whether something waits to be forwarded about what a request mentions."""
        if not self._store.backlog.count:
            return False
        named = f"name:{query['experiment_name']}" if "experiment_name" in query else ""
        return self._store.backlog.concerns([named, *mentioned(*texts)]) or self._store.ids.waiting(*texts)

    async def _settled(self, query: dict[str, str], *texts: bytes) -> None:
        """Wait until the server knows all there is about what a request mentions."""
        end = time.monotonic() + self._settle_s
        while self._waits_for(query, *texts):
            if self._upstream.away_since is not None or time.monotonic() > end:
                raise Unavailable("what the request needs is still on its way", why="the spool is catching up")
            await asyncio.sleep(_SETTLE_LOOK_S)

    def _away(self) -> Failure:
        return Failure(
            "TEMPORARILY_UNAVAILABLE",
            f"The tracking server at {self._upstream.url} is away ({self._upstream.trouble or 'still catching up'}). "
            "The spool keeps what is logged to runs until it is back, but cannot answer this.",
        )

    async def _take(self, request: SpoolRequest, call: Call) -> Answer:
        body = await request.body()
        try:
            fields = self._fields(request, call, body)
            about = subjects(call, fields)
        except Failure:
            if self._upstream.away_since is None:
                # the server knows best what is wrong with it
                return await self._pass(request, target_of(request).partition("?")[0], body)
            raise
        if call.name == "otlp-traces":
            about = Subjects((), tuple(filter(None, [request.header("x-mlflow-experiment-id")])))
        if call.name in MADE_BY:
            return await self._create(request, call, about, fields, body)
        attempted = self._may_go_straight(about, target_of(request).encode(), body)
        if attempted:
            reply = await self._passage.straight(request, body, timeout_s=STRAIGHT_S)
            if reply is not None:
                return response(reply)
        answer = await self._spool(self._write(request, call, about, body=body, attempted=attempted))
        return Response(media_type="application/x-protobuf") if call.name == "otlp-traces" else answer

    async def _create(
        self, request: SpoolRequest, call: Call, about: Subjects, fields: dict[str, Any], body: bytes
    ) -> Answer:
        """Take a write that creates something, so that it is created once, whoever is killed in the middle of it."""
        asked = digest_of(body)
        given = self._store.unclaimed.pop(asked, "")
        if given in self._store.ids and (made := self._store.known.made(call.name, given)) is not None:
            # it was spooled, and its client did not get the answer
            return json_response(made)
        again = attempted = bool(given)
        given = given or invent_id(MADE_BY[call.name])
        if call.name != "create-experiment":
            fields = marked({**_begun(call), **fields}, given)
            body = encode_json(fields)
        if not again and self._may_go_straight(about, body):
            attempted = True
            await self._disk.run(self._store.state.intend, asked, given)
            request.intent = asked
            reply = await self._passage.straight(request, body, timeout_s=STRAIGHT_S, headers={IDEMPOTENCY: given})
            if reply is not None:
                return response(reply)
        if call.name != "create-experiment":
            body = encode_json({**_named(call, given), **fields})
        elif not again:
            self._store.known.refuse_taken(fields["name"])
        write = self._write(request, call, about, body=body, makes=given, asked=asked, attempted=attempted)
        return await self._spool(write)

    async def _spool(self, write: Write) -> Answer:
        answer = await self._commit.append(write)
        self._forwarder.wake()
        return json_response(answer)

    def _fields(self, request: Request, call: Call, body: bytes) -> dict[str, Any]:
        if call.name in _NO_JSON:
            return {}
        if request.media_type != JSON_TYPE:
            raise Failure("INVALID_PARAMETER_VALUE", f"Bad Request. Content-Type must be {JSON_TYPE}.")
        if (request.header("content-encoding") or "identity") != "identity":
            raise Failure("INVALID_PARAMETER_VALUE", "Bad Request. The spool does not read compressed bodies.")
        return read_object(body)

    def _may_go_straight(self, about: Subjects, *texts: bytes) -> bool:
        """Say whether a write may overtake what waits: nothing about the same things does, and the server is there."""
        return (
            self._upstream.away_since is None
            and not self._store.backlog.concerns((*about.about, *about.needs))
            and not self._store.ids.waiting(*texts)
        )

    async def _take_file(self, request: Request, call: Call) -> Answer:
        about = subjects(call, {})
        announced = request.header("content-length") or "0"
        self._store.check_room(int(announced) if announced.isdecimal() else 0)
        with self._store.files.writing() as file:
            async for piece in _pieces(request):
                self._store.check_room(len(piece))
                await self._workers.run(file.write, piece)
            write = self._write(request, call, about, file=file.name, file_bytes=file.size_bytes)
            if self._may_go_straight(about, target_of(request).encode()):
                reply = await self._upload(request, write)
                if reply is not None:
                    return response(reply)
            await self._disk.run(file.keep)
            try:
                return await self._spool(write)
            except InterlockError:
                self._store.files.remove(file.name)
                raise

    async def _upload(self, request: Request, write: Write) -> Reply | None:
        body, size_bytes = self._store.body(write)
        with body:
            headers = {"content-length": str(size_bytes)}
            return await self._passage.straight(request, body, timeout_s=UPLOAD_S, headers=headers)

    def _write(self, request: Request, call: Call, about: Subjects, **more: Any) -> Write:
        headers = {name: value for name in KEPT_HEADERS if (value := request.header(name)) is not None}
        return Write(
            **{"body": b"", **more},
            call=call.name,
            method=request.scope["method"],
            target=target_of(request),
            headers=headers,
            accepted_at_ms=time.time_ns() // 1_000_000,
            about=about.about,
            needs=about.needs,
        )

    def close(self) -> None:
        """Wait for calls that run and end the threads."""
        self._workers.close()
        self._disk.close()


def _begun(call: Call) -> dict[str, Any]:
    """Return when a new run begins, unless its client says so: the server may hear of it days later."""
    return {"start_time": time.time_ns() // 1_000_000} if call.name == "create-run" else {}


def _named(call: Call, given: str) -> dict[str, Any]:
    """Return the name of a new run or model, unless its client says so: the server is not there to choose one."""
    if call.name == "create-run":
        return {"run_name": f"run-{given[:8]}"}
    return {"name": f"model-{given.removeprefix('m-')[:8]}"}


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """Yield a body in pieces that are worth a call."""
    gathered = bytearray()
    async for chunk in request.chunks():
        gathered += chunk
        if len(gathered) >= _PIECE_BYTES:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)
