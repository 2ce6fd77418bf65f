"""Read one request of the data plane, and write its answer: bounded, decompressed, compressed."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, LimitExceeded, TimedOut, Unavailable
from interlock.server.http import Receive, Scope, Send
from interlock.server.limits import Limits
from interlock.server.protocol import WHOLE

JSON = (b"content-type", b"application/json")
COMPRESS_FROM_BYTES = 1_024
_SILENT = "the client fell silent"

Header = tuple[bytes, bytes]
encode_json = msgspec.json.Encoder().encode


class Reply(msgspec.Struct):
    """An answer on its way out."""

    body: bytes = b""
    status: int = 200
    headers: tuple[Header, ...] = (JSON,)

    async def send(self, send: Send, *, head_only: bool = False) -> None:
        """Write the answer; of a HEAD request only its head."""
        length = (b"content-length", str(len(self.body)).encode())
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers, length]})
        await send({"type": "http.response.body", "body": b"" if head_only else self.body})


class Call:
    """One request as its handler sees it."""

    def __init__(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, limits: Limits) -> None:
        self._scope = scope
        self._headers = headers
        self._receive = receive
        self._limits = limits

    def header(self, name: bytes) -> str | None:
        """Return a header's value (named in lower case), or None."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return (self.header(b"content-type") or "").partition(";")[0].strip().lower()

    async def body(self) -> bytes:
        """Read the whole body, decompressed.

        Raises:
            LimitExceeded: It is, or becomes, larger than allowed.
            InvalidInput: It is not compressed as it says.
            TimedOut: The client fell silent.
            Unavailable: The client went away.
        """
        announced = self._headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._limits.body_bytes:
            raise self._too_large()
        message: Mapping[str, Any] = await self._next() if self._has_body() else {}
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            chunks = [body]
            size = len(body)
            while message.get("more_body"):
                message = await self._next()
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > self._limits.body_bytes:
                    raise self._too_large()
            body = b"".join(chunks)
        encoding = self._headers.get(b"content-encoding")
        return body if encoding is None else self._decompressed(body, encoding.strip().lower())

    def _has_body(self) -> bool:
        return b"transfer-encoding" in self._headers or self._headers.get(b"content-length", b"0") != b"0"

    async def _next(self) -> Mapping[str, Any]:
        if WHOLE in self._scope:
            return await self._receive()
        # asyncio.timeout does the same for three times the cost, which one-row requests would feel
        task = asyncio.current_task()
        assert task is not None
        timer = asyncio.get_running_loop().call_later(self._limits.silence_s, task.cancel, _SILENT)
        try:
            message = await self._receive()
        except asyncio.CancelledError as cancelled:
            if cancelled.args != (_SILENT,):
                raise
            task.uncancel()
            raise TimedOut("the request body did not arrive", why=f"silent for {self._limits.silence_s:g} s") from None
        finally:
            timer.cancel()
        if message["type"] != "http.request":
            raise Unavailable("the request was cut short", why="the client closed the connection")
        return message

    def _decompressed(self, body: bytes, encoding: bytes) -> bytes:
        if encoding == b"identity":
            return body
        if encoding not in (b"gzip", b"deflate"):
            raise StatusError(415, InvalidInput("the content encoding is not taken", why="expected gzip or deflate"))
        # 32 + window: zlib or gzip header, whichever is there
        inflater = zlib.decompressobj(32 + zlib.MAX_WBITS)
        try:
            whole = inflater.decompress(body, self._limits.body_bytes + 1)
        except zlib.error as error:
            raise InvalidInput("the body cannot be decompressed", why=str(error)) from error
        if len(whole) > self._limits.body_bytes:
            raise self._too_large()
        if not inflater.eof:
            raise InvalidInput("the body cannot be decompressed", why="it ends too early")
        return whole

    def _too_large(self) -> LimitExceeded:
        return LimitExceeded("the request body is too large", why=f"the limit is {self._limits.body_bytes} bytes")


class StatusError(Exception):
    """An error whose status the tree has not."""

    def __init__(self, status: int, error: InterlockError, headers: tuple[Header, ...] = ()) -> None:
        super().__init__(error.what)
        self.status = status
        self.error = error
        self.headers = headers


def compress(reply: Reply, accepted: bytes) -> None:
    """Compress a body in the first way that the client takes."""
    offered = accepted.lower()
    if b"gzip" in offered:
        reply.body, name = gzip.compress(reply.body, 1), b"gzip"
    elif b"deflate" in offered:
        reply.body, name = zlib.compress(reply.body, 1), b"deflate"
    else:
        return
    reply.headers = (*reply.headers, (b"content-encoding", name), (b"vary", b"accept-encoding"))
