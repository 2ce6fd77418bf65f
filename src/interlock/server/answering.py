"""What every protocol of the data plane answers with: the endpoints, and a way to ask them without blocking."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from interlock.server.hosting import EndpointHost
from interlock.server.limits import Limits
from interlock.serving.engine import Answer, EndpointEngine
from interlock.serving.requests import question
from interlock.serving.routing import Routing
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
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="interlock-data")

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

        return await self.near(engine, work, size_bytes=size_bytes)

    async def near(self, engine: EndpointEngine, work: Callable[[], Result], *, size_bytes: int) -> Result:
        """Do a request's work on the event loop if it is small and the endpoint quick, else in a thread."""
        if size_bytes <= INLINE_BODY_BYTES and engine.is_quick:
            return work()
        return await self.in_thread(work)

    def in_thread(self, work: Callable[[], Result]) -> Awaitable[Result]:
        """Do blocking work in a thread."""
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()
