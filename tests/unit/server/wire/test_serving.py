"""A server of the data plane as a whole: answers that stream, what begins at once and what does not, its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from interlock.core.errors import Unavailable
from interlock.server.calls import JSON, Call, Reply, StreamReply, WholeCall
from interlock.server.http import Rejection, Scope
from interlock.server.limits import Limits
from interlock.server.listening import address, listen
from interlock.server.wire.serving import WireServer, serving_wire
from tests.unit.server.wire.raw import HOST, request, talk

Answer = Callable[[WholeCall], Coroutine[Any, Any, Reply]]
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"


class Small:
    """Answers everything in one way."""

    def __init__(self, answer: Answer, *, at_once: bool = False, limits: Limits | None = None) -> None:
        self.limits = limits or Limits(silence_s=10)
        self.answer = answer
        self._at_once = at_once

    def inspect(self, scope: Scope) -> Reply | None:
        return None

    def refusal(self, scope: Scope) -> Reply | None:
        return None

    def error_reply(self, error: Rejection) -> Reply:
        return Reply(error.error.what.encode(), error.status)

    def begins_at_once(self, scope: Scope) -> bool:
        return self._at_once


@contextlib.contextmanager
def small(answer: Answer, **options: Any) -> Iterator[str]:
    with serving_wire(Small(answer, **options), listen("127.0.0.1", 0)) as url:
        yield url


@pytest.mark.parametrize("at_once", [True, False])
def test_an_answer_may_wait(at_once: bool) -> None:
    async def answer(call: WholeCall) -> Reply:
        await asyncio.get_running_loop().run_in_executor(None, bool)
        with contextlib.suppress(ZeroDivisionError):
            await asyncio.get_running_loop().run_in_executor(None, lambda: 1 // 0)
        return Reply(await call.body())

    with small(answer, at_once=at_once) as url, talk(url) as client:
        client.send(request(b"abc") * 3)
        assert [client.answer().body for _ in range(3)] == [b"abc"] * 3


@pytest.mark.parametrize("at_once", [True, False])
def test_an_answer_may_come_in_parts(at_once: bool) -> None:
    async def parts() -> AsyncGenerator[bytes, None]:
        for part in (b"one", b"", b"two"):
            yield part

    async def answer(call: WholeCall) -> Reply:
        return StreamReply(headers=(JSON,), chunks=parts())

    with small(answer, at_once=at_once) as url, talk(url) as client:
        client.send(GET * 2)
        assert [client.answer().body, client.answer().body] == [b"onetwo"] * 2
        client.send(GET.replace(b"GET", b"HEAD") + GET)
        assert (client.answer(head_only=True).status, client.answer().body) == (200, b"onetwo")
        # without chunks, its end is the connection's
        client.send(GET.replace(b"1.1", b"1.0"))
        with pytest.raises(KeyError):
            client.answer()


class Endless:
    """Parts without an end, which tell when they are closed."""

    def __init__(self, part: bytes) -> None:
        self.part = part
        self.made = 0
        self.closed = threading.Event()

    async def parts(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                self.made += 1
                yield self.part
                await asyncio.sleep(0)
        finally:
            self.closed.set()

    async def answer(self, call: Call) -> Reply:
        return StreamReply(headers=(JSON,), chunks=self.parts())


def test_parts_are_made_no_more_when_the_client_leaves() -> None:
    endless = Endless(b"a" * 1_000)
    with small(endless.answer) as url:
        with talk(url) as client:
            client.send(GET)
            assert client.socket.recv(100)
        assert endless.closed.wait(20)


def test_parts_are_made_no_quicker_than_the_client_reads_and_no_longer_than_it_may_be_slow() -> None:
    endless = Endless(b"a" * 100_000)
    with small(endless.answer, limits=Limits(silence_s=0.3)) as url, talk(url) as client:
        client.send(GET)
        assert endless.closed.wait(20)
        assert endless.made < 1_000


def test_parts_that_fail_leave_the_answer_without_its_end(caplog: pytest.LogCaptureFixture) -> None:
    async def parts() -> AsyncGenerator[bytes, None]:
        yield b"one"
        raise Unavailable("the model has gone")

    async def answer(call: Call) -> Reply:
        return StreamReply(headers=(JSON,), chunks=parts())

    with small(answer) as url, talk(url) as client:
        client.send(GET)
        with pytest.raises(AssertionError, match="the connection ended"):
            client.answer()
    assert "cut short" in caplog.text


def test_a_stop_waits_for_what_runs_and_a_second_one_does_not() -> None:
    begun = threading.Event()

    async def answer(call: Call) -> Reply:
        begun.set()
        await asyncio.sleep(600)
        return Reply()

    listener = listen("127.0.0.1", 0)
    server = WireServer(Small(answer), grace_s=600)
    thread = threading.Thread(target=server.run, args=(listener,))
    thread.start()
    with talk(address(listener)) as client:
        client.send(GET)
        assert begun.wait(20)
        server.stop()
        server.stop()
        assert client.ended()
    thread.join(20)
    assert not thread.is_alive()
    server.stop()


def test_a_server_that_is_told_to_stop_before_it_is_ready_stops_and_leaves_no_handler() -> None:
    async def answer(call: Call) -> Reply:
        return Reply()

    server = WireServer(Small(answer))
    server.stop()
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    server.run(listen("127.0.0.1", 0))
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_server_that_cannot_begin_says_so() -> None:
    async def answer(call: Call) -> Reply:
        return Reply()

    closed = listen("127.0.0.1", 0)
    taken = socket.socket(fileno=closed.detach())
    taken.close()

    class Broken(Small):
        @property
        def limits(self) -> Limits:
            raise ValueError

        @limits.setter
        def limits(self, limits: Limits) -> None:
            pass

    failed: list[object] = []
    hook, threading.excepthook = threading.excepthook, failed.append
    try:
        with (
            pytest.raises(Unavailable, match="ended before it was ready"),
            serving_wire(Broken(answer), listen("127.0.0.1", 0)),
        ):
            pass
    finally:
        threading.excepthook = hook
    assert failed


def test_what_is_looked_at_is_looked_at_again_and_again() -> None:
    async def answer(call: Call) -> Reply:
        return Reply()

    looks = threading.Semaphore(0)
    listener = listen("127.0.0.1", 0)
    server = WireServer(Small(answer), on_look=looks.release)
    thread = threading.Thread(target=server.run, args=(listener,))
    thread.start()
    assert [looks.acquire(timeout=20) for _ in range(3)] == [True] * 3
    server.stop()
    thread.join(20)
