"""End the waiting for answers that take too long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any, TypeVar

from interlock.core.errors import InvalidInput, TimedOut
from interlock.serving.seen import SEEN

TIMEOUT = b"x-interlock-timeout-ms"
"""The header in which a caller says how long the answer may take. Unit: milliseconds."""
LONGEST_S = 86_400.0

Result = TypeVar("Result")


def read_timeout(value: bytes) -> float:
    """Return the seconds that the header's value says.

    Raises:
        InvalidInput: It is no whole number of milliseconds from 1 to a day.

    Example:
        >>> read_timeout(b"250")
        0.25
    """
    if not (value.isdigit() and len(value) <= 8 and 0 < int(value) <= LONGEST_S * 1e3):
        raise InvalidInput(
            f"the header {TIMEOUT.decode()} cannot be read", why="expected whole milliseconds, from 1 to a day"
        )
    return int(value) / 1e3


def shorten(timeout_us: Any) -> None:
    """Have the wait for the request that is being read end earlier, where its body says so. Unit: microseconds."""
    seen = SEEN.get()
    if seen is not None and seen.deadline is not None and type(timeout_us) is int and timeout_us > 0:
        seen.deadline.shorten(timeout_us / 1e6)


class Deadlines:
    """Waits for work in threads, no longer than it may take.

    Args:
        longest_s: How long anything may take; None for as long as it does.
    """

    def __init__(self, longest_s: float | None) -> None:
        self._longest_s = longest_s
        self._left: dict[Future[Any], float] = {}

    async def await_within(self, begin: Callable[[], Future[Result]], *, watched: bool = True) -> Result:
        """Begin something and return what becomes of it; what is `watched` counts as stuck where it never ends.

        Raises:
            TimedOut: It takes longer than the caller of the request, or the limits, allow.
        """
        seen = SEEN.get()
        wait = _Wait()
        limits = [one for one in (self._longest_s, seen.timeout_s if seen else None) if one is not None]
        if limits:
            wait.end_after(min(limits))
        if seen is not None:
            seen.deadline = wait
        job = begin()
        job.add_done_callback(wait.end_soon)
        try:
            await wait.over
        finally:
            wait.close()
            if not job.done() and not job.cancel() and watched:
                # it is running, and a thread cannot be ended
                self._left[job] = monotonic()
                job.add_done_callback(lambda late: self._left.pop(late, None))
        if job.done() and not job.cancelled():
            try:
                return job.result()
            finally:
                # an error knows where it passed: it would keep itself, and all that the request brought, in memory
                del job
        raise TimedOut(
            "the answer took too long",
            why=f"the limit is {wait.within_s:g} s",
            fix=f"allow more in the header {TIMEOUT.decode()}, up to the server's --timeout",
        )

    def stuck(self, for_s: float = 0.0) -> int:
        """Return how much work has gone on for so long since nobody waits for it any more."""
        latest = monotonic() - for_s
        return sum(since <= latest for since in tuple(self._left.values()))


class _Wait:
    """The wait for one piece of work."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.within_s = LONGEST_S
        self.over: asyncio.Future[None] = self._loop.create_future()

    def shorten(self, timeout_s: float) -> None:
        """Have the wait end earlier; thread-safe."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self.end_after, timeout_s)

    def end_after(self, timeout_s: float) -> None:
        """Have the wait end so long after it began, if it does not end before."""
        if timeout_s < self.within_s and not self.over.done():
            self.within_s = timeout_s
            self.close()
            self._timer = self._loop.call_at(self._began + timeout_s, self._end)

    def end_soon(self, job: object) -> None:
        """Have the wait end now; thread-safe."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._end)

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            # it knows the context of the request, which knows this wait
            self._timer = None

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
