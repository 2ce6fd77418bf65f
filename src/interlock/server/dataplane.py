"""Answer predictions and feedback: one small ASGI application for every protocol of the data plane."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from interlock.core.errors import InterlockError, LimitExceeded, Overloaded
from interlock.server import feedback, invocations, oip_routes
from interlock.server.answering import Answering
from interlock.server.calls import COMPRESS_FROM_BYTES, JSON, Call, Header, Reply, StatusError, compress, encode_json
from interlock.server.data_routes import DataRoute, DataTable, Shape
from interlock.server.guard import Access
from interlock.server.hosting import EndpointHost
from interlock.server.http import Receive, Rejection, Scope, Send
from interlock.server.limits import Limits
from interlock.server.oip_routes import error_shape

DATA_LIMITS = Limits(body_bytes=6_291_456)
"""A request body has at most 6 MiB, as with SageMaker."""

PROTOCOLS = (oip_routes.routes, invocations.routes, feedback.routes)
"""Each gives the routes of one protocol; none may claim a path of another."""

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
    """

    def __init__(
        self,
        host: EndpointHost,
        *,
        limits: Limits = DATA_LIMITS,
        version: str = "0.1.0",
        admit: Callable[[Scope, Access], None] | None = None,
    ) -> None:
        self._answering = Answering(host, limits=limits, version=version)
        self._limits = limits
        self._admit = admit
        self._in_flight = 0
        self._table = DataTable(route for protocol in PROTOCOLS for route in protocol(self._answering))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        method = scope["method"]
        shape: Shape = error_shape
        try:
            found = self._table.find(scope.get("raw_path") or scope["path"].encode())
            shape = found.shape
            route = found.route(method)
            if self._admit is not None:
                self._admit(scope, route.access)
            reply = await self._admitted(route, Call(scope, headers, receive, self._limits), found.params)
        except (StatusError, Rejection) as refusal:
            reply = _error_reply(shape(refusal.error)[1], refusal.status, tuple(refusal.headers))
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
        self._answering.close()

    async def _admitted(self, route: DataRoute, call: Call, params: dict[str, str]) -> Reply:
        if self._in_flight >= self._limits.in_flight:
            raise Overloaded(
                "the server is busy", why=f"{self._in_flight} requests are in flight", fix="try again soon"
            )
        self._in_flight += 1
        try:
            return await route.handler(call, params)
        finally:
            self._in_flight -= 1


def _error_reply(body: Any, status: int, headers: tuple[Header, ...] = ()) -> Reply:
    return Reply(encode_json(body), status, (JSON, *headers))
