"""Read one request of the data plane, and write its answer: bounded, decompressed, compressed."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, LimitExceeded, TimedOut, Unavailable
from interlock.server.http import WHOLE, Receive, Scope, Send
from interlock.server.limits import Limits

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


class StreamReply(Reply):
    """An answer that is written as it comes.

    The next chunk is asked for when the last one was taken, so whoever reads slowly slows down what is read. Where the
    client goes away, the chunks are closed.

    Args:
        chunks: The answer, piece by piece.
        gone: Returns when the client has gone away.
    """

    chunks: AsyncGenerator[bytes, None] | None = None
    gone: Callable[[], Awaitable[None]] | None = None

    async def send(self, send: Send, *, head_only: bool = False) -> None:
        """Write the answer; of a HEAD request only its head."""
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers]})
        if self.chunks is not None and self.gone is not None and not head_only:
            gone = asyncio.ensure_future(self.gone())
            writing = asyncio.ensure_future(self._write(send))
            try:
                await asyncio.wait((gone, writing), return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                if not writing.done():
                    writing.cancel()
                await asyncio.gather(gone, writing, return_exceptions=True)
            if not writing.cancelled() and (error := writing.exception()) is not None:
                raise error
        await send({"type": "http.response.body", "body": b""})

    async def _write(self, send: Send) -> None:
        assert self.chunks is not None
        async with contextlib.aclosing(self.chunks) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})


class Call:
    """One request as its handler sees it.

    Args:
        scope: What ASGI tells of it.
        headers: Its headers by name in lower case.
        receive: Where its body comes from.
        limits: What it may bring.
    """

    def __init__(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, limits: Limits) -> None:
        self.scope = scope
        self._scope = scope
        self._headers = headers
        self._receive = receive
        self._limits = limits

    def header(self, name: bytes) -> str | None:
        """Return a header's value (named in lower case), or None."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return str(self._scope["method"])

    def headers(self) -> dict[str, str]:
        """Return all headers, named in lower case."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()}

    def query(self) -> dict[str, list[str]]:
        """Return the query's values by name.

        Raises:
            InvalidInput: It has too many fields.
        """
        try:
            return parse_qs(
                self._scope["query_string"].decode("latin-1"),
                keep_blank_values=True,
                max_num_fields=self._limits.query_fields,
            )
        except ValueError as error:
            raise InvalidInput("the query cannot be read", why=str(error)) from error

    def raw_header(self, name: bytes) -> bytes | None:
        """Return a header's value as it came, or None."""
        return self._headers.get(name)

    @property
    def client(self) -> str:
        """The address that it came from, where that is known."""
        client = self.scope.get("client")
        return client[0] if client else ""

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

    async def gone(self) -> None:
        """Return when the client has gone away; the body has to have been read."""
        while (await self._receive())["type"] != "http.disconnect":
            continue

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


class WholeCall(Call):
    """One request whose body is here.

    Args:
        scope: What ASGI would tell of it.
        headers: Its headers by name in lower case.
        body: Its body as it came.
        limits: What it may bring.
        client: The address that it came from.
    """

    def __init__(
        self, scope: Scope, headers: Mapping[bytes, bytes], body: bytes, limits: Limits, *, client: str = ""
    ) -> None:
        self.scope = self._scope = scope
        self._headers = headers
        self._body = body
        self._limits = limits
        self._client = client

    @property
    def client(self) -> str:
        """The address that it came from, where that is known."""
        return self._client

    async def body(self) -> bytes:
        """Return the whole body, decompressed.

        Raises:
            LimitExceeded: It becomes larger than allowed.
            InvalidInput: It is not compressed as it says.
        """
        encoding = self._headers.get(b"content-encoding")
        return self._body if encoding is None else self._decompressed(self._body, encoding.strip().lower())

    async def gone(self) -> None:
        """Wait: whoever has the connection ends what is written to it."""
        await asyncio.get_running_loop().create_future()


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
