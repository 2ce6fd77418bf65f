"""Send events to browsers as they happen (`GET /api/v1/events`, server-sent events).

Source: WHATWG HTML, section 9.2. The id of each message is its `seq`, so a browser that reconnects names the last
one it saw in `Last-Event-ID` and misses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Annotated

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, Overloaded
from interlock.ports.journal import Event, Journal
from interlock.server.http import Answer, Request, StreamResponse, encode_json
from interlock.server.router import Route
from interlock.server.view_routes import API
from interlock.server.workers import Workers

POLL_S = 0.2
HEARTBEAT_S = 15.0
PAGE = 200

_logger = logging.getLogger(__name__)


class EventsQuery(msgspec.Struct, frozen=True):
    """Where to begin: after this `seq`; by default with what happens from now on."""

    after: Annotated[int, msgspec.Meta(ge=0)] | None = None


class EventStreams:
    """Everyone who follows events.

    However many clients follow, the end of the log is looked up once per `poll_s`, and not at all when nobody
    does. Each client reads at its own pace: a slow one holds up nobody and is held in no queue.

    Args:
        journal: The log.
        workers: Where it is read.
        poll_s: How often its end is looked up.
        heartbeat_s: How often a silent stream says that it lives.
    """

    def __init__(
        self, journal: Journal, workers: Workers, *, poll_s: float = POLL_S, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._journal = journal
        self._workers = workers
        self._poll_s = poll_s
        self._heartbeat_s = heartbeat_s
        self._followers = 0
        self._last_seq = 0
        self._moved = asyncio.Event()
        self._poller: asyncio.Task[None] | None = None
        self._closing = False

    def route(self) -> Route:
        """Return the route of the stream."""
        return Route(method="GET", path=API + "/events", access="api", handler=self.answer)

    async def answer(self, request: Request) -> Answer:
        """Begin a stream.

        Raises:
            InvalidInput: `Last-Event-ID` or `after` is no position in the log.
            Overloaded: Too many clients follow already.
        """
        if self._followers >= request.limits.event_streams:
            raise Overloaded("too many clients follow events", why=f"the limit is {request.limits.event_streams}")
        after = _last_event_id(request)
        if after is None:
            after = request.query(EventsQuery).after
        if after is None:
            after = await self._workers.run(self._journal.last_seq)
        return StreamResponse(
            chunks=self._follow(request, after),
            media_type="text/event-stream; charset=utf-8",
            headers=((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")),
        )

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closing = True
        self._wake()

    async def _follow(self, request: Request, after: int) -> AsyncGenerator[bytes, None]:
        self._followers += 1
        gone = asyncio.create_task(_until_gone(request))
        try:
            if self._poller is None:
                self._poller = asyncio.create_task(self._poll())
            yield b"retry: 1000\n\n"
            while not self._closing and not gone.done():
                moved = self._moved
                page = await self._workers.run(self._journal.events, after=after, limit=PAGE)
                if page:
                    after = page[-1].seq
                    yield b"".join(message(event) for event in page)
                elif not await self._news(moved, gone):
                    yield b": alive\n\n"
        finally:
            gone.cancel()
            self._followers -= 1
            if not self._followers and self._poller is not None:
                self._poller.cancel()
                self._poller = None

    async def _news(self, moved: asyncio.Event, gone: asyncio.Task[None]) -> bool:
        """Wait until the log has moved, the client is gone, or it is time for a heartbeat (False)."""
        waiting = asyncio.create_task(moved.wait())
        done, _ = await asyncio.wait((waiting, gone), timeout=self._heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return bool(done)

    async def _poll(self) -> None:
        while True:
            try:
                last = await self._workers.run(self._journal.last_seq)
            except InterlockError as error:
                # the store may come back; until then clients get heartbeats
                _logger.warning("the end of the event log cannot be read: %s", error)
            else:
                if last != self._last_seq:
                    self._last_seq = last
                    self._wake()
            await asyncio.sleep(self._poll_s)

    def _wake(self) -> None:
        # every follower holds the event that was current before it read, so none sleeps through a move
        self._moved.set()
        if not self._closing:
            self._moved = asyncio.Event()


def message(event: Event) -> bytes:
    """Return an event as one message; JSON holds no line break, so one `data` line is enough."""
    return b"id: %d\ndata: %b\n\n" % (event.seq, encode_json(event))


def _last_event_id(request: Request) -> int | None:
    text = request.header("last-event-id")
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise InvalidInput("Last-Event-ID is no position in the event log", why=f"expected a number, got '{text[:40]}'")
    return int(text)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
