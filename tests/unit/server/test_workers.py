"""Blocking calls run in threads; streams cross between threads and the loop both ways."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from interlock.core.errors import Corrupt, NotFound, Unavailable
from interlock.server.workers import Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


def test_a_call_runs_in_another_thread(workers: Workers) -> None:
    name = asyncio.run(workers.run(lambda: threading.current_thread().name))
    assert name.startswith("interlock-api")


def test_an_error_comes_back(workers: Workers) -> None:
    def fail() -> None:
        raise NotFound("no x")

    with pytest.raises(NotFound):
        asyncio.run(workers.run(fail))


def test_a_blocking_iterator_is_read_in_threads(workers: Workers) -> None:
    def chunks() -> Iterator[bytes]:
        yield threading.current_thread().name.encode()
        yield b""
        yield b"b"

    async def run() -> list[bytes]:
        return [chunk async for chunk in workers.iterate(chunks())]

    first, *rest = asyncio.run(run())
    assert first.startswith(b"interlock-api")
    assert rest == [b"", b"b"]


def test_an_iterator_that_fails_fails_where_it_is_read(workers: Workers) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"a"
        raise Corrupt("broken")

    async def run() -> list[bytes]:
        return [chunk async for chunk in workers.iterate(chunks())]

    with pytest.raises(Corrupt):
        asyncio.run(run())


def test_what_arrives_is_pulled_by_a_thread(workers: Workers) -> None:
    async def arriving() -> AsyncIterator[bytes]:
        for chunk in (b"a", b"b"):
            await asyncio.sleep(0)
            yield chunk

    async def run() -> list[bytes]:
        return await workers.run(list, workers.pull(arriving()))

    assert asyncio.run(run()) == [b"a", b"b"]


def test_an_arrival_that_breaks_off_reaches_the_thread(workers: Workers) -> None:
    async def arriving() -> AsyncIterator[bytes]:
        yield b"a"
        raise Unavailable("gone")

    async def run() -> list[bytes]:
        return await workers.run(list, workers.pull(arriving()))

    with pytest.raises(Unavailable):
        asyncio.run(run())


def test_calls_in_turn_keep_their_order_in_one_thread(workers: Workers) -> None:
    seen: list[tuple[int, str]] = []

    async def run() -> list[int]:
        return await asyncio.gather(*(workers.in_turn(note, number) for number in range(200)))

    def note(number: int) -> int:
        seen.append((number, threading.current_thread().name))
        return -number

    assert asyncio.run(run()) == [-number for number in range(200)]
    assert seen == [(number, "interlock-lane") for number in range(200)]


def test_an_error_in_turn_comes_back_and_stops_nobody(workers: Workers) -> None:
    def call(number: int) -> int:
        if number % 2:
            raise NotFound(f"no {number}")
        return number

    async def run() -> list[int | BaseException]:
        return await asyncio.gather(*(workers.in_turn(call, number) for number in range(4)), return_exceptions=True)

    found = asyncio.run(run())
    assert [one if isinstance(one, int) else str(one.args[0]) for one in found] == [0, "no 1", 2, "no 3"]


def test_the_lane_goes_on_when_who_waited_has_gone(workers: Workers) -> None:
    started, gone = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        gone.wait(10)

    async def run() -> int:
        waiting = asyncio.create_task(workers.in_turn(slow))
        await asyncio.get_running_loop().run_in_executor(None, started.wait)
        waiting.cancel()
        gone.set()
        return await workers.in_turn(lambda: 7)

    assert asyncio.run(run()) == 7
    assert asyncio.run(workers.in_turn(lambda: 8)) == 8


def test_the_lane_ends_after_what_was_given_to_it() -> None:
    made = Workers(1)
    done: list[int] = []

    async def run() -> None:
        calls = [asyncio.create_task(made.in_turn(done.append, number)) for number in range(50)]
        await asyncio.sleep(0)
        made.close()
        await asyncio.gather(*calls)

    asyncio.run(run())
    assert done == list(range(50))


class Ledger:
    """Keeps what calls write once the block they share has ended; may fail at its end, or at its beginning."""

    def __init__(self, *, fails: str = "") -> None:
        self.kept: list[int] = []
        self.blocks = 0
        self._fails = fails
        self._open: list[int] = []

    @contextmanager
    def together(self) -> Iterator[None]:
        if self._fails == "begin":
            raise Unavailable("no connection")
        self._open = []
        yield
        if self._fails == "commit":
            raise Unavailable("the connection was lost")
        self.blocks += 1
        self.kept += self._open

    @contextmanager
    def apart(self) -> Iterator[None]:
        before = list(self._open)
        try:
            yield
        except NotFound:
            self._open = before
            raise

    def write(self, number: int) -> int:
        self._open.append(number)
        if number == 3:
            raise NotFound("no 3")
        return number


async def write_behind_a_slow_call(workers: Workers, ledger: Ledger, count: int) -> list[Any]:
    started, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        started.set()
        go_on.wait(10)

    first = asyncio.create_task(workers.in_turn(slow))
    await asyncio.get_running_loop().run_in_executor(None, started.wait)
    calls = [asyncio.create_task(workers.in_turn(ledger.write, number)) for number in range(count)]
    await asyncio.sleep(0)
    go_on.set()
    await first
    return await asyncio.gather(*calls, return_exceptions=True)


def test_what_waits_is_committed_together() -> None:
    ledger = Ledger()
    made = Workers(1, commits=ledger)
    found = asyncio.run(write_behind_a_slow_call(made, ledger, 6))
    made.close()
    assert [str(one.args[0]) if isinstance(one, NotFound) else one for one in found] == [0, 1, 2, "no 3", 4, 5]
    assert ledger.kept == [0, 1, 2, 4, 5] and 1 <= ledger.blocks < 5


@pytest.mark.parametrize("fails", ["begin", "commit"])
def test_where_the_commit_fails_every_call_of_it_fails(fails: str) -> None:
    ledger = Ledger(fails=fails)
    made = Workers(1, commits=ledger)
    found = asyncio.run(write_behind_a_slow_call(made, ledger, 3))
    # the last may have come to the lane alone, and then shares no commit
    assert [type(one) for one in found[:2]] == [Unavailable] * 2
    assert ledger.kept == []
    assert asyncio.run(made.in_turn(lambda: 7)) == 7  # the lane goes on
    made.close()


def test_a_reader_that_leaves_early_leaves_no_step_running(workers: Workers) -> None:
    ended = threading.Event()

    def chunks() -> Iterator[bytes]:
        try:
            for _ in range(100):
                yield b"a"
        finally:
            ended.set()

    async def run() -> int:
        source = chunks()
        stream = workers.iterate(source)
        await anext(stream)
        await stream.aclose()
        source.close()  # would fail while a thread is in it
        return 1

    assert asyncio.run(run()) == 1
    assert ended.is_set()


def test_pieces_wait_for_the_thread_but_not_all_of_them(workers: Workers) -> None:
    sent: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(50):
            sent.append(number)
            yield b"x"

    def take(pieces: Iterator[bytes]) -> tuple[int, int]:
        next(pieces)
        most = len(sent)
        return most, 1 + sum(1 for _ in pieces)

    async def run() -> tuple[int, int]:
        return await workers.run(take, workers.pull(chunks()))

    most, taken = asyncio.run(run())
    assert most <= 8 and taken == 50


def test_a_taker_that_fails_stops_the_sender(workers: Workers) -> None:
    closed = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    def take(pieces: Iterator[bytes]) -> None:
        for _ in pieces:
            raise Corrupt("full")

    async def run() -> None:
        with pytest.raises(Corrupt):
            await workers.run(take, workers.pull(chunks()))
        await asyncio.sleep(0)

    asyncio.run(run())
    assert closed == [True]
