"""Speak HTTP/1.1 by uvicorn and httptools, with a bound on the head and with Problems for what is not HTTP."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from interlock.core.errors import InvalidInput
from interlock.server.http import JSON_TYPE, WHOLE, encode_json
from interlock.server.joined_writes import JoinedWrites
from interlock.server.views import Problem

HEAD_BYTES = 65_536
"""How much of a head is taken in before it is whole; the guard's limit, applied to whole heads, is lower."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection.

    The parser itself takes heads of any size, so a client could fill the memory before any handler runs.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a head."""
        self._joined = JoinedWrites(transport)
        super().connection_made(self._joined)  # type: ignore[arg-type]
        self._in_head = True
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take in what arrived, unless a head goes on for too long."""
        if self._head_bytes > HEAD_BYTES:
            self.send_400_response("the head is too large")
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)

    def eof_received(self) -> None:
        """Send what waits before the connection closes: the client may still be reading."""
        self._joined.flush()
        super().eof_received()

    def on_headers_complete(self) -> None:
        """Stop counting: what follows is a body."""
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Tell the application that the body is here whole, and begin to count the next head of the connection."""
        self._in_head = True
        self.scope[WHOLE] = True  # type: ignore[literal-required]
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, and close the connection."""
        error = InvalidInput("the request cannot be read", why="it is not HTTP/1.1, or its head is too large")
        body = encode_json(Problem(code=error.code, what=error.what, why=error.why, fix=error.fix))
        head = f"content-type: {JSON_TYPE}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        self.transport.write(STATUS_LINE[400] + head.encode() + body)
        self.transport.close()
