"""One connection of the data plane: requests in, answers out, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine, Generator
from typing import TYPE_CHECKING, Any

from interlock.core.errors import LimitExceeded, TimedOut
from interlock.server.calls import Reply, StreamReply, WholeCall
from interlock.server.http import Rejection
from interlock.server.wire.chunks import ChunkedBody
from interlock.server.wire.heads import CHUNKED, END, Head
from interlock.server.wire.replies import CONTINUE, STREAM_END, chunk_of, head_of, whole_of

if TYPE_CHECKING:
    from interlock.server.wire.serving import Ground

LEAST_BYTES_PER_S = 1_024
"""A body that arrives more slowly than this for long is given up."""
_MOST_WAITING_BYTES = 65_536
_LINGER_S = 2.0
_NEVER = float("inf")
_logger = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """One client's connection.

    A request that arrives whole in one piece, under a head that was read before, is answered without anything in
    between; all others are put together first. Requests that are sent before the answer to the one before (pipelined)
    wait their turn. Nothing more is read from a client that does not read its answers.

    Args:
        ground: What all connections of a server share.

    Attributes:
        deadline: When the server shall call `expire`. Unit: seconds of the loop.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._transport: Any = None
        self._client = ""
        self._buffer = b""
        self._head: Head | None = None
        self._body: list[bytes] = []
        self._missing = 0
        self._chunked: ChunkedBody | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Event | None = None
        self._is_waiting_for_head = False
        self._wants_head_only = False
        self._is_paused = False
        self._is_half = False
        self._is_deaf = False
        self.deadline = _NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a head."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._client = peer[0] if isinstance(peer, tuple) else ""
        if self._ground.enters(self):
            self._is_waiting_for_head = True
            self.deadline = self._ground.now() + self._ground.limits.silence_s
        else:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Give up what was on its way; a prediction that has begun in a thread is finished and logged."""
        self._ground.leaves(self)
        self._is_deaf = True
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Take in what arrived."""
        if self._task is None and self._head is None and not self._buffer and self._writable is None:
            cut = data.find(END) + 4
            head = self._ground.heads.get(data[:cut])
            if head is not None and len(data) - cut == head.length and not self._is_deaf:
                self._ask(head, data[cut:])
                return
        if self._is_deaf:
            return
        self._buffer = self._buffer + data if self._buffer else data
        if self._task is None and self._writable is None:
            self._go_on()
        else:
            self._regulate()

    def eof_received(self) -> bool:
        """Answer what came whole before the client ended its side; it may still be reading."""
        self._is_half = True
        return self._task is not None or self._writable is not None

    def pause_writing(self) -> None:
        """Wait until the client has read what it was sent."""
        self._writable = asyncio.Event()
        self._regulate()

    def resume_writing(self) -> None:
        """Go on."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        if self._task is None:
            self._rest_or_go_on()

    def expire(self) -> None:
        """Give up on a client that was silent, or slow, for too long."""
        if self._is_deaf or self._task is not None or self._writable is not None:
            self.cut()
        elif self._head is not None or self._buffer or self._is_waiting_for_head:
            silent = f"the limit is {self._ground.limits.silence_s:g} s"
            self._refuse(Rejection(TimedOut("the request did not arrive in time", why=silent), status=408))
        else:
            self._transport.close()

    def finish(self) -> None:
        """Close if nothing is on its way."""
        if self._task is None and self._head is None and not self._buffer and self._writable is None:
            self._transport.close()

    def cut(self) -> None:
        """Close whatever is on its way."""
        self._transport.abort()

    def _go_on(self) -> None:
        """Read on in what has arrived, until it ends or a request has to be waited for."""
        try:
            while self._buffer and self._task is None and self._writable is None:
                if not (self._take_head() if self._head is None else self._take_body(self._head)):
                    break
        except Rejection as rejection:
            self._refuse(rejection)
        if self._is_half and self._task is None and self._writable is None:
            self._transport.close()

    def _take_head(self) -> bool:
        """Read a head; say whether it was there."""
        ground = self._ground
        limits = ground.limits
        if self._buffer.startswith(b"\r\n"):
            # an empty line before a head is what some old clients send after a body
            self._buffer = self._buffer[2:]
            return True
        cut = self._buffer.find(END, 0, limits.head_bytes) + 4
        if cut < 4:
            if len(self._buffer) >= limits.head_bytes:
                why = f"the limit is {limits.head_bytes} bytes"
                raise Rejection(LimitExceeded("the request head is too large", why=why), status=431)
            if not self._is_waiting_for_head:
                self._is_waiting_for_head = True
                self.deadline = ground.now() + limits.silence_s
            return False
        raw, self._buffer = self._buffer[:cut], self._buffer[cut:]
        self._wants_head_only = raw.startswith(b"HEAD ")
        head = ground.heads.get(raw) or ground.read(raw)
        if isinstance(head, Reply):
            return self._refuse_with(head)
        self._is_waiting_for_head = False
        if not head.length:
            self._ask(head, b"")
            return True
        if head.length == CHUNKED or len(self._buffer) < head.length:
            # whoever may not ask at all need not send more
            refusal = ground.app.refusal(head.scope)
            if refusal is not None:
                return self._refuse_with(refusal)
            if head.awaits_continue and not self._buffer:
                self._transport.write(CONTINUE)
        self._head = head
        self._missing = head.length
        self._chunked = ChunkedBody(limits) if head.length == CHUNKED else None
        self.deadline = ground.now() + limits.silence_s
        return True

    def _take_body(self, head: Head) -> bool:
        """Read what is there of a body; say whether there is more to read."""
        data, self._buffer = self._buffer, b""
        if self._chunked is not None:
            rest = self._chunked.take(data)
            body = b"" if rest is None else self._chunked.data
        else:
            self._body.append(data[: self._missing])
            self._missing -= len(self._body[-1])
            rest = None if self._missing else data[len(self._body[-1]) :]
            body = b"" if rest is None else b"".join(self._body)
        if rest is None:
            ground = self._ground
            ground.hold(self, len(data))
            # whoever sends something gets more time: each byte a thousandth of a second
            silence_s = ground.limits.silence_s
            self.deadline = min(self.deadline + len(data) / LEAST_BYTES_PER_S, ground.now() + silence_s)
            return False
        self._buffer = rest
        self._forget_request()
        self._ask(head, body)
        return True

    def _forget_request(self) -> None:
        self._body = []
        self._head = self._chunked = None
        self._ground.let_go(self)

    def _ask(self, head: Head, body: bytes) -> None:
        """Have a request answered, here and now if that is possible."""
        ground = self._ground
        coroutine = ground.app.answer(WholeCall(head.scope, head.headers, body, ground.limits, client=self._client))
        if head.begins_at_once:
            try:
                waits_for = coroutine.send(None)
            except StopIteration as done:
                if not isinstance(done.value, StreamReply):
                    self._reply(head, done.value)
                    return
                coroutine = _given(done.value)
            else:
                coroutine = _rest(coroutine, waits_for)
        self.deadline = _NEVER
        self._task = asyncio.ensure_future(self._finish(head, coroutine))

    async def _finish(self, head: Head, coroutine: Coroutine[Any, Any, Reply]) -> None:
        try:
            reply = await coroutine
            if isinstance(reply, StreamReply):
                await self._stream(head, reply)
            else:
                self._reply(head, reply)
        finally:
            self._task = None
        self._rest_or_go_on()

    def _rest_or_go_on(self) -> None:
        if self._writable is None and not self._transport.is_closing():
            self._go_on()
        self._regulate()

    def _reply(self, head: Head, reply: Reply) -> None:
        stays = head.keeps_alive and not self._ground.is_stopping
        self._transport.write(whole_of(reply, stays=stays, head_only=head.method == "HEAD"))
        if not stays:
            self._buffer = b""
            self._transport.close()
        elif self._writable is None:
            self.deadline = self._ground.idle_until
        else:
            self.deadline = self._ground.now() + self._ground.limits.silence_s

    async def _stream(self, head: Head, reply: StreamReply) -> None:
        """Write an answer as it comes, no quicker than the client reads; when the client leaves, it is made no more."""
        assert reply.chunks is not None
        chunked = head.scope["http_version"] == "1.1"
        stays = head.keeps_alive and chunked
        self._transport.write(head_of(reply.status, reply.headers, stays=stays, chunked=chunked))
        try:
            async with contextlib.aclosing(reply.chunks) as parts:
                if head.method != "HEAD":
                    await self._write_parts(parts, chunked=chunked)
        except Exception as error:  # noqa: BLE001 (the edge of a request whose status is out already)
            # the client sees that the end is missing
            _logger.warning("an answer was cut short: %s", error)
            self._transport.close()
            return
        if chunked and head.method != "HEAD":
            self._transport.write(STREAM_END)
        self.deadline = self._ground.idle_until
        if not stays or self._ground.is_stopping:
            self._transport.close()

    async def _write_parts(self, parts: AsyncIterator[bytes], *, chunked: bool) -> None:
        async for part in parts:
            if part:
                self._transport.write(chunk_of(part) if chunked else part)
            if self._writable is not None:
                self.deadline = self._ground.now() + self._ground.limits.silence_s
                await self._writable.wait()
                self.deadline = _NEVER

    def _refuse(self, rejection: Rejection) -> None:
        self._refuse_with(self._ground.app.error_reply(rejection))

    def _refuse_with(self, reply: Reply) -> bool:
        """Answer what cannot be read on from, and close once the client has had the time to read that."""
        self._buffer = b""
        self._forget_request()
        self._is_deaf = True
        self._transport.write(whole_of(reply, stays=False, head_only=self._wants_head_only))
        # closing at once, with unread data on the way, would take the answer back (a reset)
        self._transport.write_eof()
        self.deadline = self._ground.now() + _LINGER_S
        return False

    def _regulate(self) -> None:
        """Read from the client as long as it reads what it is sent, and not far ahead of the answers."""
        pause = self._writable is not None or len(self._buffer) > _MOST_WAITING_BYTES
        if pause != self._is_paused and not self._transport.is_closing():
            self._is_paused = pause
            (self._transport.pause_reading if pause else self._transport.resume_reading)()


async def _given(reply: Reply) -> Reply:
    return reply


class _Rest:
    """What remains of a coroutine that has begun.

    Args:
        coroutine: The coroutine.
        waits_for: What it gave when it first had to wait.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waits_for = self._waits_for
        while True:
            step: Any = self._coroutine.send
            try:
                handed = yield waits_for
            except BaseException as error:  # noqa: BLE001 (handed on, as await does)
                step, handed = self._coroutine.throw, error
            try:
                waits_for = step(handed)
            except StopIteration as done:
                return done.value
            finally:
                # an error that goes on from here knows this frame, which must not know it, too
                handed = None


async def _rest(coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    return await _Rest(coroutine, waits_for)
