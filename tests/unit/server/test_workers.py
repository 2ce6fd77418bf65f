"""Blocking calls run in threads; streams cross between threads and the loop both ways."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

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
