"""Route every request by one table, in which each route says who may call it; what is not in it is refused."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote, unquote

from interlock.core.errors import InterlockError, InvalidInput, LimitExceeded, NotFound, Overloaded
from interlock.server.api_keys import LATER
from interlock.server.guard import Access, Guard
from interlock.server.http import (
    Answer,
    AsgiApp,
    Handler,
    Receive,
    Rejection,
    Request,
    Response,
    Scope,
    Send,
    problem_response,
)
from interlock.server.limits import Limits

TAIL = "{*}"
"""A last segment that matches all that nothing longer or more exact does; only GET and HEAD reach it."""

REST = "{path*}"
"""A last segment that matches all that is left, for every method; handlers find it as `path`, joined by `/`."""

ErrorShape = Callable[..., Response]
"""Makes the answer to an error: `shape(error, *, status=None, headers=())`."""

_logger = logging.getLogger(__name__)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method on one path.

    Args:
        method: `GET` (which also answers HEAD) or `POST`.
        path: Its segments; `{name}` matches one segment, which may hold an escaped slash.
        access: Who may call it.
        handler: What answers.
        media_types: The content types that a POST may have.
    """

    method: str
    path: str
    access: Access
    handler: Handler
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Mount:
    """Another ASGI application behind a path and everything below it.

    Args:
        path: Its segments (`/v2`), as for a route.
        access: Who may call it.
        app: The application; it answers errors itself.
    """

    path: str
    access: Access
    app: AsgiApp


@dataclass
class _Node:
    exact: dict[str, _Node] = field(default_factory=dict)
    param: _Node | None = None
    tail: _Node | None = None
    rest: _Node | None = None
    mount: Mount | None = None
    methods: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)


class Router:
    """The one table of routes, as an ASGI application.

    Errors become Problems: those of the tree with their own status, anything else as IL500 without a word of its
    text, which goes to the log only.

    Args:
        routes: What is answered here.
        mounts: What others answer.
        guard: What every request passes first.
        limits: What a request may bring.
        shapes: Beginnings of paths below which errors have another shape than a Problem.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        mounts: Sequence[Mount] = (),
        guard: Guard,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        shapes: Mapping[str, ErrorShape] = MappingProxyType({}),
    ) -> None:
        self.routes = tuple(routes)
        self.mounts = tuple(mounts)
        self._guard = guard
        self._limits = limits
        self._shapes = tuple(shapes.items())
        self._in_flight = 0
        self._root = _Node()
        for route in routes:
            self._add(route)
        for mount in mounts:
            self._node(mount.path).mount = mount

    def _add(self, route: Route) -> None:
        node = self._node(route.path)
        if route.method in node.methods:
            raise InvalidInput(f"the route {route.method} {route.path} is given twice", why="one table, one answer")
        names = tuple(
            segment[1:-1].rstrip("*") for segment in _split(route.path) if segment.startswith("{") and segment != TAIL
        )
        node.methods[route.method] = (route, names)

    def _node(self, path: str) -> _Node:
        node = self._root
        for segment in _split(path):
            if segment == TAIL:
                node.tail = node.tail or _Node()
                node = node.tail
            elif segment == REST:
                node.rest = node.rest or _Node()
                node = node.rest
            elif segment.startswith("{"):
                node.param = node.param or _Node()
                node = node.param
            else:
                node = node.exact.setdefault(segment, _Node())
        return node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the ASGI entry point."""
        if scope["type"] != "http":
            await _refuse_protocol(scope, receive, send)
            return
        if self._in_flight >= self._limits.in_flight:
            await problem_response(
                Overloaded("the server is busy", why=f"{self._in_flight} requests are in flight", fix="try again soon")
            ).send(send)
            return
        self._in_flight += 1
        try:
            found = await self._answer(scope, receive)
            if isinstance(found, Mount):
                await found.app(scope, receive, send)
            else:
                await found.send(send, head_only=scope["method"] == "HEAD")
        finally:
            self._in_flight -= 1

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | Mount:
        try:
            self._guard.inspect(scope)
            node, values = self._find(scope)
            if node.mount is not None:
                # what is mounted knows what of it may be asked
                self._guard.admit(scope, node.mount.access, LATER)
                return node.mount
            return await self._serve(scope, receive, node, values)
        except Rejection as rejection:
            return self._shape(scope)(rejection.error, status=rejection.status, headers=rejection.headers)
        except InterlockError as error:
            return self._shape(scope)(error)
        except RecursionError:
            return self._shape(scope)(LimitExceeded("a value is nested too deeply", why="it does not fit the stack"))
        except Exception:  # noqa: BLE001 (the edge of the process)
            _logger.exception("%s %s failed", scope["method"], scope["path"])
            return self._shape(scope)(
                InterlockError("the server could not answer", why="an unforeseen error; its log has the details")
            )

    def _shape(self, scope: Scope) -> ErrorShape:
        return next((shape for start, shape in self._shapes if scope["path"].startswith(start)), problem_response)

    async def _serve(self, scope: Scope, receive: Receive, node: _Node, values: list[str]) -> Answer:
        method = scope["method"]
        allowed = sorted({*node.methods, *(("HEAD",) if "GET" in node.methods else ()), "OPTIONS"})
        allow = ((b"allow", ", ".join(allowed).encode()),)
        if method == "OPTIONS":
            return Response(status=204, headers=allow)
        found = node.methods.get("GET" if method == "HEAD" else method)
        if found is None:
            why = f"expected one of {', '.join(allowed)}"
            raise Rejection(InvalidInput(f"{method[:20]} is not possible here", why=why), status=405, headers=allow)
        route, names = found
        self._guard.admit(scope, route.access)
        request = Request(scope, receive, params=dict(zip(names, values, strict=True)), limits=self._limits)
        if route.media_types:
            _check_media_type(request, route)
        return await route.handler(request)

    def _find(self, scope: Scope) -> tuple[_Node, list[str]]:
        node = self._root
        mounted: _Node | None = None
        tail: tuple[_Node, list[str]] | None = None
        values: list[str] = []
        segments = list(_segments(scope))
        rest: tuple[_Node, list[str]] | None = None
        for index, segment in enumerate(segments):
            tail = (node.tail, list(values)) if node.tail is not None else tail
            if node.rest is not None:
                rest = node.rest, [*values, "/".join(segments[index:])]
            below = node.exact.get(segment)
            if below is None and node.param is not None and segment:
                below = node.param
                values.append(segment)
            if below is None:
                break
            node = below
            mounted = node if node.mount is not None else mounted
        else:
            if node.methods:
                return node, values
        if mounted is not None:
            return mounted, values
        if rest is not None:
            return rest
        # what a tail answers is pages and files, and they are only read
        if tail is not None and scope["method"] in ("GET", "HEAD"):
            return tail
        raise NotFound("there is nothing at this address", why="no route matches it", fix="GET /openapi.json")


def _split(path: str) -> list[str]:
    return path[1:].split("/")


def _segments(scope: Scope) -> Iterator[str]:
    """Yield the segments of the path, each decoded once, so that an escaped slash never splits one.

    Raises:
        InvalidInput: An escape is broken, is no UTF-8, or hides a control character.
    """
    raw = scope.get("raw_path")
    path = raw.decode("latin-1") if raw is not None else quote(scope["path"])
    if _BAD_ESCAPE.search(path):
        raise InvalidInput("the address cannot be read", why="a % is not followed by two hex digits")
    for segment in path[1:].split("/"):
        try:
            text = unquote(segment, errors="strict") if "%" in segment else segment
        except UnicodeDecodeError as error:
            raise InvalidInput("the address cannot be read", why=f"an escape is no UTF-8: {error.reason}") from error
        if _CONTROL.search(text):
            raise InvalidInput("the address cannot be read", why="it holds a control character")
        yield text


def _check_media_type(request: Request, route: Route) -> None:
    if (request.header("content-encoding") or "identity").lower() != "identity":
        error = InvalidInput("the request body is compressed", why="bodies are read as they are")
        raise Rejection(error, status=415)
    if request.media_type not in route.media_types:
        expected = " or ".join(route.media_types)
        why = f"expected {expected}, got {request.media_type[:80] or 'none'}"
        raise Rejection(InvalidInput("the content type is not accepted here", why=why), status=415)


async def _refuse_protocol(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        for moment in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{moment}.complete"})
    else:
        await receive()
        await send({"type": "websocket.close", "code": 1003})
