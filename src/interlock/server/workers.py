"""Run the blocking calls of stores in threads, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Args = ParamSpec("Args")
Result = TypeVar("Result")

THREADS = 16


class Workers:
    """The threads in which a server calls its stores.

    Example:
        >>> workers = Workers()
        >>> asyncio.run(workers.run(len, "abc"))
        3
        >>> workers.close()
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="interlock-api")

    async def run(self, function: Callable[Args, Result], /, *args: Args.args, **kwargs: Args.kwargs) -> Result:
        """Call a function in a thread and wait for its result."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **kwargs))

    async def iterate(self, chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield what a blocking iterator yields, each step in a thread."""
        while (chunk := await self.run(next, chunks, None)) is not None:
            yield chunk

    def pull(self, chunks: AsyncIterator[bytes]) -> Iterator[bytes]:
        """Turn what arrives on the running loop into an iterator for one of the threads."""
        loop = asyncio.get_running_loop()

        async def step() -> bytes | None:
            return await anext(chunks, None)

        def blocking() -> Iterator[bytes]:
            while (chunk := asyncio.run_coroutine_threadsafe(step(), loop).result()) is not None:
                yield chunk

        return blocking()

    def close(self) -> None:
        """Wait for what runs and end the threads."""
        self._pool.shutdown()
