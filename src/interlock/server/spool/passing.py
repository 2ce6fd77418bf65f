"""Pass requests on to the upstream server and its answers back, in the ids that the client knows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import MappingProxyType
from typing import BinaryIO

from interlock.core.errors import Unavailable
from interlock.server.http import SAFE_HEADERS, Answer, Headers, Request, Response, StreamResponse
from interlock.server.mlflow.wire import Failure
from interlock.server.spool.known import PAGES
from interlock.server.spool.records import rooted
from interlock.server.spool.store import Store
from interlock.server.spool.upstream import AWAY, OpenReply, Reply, Upstream
from interlock.server.workers import Workers

READ_S = 120.0
"""How long a read may take; as long as clients wait."""
EMPTY: Mapping[str, str] = MappingProxyType({})
_WHOLE_BYTES = 1 << 20
_OWN = frozenset({"host", "content-length", "origin", "referer", "expect", "connection", "keep-alive", "te", "upgrade"})
_REPLACED = frozenset({"content-type", "content-length", *(name.decode() for name, _ in SAFE_HEADERS)})
_LEARNED = ("/api/2.0/mlflow/runs/", "/api/2.0/mlflow/experiments/", "/api/2.0/mlflow/logged-models")
_SEARCH = "/search"


class Passage:
    """The way to the upstream server and back.

    Args:
        store: Whose ids are put in and out.
        upstream: The server.
        workers: The threads in which it is called.
    """

    def __init__(self, store: Store, upstream: Upstream, workers: Workers) -> None:
        self._store = store
        self._upstream = upstream
        self._workers = workers

    async def through(self, request: Request, body: bytes = b"") -> Answer:
        """Pass a request on and return the answer, whatever it says.

        Raises:
            Unavailable: The server is away.
            Failure: The request is for what the server does not serve.
        """
        found = await self._workers.run(self._open, request, body, READ_S)
        if isinstance(found, Reply):
            return response(found)
        return StreamResponse(
            chunks=self._chunks(found),
            media_type=_content_type(found.headers),
            headers=_headers(found.headers, size_bytes=found.size_bytes),
            status=found.status,
        )

    async def straight(
        self, request: Request, body: bytes | BinaryIO, *, timeout_s: float, headers: Mapping[str, str] = EMPTY
    ) -> Reply | None:
        """Pass a write on; return None where the server did not take it for reasons of its own: it is to be spooled.

        Args:
            request: What the client asks.
            body: What to send.
            timeout_s: How long the server may be silent.
            headers: What to send beside what the client sent, unless that has it.
        """
        try:
            reply = await self._workers.run(self._open, request, body, timeout_s, headers)
        except Unavailable:
            return None
        whole = reply if isinstance(reply, Reply) else await self._workers.run(reply.read)
        return None if whole.busy else whole

    def _open(
        self, request: Request, body: bytes | BinaryIO, timeout_s: float, more: Mapping[str, str] = EMPTY
    ) -> Reply | OpenReply:
        method, target = request.scope["method"], target_of(request)
        address = self._store.ids.address(target)
        if address is None:
            raise Failure("RESOURCE_DOES_NOT_EXIST", "The tracking server does not serve the artifacts of this run.")
        headers = {**more, **self._request_headers(request)}
        sent = self._store.ids.forward(body) if isinstance(body, bytes) else body
        reply = self._upstream.open(method, address, headers, sent, timeout_s=timeout_s)
        if reply.status in AWAY:
            reply.read()
            self._upstream.mark_away(f"it answers with status {reply.status}")
            raise Unavailable(f"{self._upstream.url} is away", why=self._upstream.trouble)
        if reply.media_type != "application/json" and (reply.size_bytes is None or reply.size_bytes > _WHOLE_BYTES):
            return reply
        return self._whole(reply.read(), rooted(target.partition("?")[0]))

    def _whole(self, reply: Reply, path: str) -> Reply:
        if reply.status == 200 and path in PAGES:
            self._store.known.learn_page(path, reply.header("content-type"), reply.body)
        elif reply.status == 200 and _teaches(path):
            self._store.known.learn(reply.body)
        if "json" not in reply.header("content-type") or reply.header("content-encoding"):
            return reply
        return Reply(reply.status, reply.headers, self._store.ids.backward(reply.body))

    def _request_headers(self, request: Request) -> dict[str, str]:
        headers: dict[str, str] = {}
        for raw_name, raw_value in request.scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name not in _OWN:
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if self._store.ids or _teaches(rooted(request.scope["path"])):
            # the answer has to be read
            headers.pop("accept-encoding", None)
        if self._store.ids:
            return {name: self._store.ids.forward(value.encode()).decode() for name, value in headers.items()}
        return headers

    async def _chunks(self, reply: OpenReply) -> AsyncGenerator[bytes, None]:
        async for chunk in self._workers.iterate(reply.chunks()):
            yield chunk


def _teaches(path: str) -> bool:
    """Say whether an answer shows a thing that is worth remembering."""
    return path in PAGES or (path.startswith(_LEARNED) and not path.endswith(_SEARCH))


def target_of(request: Request) -> str:
    """Return path and query as the client sent them."""
    query = request.scope["query_string"].decode("latin-1")
    path: str = request.scope["raw_path"].decode("latin-1")
    return f"{path}?{query}" if query else path


def response(reply: Reply) -> Response:
    """Return an answer of the upstream server as one of ours."""
    return Response(
        body=reply.body, status=reply.status, media_type=_content_type(reply.headers), headers=_headers(reply.headers)
    )


def _content_type(headers: Sequence[tuple[str, str]]) -> str:
    return next((value for name, value in headers if name.lower() == "content-type"), "application/octet-stream")


def _headers(headers: Sequence[tuple[str, str]], *, size_bytes: int | None = None) -> Headers:
    kept = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in headers
        if name.lower() not in _REPLACED
    ]
    return (*kept, (b"content-length", str(size_bytes).encode())) if size_bytes is not None else tuple(kept)
