"""Answers that take too long."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, TimedOut
from interlock.server.deadlines import Deadlines, read_timeout, shorten
from interlock.serving.seen import SEEN, Seen


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        SEEN.set(None)
        return await work()

    return asyncio.run(inside())


def test_what_is_done_in_time_is_returned(threads: ThreadPoolExecutor) -> None:
    assert run(lambda: Deadlines(60).await_within(lambda: threads.submit(lambda: 7))) == 7
    assert run(lambda: Deadlines(None).await_within(lambda: threads.submit(lambda: 7))) == 7
    with pytest.raises(ZeroDivisionError):
        run(lambda: Deadlines(60).await_within(lambda: threads.submit(lambda: 1 // 0)))


def test_what_takes_too_long_goes_on_and_is_watched(threads: ThreadPoolExecutor) -> None:
    let = threading.Event()
    deadlines = Deadlines(0.01)
    running = threads.submit(let.wait)
    with pytest.raises(TimedOut, match="took too long"):
        run(lambda: deadlines.await_within(lambda: running))
    assert (deadlines.stuck(), deadlines.stuck(600)) == (1, 0)
    let.set()
    threads.submit(int).result()
    assert deadlines.stuck() == 0


def test_what_has_not_begun_is_called_off(threads: ThreadPoolExecutor) -> None:
    let = threading.Event()
    threads.submit(let.wait)
    begun: list[int] = []
    deadlines = Deadlines(0.01)
    with pytest.raises(TimedOut):
        run(lambda: deadlines.await_within(lambda: threads.submit(begun.append, 1)))
    let.set()
    threads.submit(int).result()
    assert (begun, deadlines.stuck()) == ([], 0)


def test_the_caller_may_want_it_sooner(threads: ThreadPoolExecutor) -> None:
    let = threading.Event()

    async def work() -> None:
        seen = Seen(0)
        seen.timeout_s = 0.01
        SEEN.set(seen)
        await Deadlines(600).await_within(lambda: threads.submit(let.wait))

    with pytest.raises(TimedOut, match="took too long") as caught:
        asyncio.run(work())
    let.set()
    assert "0.01 s" in caught.value.why


@pytest.mark.parametrize("told", [10_000, 0, "soon", None])
def test_the_body_may_want_it_sooner(threads: ThreadPoolExecutor, told: Any) -> None:
    let = threading.Event()

    async def work() -> bool:
        SEEN.set(Seen(0))

        def read() -> bool:
            shorten(told)
            return let.wait(20)

        if told != 10_000:
            let.set()
        return await Deadlines(600).await_within(lambda: threads.submit(copy_context().run, read))

    if told == 10_000:
        with pytest.raises(TimedOut):
            asyncio.run(work())
    else:
        assert asyncio.run(work())
    let.set()


def test_what_is_not_watched_does_not_count_as_stuck() -> None:
    deadlines = Deadlines(0.01)
    never: Future[int] = Future()
    never.set_running_or_notify_cancel()
    with pytest.raises(TimedOut):
        run(lambda: deadlines.await_within(lambda: never, watched=False))
    assert deadlines.stuck() == 0


def test_work_that_ends_when_nobody_is_left_is_no_error() -> None:
    late: Future[int] = Future()
    late.set_running_or_notify_cancel()
    with pytest.raises(TimedOut):
        run(lambda: Deadlines(0.01).await_within(lambda: late))
    late.set_result(1)
    shorten(5)


@pytest.mark.parametrize("value", [b"", b"0", b"-1", b"1.5", b"a", b"123456789", b"86400001", "١".encode()])
def test_headers_that_are_no_time(value: bytes) -> None:
    with pytest.raises(InvalidInput, match="x-interlock-timeout-ms"):
        read_timeout(value)


class Brought:
    """What a request brings."""


def test_what_a_request_brought_is_gone_with_its_error(threads: ThreadPoolExecutor) -> None:
    left: list[weakref.ref[Brought]] = []

    async def request() -> None:
        brought = Brought()
        left.append(weakref.ref(brought))
        await Deadlines(60).await_within(lambda: threads.submit(fail))

    def fail() -> int:
        raise InvalidInput("no")

    async def ask() -> None:
        with contextlib.suppress(InvalidInput):
            await request()
        assert left[0]() is None

    gc.disable()
    try:
        run(ask)
    finally:
        gc.enable()
