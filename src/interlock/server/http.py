"""Read requests and write answers over raw ASGI: bounded bodies, JSON, streams and Problems."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, LimitExceeded, TimedOut, Unavailable, did_you_mean
from interlock.server.limits import Limits
from interlock.server.views import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
Query = TypeVar("Query", bound=msgspec.Struct)

WHOLE = "interlock.whole"
"""Set in the scope of a request once its body has arrived whole: reading it cannot wait."""
JSON_TYPE = "application/json"
SAFE_HEADERS: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Sent with every answer of the control plane."""

_logger = logging.getLogger(__name__)
encode_json = msgspec.json.Encoder().encode


class Request:
    """One HTTP request on its way to a handler.

    Args:
        scope: The ASGI scope.
        receive: The ASGI channel from the client.
        params: What the `{…}` segments of the path matched, decoded.
        limits: What the request may bring.
    """

    def __init__(self, scope: Scope, receive: Receive, *, params: Mapping[str, str], limits: Limits) -> None:
        self.scope = scope
        self.receive = receive
        self.params = params
        self.limits = limits

    def header(self, name: str) -> str | None:
        """Return the value of a header (named in lower case), or None; the first where it is repeated."""
        wanted = name.encode("latin-1")
        for key, value in self.scope["headers"]:
            if key == wanted:
                return bytes(value).decode("latin-1")
        return None

    @property
    def media_type(self) -> str:
        """The content type of the body, without its parameters."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    def query(self, kind: type[Query]) -> Query:
        """Read the query string as a record.

        Raises:
            InvalidInput: A parameter is unknown, repeated, or of the wrong type.
        """
        try:
            pairs = parse_qsl(
                self.scope["query_string"].decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=self.limits.query_fields,
            )
        except (UnicodeDecodeError, ValueError) as error:
            raise InvalidInput("the query string cannot be read", why=str(error)) from error
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise InvalidInput("a query parameter is given twice", why="each may be given once")
        unknown = sorted(set(fields) - set(kind.__struct_fields__))
        if unknown:
            why = did_you_mean(unknown[0], kind.__struct_fields__) if kind.__struct_fields__ else "none is taken here"
            raise InvalidInput(f"there is no query parameter '{unknown[0][:80]}'", why=why)
        try:
            return msgspec.convert(fields, kind, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidInput("a query parameter is wrong", why=str(error)) from error

    async def body(self) -> bytes:
        """Read the whole body.

        Raises:
            LimitExceeded: It is larger than allowed; announced sizes are refused before they are read.
            Unavailable: The client went away.
        """
        most = self.limits.body_bytes
        announced = self.header("content-length") or "0"
        if announced.isdecimal() and int(announced) > most:
            raise _too_large(announced, most)
        whole = bytearray()
        async for chunk in self.chunks():
            whole += chunk
            if len(whole) > most:
                raise _too_large(f"over {most}", most)
        return bytes(whole)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            Unavailable: The client went away before the end.
            TimedOut: The client fell silent.
        """
        more = True
        while more:
            try:
                async with asyncio.timeout(self.limits.silence_s):
                    message = await self.receive()
            except TimeoutError:
                raise TimedOut(
                    "the request body did not arrive", why=f"nothing came for {self.limits.silence_s:g} s"
                ) from None
            if message["type"] != "http.request":
                raise Unavailable("the request was cut short", why="the client closed the connection")
            more = message.get("more_body", False)
            yield message.get("body", b"")


def _too_large(found: str, most: int) -> LimitExceeded:
    return LimitExceeded(
        "the request body is too large",
        why=f"{found} bytes; the limit is {most}",
        fix="send large contents as a stream (artifacts.put_stream)",
    )


class Rejection(Exception):
    """A request that is refused with a status that HTTP has and the error tree has not.

    Args:
        error: What to tell the client.
        status: The HTTP status.
        headers: What to send beside it.
    """

    def __init__(self, error: InterlockError, *, status: int, headers: Headers = ()) -> None:
        super().__init__(error.what)
        self.error = error
        self.status = status
        self.headers = headers


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer that lies in memory."""

    body: bytes = b""
    status: int = 200
    media_type: str = JSON_TYPE
    headers: Headers = ()

    async def send(self, send: Send, *, head_only: bool = False) -> None:
        """Write the answer; of a HEAD request only its head."""
        headers = self.headers
        if self.status not in (204, 304):
            headers = (*headers, (b"content-length", str(len(self.body)).encode()))
        await send(_start(self.status, self.media_type, headers))
        await send({"type": "http.response.body", "body": b"" if head_only else self.body})


@dataclass(frozen=True, kw_only=True)
class StreamResponse:
    """An answer that is written as it comes.

    An iterator that fails leaves the answer without its end, which clients see as truncation.
    """

    chunks: AsyncGenerator[bytes, None]
    media_type: str
    headers: Headers = ()
    status: int = 200

    async def send(self, send: Send, *, head_only: bool = False) -> None:
        """Write the answer; of a HEAD request only its head."""
        await send(_start(self.status, self.media_type, self.headers))
        if not head_only:
            try:
                async with contextlib.aclosing(self.chunks) as chunks:
                    async for chunk in chunks:
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except InterlockError as error:
                _logger.warning("an answer was cut short: %s", error)
                return
        await send({"type": "http.response.body", "body": b""})


Answer = Response | StreamResponse
Handler = Callable[[Request], Awaitable[Answer]]


def _start(status: int, media_type: str, headers: Headers) -> Message:
    content_type = (b"content-type", media_type.encode("latin-1"))
    return {"type": "http.response.start", "status": status, "headers": [content_type, *headers, *SAFE_HEADERS]}


def json_response(value: Any) -> Response:
    """Answer with a record or a plain value as JSON; it is never cached."""
    return Response(body=encode_json(value), headers=((b"cache-control", b"no-store"),))


def problem_response(error: InterlockError, *, status: int | None = None, headers: Headers = ()) -> Response:
    """Answer with what went wrong; `status` where HTTP has a more exact one than the error's class."""
    body = encode_json(Problem(code=error.code, what=error.what, why=error.why, fix=error.fix))
    if error.http_status == 429:
        headers = (*headers, (b"retry-after", b"1"))
    return Response(body=body, status=status or error.http_status, headers=((b"cache-control", b"no-store"), *headers))
