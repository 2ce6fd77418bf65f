"""What every protocol of the data plane answers with: the endpoints, and a way to ask them without blocking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from time import perf_counter_ns
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from interlock.core.errors import Unavailable
from interlock.server.batching import Batcher, Submit
from interlock.server.deadlines import Deadlines
from interlock.server.hosting import EndpointHost
from interlock.server.limits import Limits
from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.requests import question
from interlock.serving.routing import Routing
from interlock.serving.seen import SEEN
from interlock.serving.validation import RowCheck, Table

INLINE_BODY_BYTES = 32_768
"""Requests of at most so many bytes to quick models are answered on the event loop."""

Read = Callable[[RowCheck], tuple[Table, dict[str, Any]]]
"""Gives the checked rows of a request, and what it says of them."""

Result = TypeVar("Result")


class Answering:
    """The ground on which protocols stand.

    Args:
        host: The endpoints of this process.
        limits: What a request may bring.
        version: What the server calls its version.
        threads: How many requests may be answered beside the event loop.
    """

    def __init__(self, host: EndpointHost, *, limits: Limits, version: str, threads: int = 4) -> None:
        self.host = host
        self.limits = limits
        self.version = version
        self.threads = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="interlock-data")
        self._deadlines = Deadlines(limits.timeout_s)
        self._loaders = ThreadPoolExecutor(1, thread_name_prefix="interlock-loading")
        self._loads: dict[str, Future[None]] = {}
        self._batchers: WeakKeyDictionary[EndpointEngine, Batcher] = WeakKeyDictionary()

    async def predict(
        self, engine: EndpointEngine, read: Read, *, size_bytes: int, version: str | None = None
    ) -> tuple[Answer, Routing]:
        """Read a request's rows, ask the endpoint, and return what it says and the routing that said it.

        Small requests to quick models are answered here and now, others in a thread.

        Args:
            engine: The endpoint.
            read: Reads the rows; called where the prediction is made.
            size_bytes: How large the request is.
            version: Number of the version that shall answer, in place of the endpoint's shares.

        Raises:
            InvalidInput: The request cannot be read, or the model refuses the rows.
            SchemaMismatch: The rows do not fit the signature.
            NotFound: The version does not answer behind this endpoint.
            Unavailable: Nothing is loaded yet, or the log cannot be written.
        """

        def work() -> tuple[Answer, Routing]:
            routing = engine.routing
            table, params = read(routing.check)
            asked = question(table, params, now_micros=engine.now_micros())
            return engine.predict(asked, routing=routing, version=version), routing

        if self.host.memory is not None:
            await self.awake(engine)
        if version is None and size_bytes <= INLINE_BODY_BYTES and engine.gains_together:
            # reading is quick; what takes long is the model, which is asked for all who wait at once
            routing = engine.routing
            table, params = read(routing.check)
            asked = question(table, params, now_micros=engine.now_micros())
            if Batcher.fits(routing, asked):
                batcher = self._batcher(engine)
                return await self._deadlines.await_within(lambda: batcher.ask(asked, routing)), routing
            return await self.in_thread(lambda: (engine.predict(asked, routing=routing), routing))
        return await self.near(engine, work, size_bytes=size_bytes)

    def _batcher(self, engine: EndpointEngine) -> Batcher:
        batcher = self._batchers.get(engine)
        if batcher is None:
            loop = asyncio.get_running_loop()
            # a quick model is asked on the loop, for all whose requests have arrived when it comes round
            submit: Submit = loop.call_soon if engine.is_quick else self._threads.submit
            batcher = self._batchers[engine] = Batcher(engine, submit=submit, soon=loop.call_soon_threadsafe)
        return batcher

    async def awake(self, engine: EndpointEngine) -> None:
        """Note that an endpoint is asked, and return when it is loaded; who has room for all is always awake.

        Raises:
            StorageFull: Its models alone exceed the memory of this server.
            TimedOut: Loading takes longer than the answer may.
        """
        if self.host.memory is not None:
            self.host.memory.touch(engine.name)
            if engine.is_resting and not engine.is_ready:
                await self.wake(engine)

    async def wake(self, engine: EndpointEngine) -> None:
        """Have an endpoint loaded that rests, beside everything else; of those who wait for it, one loads it.

        Raises:
            StorageFull: Its models alone exceed the memory of this server.
            TimedOut: It takes longer than the answer may.
        """
        memory = self.host.memory
        assert memory is not None
        loading = self._loads.get(engine.name)
        if loading is None or loading.done():
            loading = self._loads[engine.name] = self._loaders.submit(memory.wake, engine)
        # each waits for a copy: whoever gives up must not call off what others wait for
        mine: Future[None] = Future()
        mine.set_running_or_notify_cancel()
        loading.add_done_callback(lambda done: _hand_on(done, mine))
        await self._deadlines.await_within(lambda: mine, watched=False)

    async def near(self, engine: EndpointEngine, work: Callable[[], Result], *, size_bytes: int) -> Result:
        """Do a request's work on the event loop if it is small and the endpoint quick, else in a thread."""
        seen = SEEN.get()
        if seen is not None and seen.is_traced:
            seen.read_ns = perf_counter_ns()
        if size_bytes <= INLINE_BODY_BYTES and engine.is_quick:
            return work()
        return await self.in_thread(work)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Do blocking work in a thread.

        Raises:
            TimedOut: It takes longer than the caller or the limits allow; the thread goes on, and is watched.
        """
        # the thread knows which request it works for
        return await self._deadlines.await_within(lambda: self._threads.submit(copy_context().run, work))

    def aside(self, work: Callable[[], object]) -> None:
        """Do blocking work in a thread that nobody waits for."""
        self._threads.submit(copy_context().run, work)

    def stuck(self, for_s: float = 0.0) -> int:
        """Return how many threads have worked for so long on what nobody waits for any more."""
        return self._deadlines.stuck(for_s)

    def close(self) -> None:
        """End the threads."""
        # a thread that is stuck would be waited for in vain
        self._threads.shutdown(wait=not self.stuck(), cancel_futures=True)
        self._loaders.shutdown(cancel_futures=True)


def _hand_on(done: Future[None], mine: Future[None]) -> None:
    error = Unavailable("the server is stopping") if done.cancelled() else done.exception()
    if error is None:
        mine.set_result(None)
    else:
        mine.set_exception(error)
