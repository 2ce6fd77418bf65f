"""Events reach followers in order, each once, also after a reconnection; one poller serves them all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from interlock.core.errors import Unavailable
from interlock.ports.journal import Event
from interlock.ports.stores import Stores
from interlock.server.events import EventStreams, message
from interlock.server.guard import Guard
from interlock.server.limits import Limits
from interlock.server.router import Router
from interlock.server.workers import Workers
from tests.unit.server.asgi import Wire, call, scope_of

TARGET = "/api/v1/events"


class Follower:
    """A client that reads the stream as a browser does."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.wire.sent).decode()

    @property
    def seqs(self) -> list[int]:
        return [int(line[4:]) for line in self.text.splitlines() if line.startswith("id: ")]

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not reached():
                await asyncio.sleep(0.002)

    async def until_seq(self, seq: int) -> None:
        await self.until(lambda: bool(self.seqs) and self.seqs[-1] >= seq)


class Ground:
    """A router over one journal, and ways to follow it."""

    def __init__(self, stores: Stores, **options: Any) -> None:
        self.stores = stores
        self.workers = Workers(4)
        self.limits = Limits(event_streams=3)
        self.streams = EventStreams(stores.journal, self.workers, **{"poll_s": 0.005, **options})
        self.app = Router((self.streams.route(),), guard=Guard(), limits=self.limits)

    @asynccontextmanager
    async def follow(self, target: str = TARGET, *headers: tuple[str, str]) -> AsyncIterator[Follower]:
        wire = Wire()
        task = asyncio.create_task(self.app(scope_of("GET", target, headers), wire.receive, wire.send))
        follower = Follower(wire)
        try:
            await follower.until(lambda: "retry" in follower.text)
            yield follower
        finally:
            wire.gone.set()
            async with asyncio.timeout(5):
                await task

    def append(self, count: int = 1) -> int:
        return [self.stores.journal.append("run.started", "run:a\n") for _ in range(count)][-1].seq

    def run(self, scene: Coroutine[Any, Any, None]) -> None:
        try:
            asyncio.run(scene)
        finally:
            self.workers.close()


@pytest.fixture
def ground(stores: Stores) -> Ground:
    return Ground(stores)


def test_a_message_is_one_line_of_json_with_its_position(stores: Stores) -> None:
    event = stores.journal.append("run.started", "run:a", payload={"text": "two\nlines\r\n\n"})
    number, data, *rest = message(event).split(b"\n")
    assert number == b"id: %d" % event.seq
    assert msgspec.json.decode(data.removeprefix(b"data: "), type=Event) == event
    assert rest == [b"", b""]


def test_a_new_follower_gets_what_happens_from_now_on(ground: Ground) -> None:
    async def scene() -> None:
        ground.append(3)
        async with ground.follow() as follower:
            assert ground.append(2) == 5
            await follower.until_seq(5)
            assert follower.seqs == [4, 5]

    ground.run(scene())


@pytest.mark.parametrize("place", ["header", "query", "both"])
def test_a_follower_that_comes_back_misses_nothing(ground: Ground, place: str) -> None:
    header = [("last-event-id", "2")] if place != "query" else []
    target = {"header": TARGET, "query": f"{TARGET}?after=2", "both": f"{TARGET}?after=4"}[place]

    async def scene() -> None:
        ground.append(450)
        async with ground.follow(target, *header) as follower:
            ground.append(2)
            await follower.until_seq(452)
            assert follower.seqs == list(range(3, 453))

    ground.run(scene())


def test_many_followers_share_one_poller(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    last_seq = ground.stores.journal.last_seq

    def counted() -> int:
        nonlocal asked
        asked += 1
        return last_seq()

    def pollers() -> int:
        return sum("EventStreams._poll" in repr(task) for task in asyncio.all_tasks())

    async def scene() -> None:
        async with contextlib.AsyncExitStack() as exits:
            followers = [await exits.enter_async_context(ground.follow(f"{TARGET}?after=0")) for _ in range(3)]
            monkeypatch.setattr(ground.stores.journal, "last_seq", counted)
            await followers[0].until(lambda: asked >= 10)
            assert pollers() == 1
            ground.append(5)
            for follower in followers:
                await follower.until_seq(5)
                assert follower.seqs == [1, 2, 3, 4, 5]
        await followers[0].until(lambda: pollers() == 0)

    ground.run(scene())


def test_a_silent_stream_says_that_it_lives(stores: Stores) -> None:
    ground = Ground(stores, heartbeat_s=0.01)

    async def scene() -> None:
        async with ground.follow() as follower:
            await follower.until(lambda: follower.text.count(": alive\n\n") >= 3)

    ground.run(scene())


def test_streams_end_when_the_server_stops(ground: Ground) -> None:
    async def scene() -> None:
        async with ground.follow() as follower:
            ground.streams.close()
            await follower.until(lambda: follower.wire.reply.ended)

    ground.run(scene())


def test_a_log_that_cannot_be_read_for_a_while_is_read_again(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> int:
        raise Unavailable("the database is away")

    async def scene() -> None:
        async with ground.follow() as follower:
            with monkeypatch.context() as patch:
                patch.setattr(ground.stores.journal, "last_seq", broken)
                await follower.until(lambda: "the database is away" in caplog.text)
            await follower.until_seq(ground.append())

    ground.run(scene())


def test_the_number_of_followers_is_bounded(ground: Ground) -> None:
    async def scene() -> None:
        async with contextlib.AsyncExitStack() as exits:
            for _ in range(3):
                await exits.enter_async_context(ground.follow())
            wire = Wire()
            await ground.app(scope_of("GET", TARGET), wire.receive, wire.send)
            assert wire.reply.problem.code == "IL429"
        async with ground.follow():
            pass

    ground.run(scene())


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (TARGET, [("last-event-id", "x")]),
        (TARGET, [("last-event-id", "-1")]),
        (TARGET, [("last-event-id", "9" * 30)]),
        (TARGET, [("last-event-id", "")]),
        (f"{TARGET}?after=-1", []),
        (f"{TARGET}?after=x", []),
        (f"{TARGET}?since=1", []),
    ],
)
def test_a_position_that_is_none_is_400(ground: Ground, target: str, headers: list[tuple[str, str]]) -> None:
    assert call(ground.app, "GET", target, headers=headers).problem.code == "IL400"
    ground.workers.close()


def test_a_head_does_not_follow(ground: Ground) -> None:
    reply = call(ground.app, "HEAD", TARGET)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    ground.workers.close()
