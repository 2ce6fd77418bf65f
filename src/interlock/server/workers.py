"""Run the blocking calls of stores in threads, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ParamSpec, TypeVar

from interlock.ports.shared_commit import SharedCommit

Args = ParamSpec("Args")
Result = TypeVar("Result")

THREADS = 16
_LONGEST_GROUP_S = 0.01
"""How long the lane may take up further calls before it answers those that are done."""
_AHEAD = 4
"""Pieces of a request body that wait for the thread which keeps them."""


class Workers:
    """The threads in which a server calls its stores.

    Args:
        threads: How many, besides the lane.
        commits: What commits the writes of several calls in the lane together, if the stores can.

    Example:
        >>> workers = Workers()
        >>> asyncio.run(workers.run(len, "abc"))
        3
        >>> workers.close()
    """

    def __init__(self, threads: int = THREADS, *, commits: SharedCommit | None = None) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="interlock-api")
        self._lane = _Lane(commits)

    async def run(self, function: Callable[Args, Result], /, *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Call a function in a thread and wait for its result."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **kwargs))

    async def in_turn(self, function: Callable[Args, Result], /, *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Call a function after those before it, in the one thread for calls that would wait for each other anyway.

        Small writes cost far less so: sixteen threads that want one lock wake each other in vain, and leave none
        for reads.
        """
        return await self._lane.call(partial(function, *args, **kwargs))

    async def iterate(self, chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield what a blocking iterator yields, each step in a thread, the next one while this one is used."""
        coming = asyncio.ensure_future(self.run(next, chunks, None))
        try:
            while (chunk := await coming) is not None:
                coming = asyncio.ensure_future(self.run(next, chunks, None))
                yield chunk
        finally:
            # where the reader went away, the step that runs ends before the iterator is let go
            await asyncio.wait([coming])
            coming.exception()

    def pull(self, chunks: AsyncIterator[bytes]) -> Iterator[bytes]:
        """Turn what arrives on the running loop into an iterator for one of the threads, a few pieces ahead of it."""
        loop = asyncio.get_running_loop()
        arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        room = asyncio.Semaphore(_AHEAD)

        async def fill() -> None:
            try:
                async for chunk in chunks:
                    await room.acquire()
                    arrived.put(chunk)
            finally:
                arrived.put(None)

        def blocking() -> Iterator[bytes]:
            filling = asyncio.run_coroutine_threadsafe(fill(), loop)
            try:
                while (chunk := arrived.get()) is not None:
                    loop.call_soon_threadsafe(room.release)
                    yield chunk
                filling.result()
            finally:
                filling.cancel()

        return blocking()

    def close(self) -> None:
        """Wait for what runs and end the threads."""
        self._lane.close()
        self._pool.shutdown()


class _Job:
    """One call in the lane, and what came of it."""

    __slots__ = ("call", "error", "future", "result")

    def __init__(self, call: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.call = call
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None

    def work(self, within: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext) -> None:
        try:
            with within():
                self.result = self.call()
        except Exception as error:  # noqa: BLE001 (raised again where the call is awaited)
            self.error = error

    def settle(self) -> None:
        if self.future.done():  # whoever waited has gone
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _Lane:
    """One thread, which begins with the first call; what waits when it comes to it is committed together."""

    def __init__(self, commits: SharedCommit | None) -> None:
        self._commits = commits
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    async def call(self, function: Callable[[], Result]) -> Result:
        if self._thread is None:
            self._begin()
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(function, future))
        return await future

    def close(self) -> None:
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="interlock-lane", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = _Group(self._jobs, job)
            if self._commits is None:
                group.work()
            elif self._jobs.empty():
                job.work()
            else:
                group.work_together(self._commits)
            group.tell()
            if group.is_last:
                return


class _Group:
    """The calls that are answered at once: those that wait when the first is done, for a short while."""

    def __init__(self, waiting: queue.SimpleQueue[_Job | None], first: _Job) -> None:
        self._waiting = waiting
        self._jobs = [first]
        self.is_last = False

    def work(self, within: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext) -> None:
        end = time.monotonic() + _LONGEST_GROUP_S
        self._jobs[0].work(within)
        while not self._waiting.empty() and time.monotonic() < end:
            job = self._waiting.get()
            if job is None:
                self.is_last = True
                return
            self._jobs.append(job)
            job.work(within)

    def work_together(self, commits: SharedCommit) -> None:
        try:
            with commits.together():
                self.work(commits.apart)
        except Exception as error:  # noqa: BLE001 (raised again where each of the calls is awaited)
            for job in self._jobs:
                job.error = job.error or error

    def tell(self) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        for job in self._jobs:
            by_loop.setdefault(job.future.get_loop(), []).append(job)
        for loop, jobs in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, jobs)


def _settle(done: list[_Job]) -> None:
    for job in done:
        job.settle()
