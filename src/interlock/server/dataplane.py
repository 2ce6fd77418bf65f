"""Answer predictions and feedback: one small ASGI application for every protocol of the data plane."""

from __future__ import annotations

import logging
from collections.abc import Callable

from interlock.core.errors import InterlockError, LimitExceeded, NotFound, Overloaded
from interlock.server import explain, feedback, metrics, oip_routes
from interlock.server.answering import Answering
from interlock.server.api_keys import LATER, Caller
from interlock.server.calls import (
    COMPRESS_FROM_BYTES,
    JSON,
    Call,
    Header,
    Reply,
    StatusError,
    StreamReply,
    compress,
    encode_json,
)
from interlock.server.contracts import invocations, streaming
from interlock.server.contracts.speaking import Spoken
from interlock.server.data_routes import DataTable, Shape
from interlock.server.deadlines import TIMEOUT, read_timeout
from interlock.server.explain import Explaining
from interlock.server.guard import Access
from interlock.server.hosting import EndpointHost
from interlock.server.http import Receive, Rejection, Scope, Send
from interlock.server.limits import Limits
from interlock.server.observing import Observer, endpoint_of
from interlock.server.oip_routes import error_shape
from interlock.serving.problems import PROBLEM_HEADER, write_problem

Admit = Callable[[Scope, Access, str], Caller | None]
"""Says who makes a request, given the route's access and the endpoint that it is for."""

DATA_LIMITS = Limits(body_bytes=6_291_456)
"""A request body has at most 6 MiB, and an answer takes at most a minute, as with SageMaker."""

PROTOCOLS = (oip_routes.routes, streaming.routes, invocations.routes, feedback.routes)
"""Each gives the routes of one protocol; none may claim a path of another."""

PROBLEM = PROBLEM_HEADER.encode()
"""Names the header that tells our own clients the whole error, whatever the protocol's body has room for."""

_UNMINDED = ("/ready", "/stats", "/load", "/unload")
"""Ends of paths that ask about an endpoint without asking for it."""
_logger = logging.getLogger(__name__)


class DataPlane:
    """The data plane as an ASGI application.

    Small requests to quick models are answered on the event loop; others in threads. Errors come in the shape of
    the protocol that was spoken; bad input is never a 500.

    Args:
        host: The endpoints.
        limits: What a request may bring, and how many may run at once.
        version: What `/version` says.
        admit: Raises `Rejection` where a caller may not use a route; whoever comes first is let in by default.
        observer: Counts and logs requests; they are counted for this process alone by default.
        spoken: The contracts of other platforms; all of them, and none in particular, by default.
        explaining: Explains answers, if they are to be explained.
    """

    def __init__(
        self,
        host: EndpointHost,
        *,
        limits: Limits = DATA_LIMITS,
        version: str = "0.1.0",
        admit: Admit | None = None,
        observer: Observer | None = None,
        spoken: Spoken | None = None,
        explaining: Explaining | None = None,
    ) -> None:
        self._answering = Answering(host, limits=limits, version=version)
        self._limits = limits
        self._admit = admit
        self._observer = observer or Observer()
        told = metrics.Metrics(host.statistics, self._observer.requests, version=version, gauges=self._observer.gauges)
        self._in_flight = 0
        own = [route for protocol in PROTOCOLS for route in protocol(self._answering)]
        own += metrics.routes(self._answering, told)
        own += explain.routes(self._answering, explaining) if explaining is not None else []
        self._table = DataTable((spoken or Spoken()).routes(self._answering, own))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request over ASGI."""
        if scope["type"] == "http":
            reply = await self.answer(Call(scope, dict(scope["headers"]), receive, self._limits))
            await reply.send(send, head_only=scope["method"] == "HEAD")

    async def answer(self, call: Call) -> Reply:
        """Answer one request, whatever becomes of it."""
        scope = call.scope
        method = scope["method"]
        target = scope.get("raw_path") or scope["path"].encode()
        seen = self._observer.begin(call.raw_header(b"traceparent"))
        shape: Shape = error_shape
        path, endpoint = "", ""
        try:
            found = self._table.find(target)
            shape = found.shape
            route = found.route(method)
            path = route.path
            endpoint = endpoint_of(found.params, self._answering.host.engines)
            caller = None if self._admit is None else self._admit(scope, route.access, endpoint)
            if caller is not None:
                seen.key = caller.name
            timeout = call.raw_header(TIMEOUT)
            if timeout is not None:
                seen.timeout_s = read_timeout(timeout)
            if self._in_flight >= self._limits.in_flight:
                raise Overloaded(
                    "the server is busy", why=f"{self._in_flight} requests are in flight", fix="try again soon"
                )
            self._in_flight += 1
            try:
                if self._answering.host.memory is not None and endpoint and not path.endswith(_UNMINDED):
                    await self._answering.awake(self._answering.host.engine(endpoint))
                reply = await route.handler(call, found.params)
            finally:
                self._in_flight -= 1
            if caller is not None and caller.headers:
                reply.headers = (*reply.headers, *caller.headers)
        except RecursionError:
            reply = _refusal(LimitExceeded("the request is nested too deeply", why="it does not fit the stack"), shape)
        except (StatusError, Rejection, InterlockError) as error:
            reply = _refusal(error, shape)
        except Exception:  # noqa: BLE001 (the edge of the process)
            _logger.exception("%s %s failed", method, scope["path"])
            reply = _refusal(InterlockError("the server could not answer", why="its log has the details"), shape)
        size = 0
        if not isinstance(reply, StreamReply):
            accepted = call.raw_header(b"accept-encoding")
            if accepted is not None and len(reply.body) >= COMPRESS_FROM_BYTES:
                compress(reply, accepted)
            size = len(reply.body)
        self._observer.done(
            seen,
            method=method,
            target=target,
            route=path,
            endpoint=endpoint,
            status=reply.status,
            size=size,
            client=call.client,
        )
        return reply

    def begins_at_once(self, scope: Scope) -> bool:
        """Say whether a request may be answered outside a task; see `DataRoute`."""
        try:
            return self._table.find(scope["raw_path"]).route(scope["method"]).begins_at_once
        except (NotFound, StatusError):
            return False

    def refusal(self, scope: Scope) -> Reply | None:
        """Return the answer to a request that is refused whatever its body says, or None."""
        shape: Shape = error_shape
        try:
            found = self._table.find(scope["raw_path"])
            shape = found.shape
            route = found.route(scope["method"])
            if self._admit is not None:
                self._admit(scope, route.access, LATER)
        except (StatusError, Rejection, InterlockError) as error:
            return _refusal(error, shape)
        return None

    def stuck(self, for_s: float) -> int:
        """Return how many threads have worked for so long on what nobody waits for any more."""
        return self._answering.stuck(for_s)

    def close(self) -> None:
        """End the threads."""
        self._answering.close()


def _refusal(error: StatusError | Rejection | InterlockError, shape: Shape) -> Reply:
    """Return an error in the shape of the protocol that was spoken."""
    if isinstance(error, InterlockError):
        status, body = shape(error)
        headers: tuple[Header, ...] = ((b"retry-after", b"1"),) if status == 429 else ()
        problem = error
    else:
        status, body = error.status, shape(error.error)[1]
        headers = tuple(error.headers)
        problem = error.error
    return Reply(encode_json(body), status, (JSON, *headers, (PROBLEM, write_problem(problem).encode())))
