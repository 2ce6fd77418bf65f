"""Watch a worker from inside: that it comes round, is not stuck, does not grow, and ends with its supervisor."""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Callable
from pathlib import Path

from interlock.server.supervisor import Worker

LEAST_ROOM = 1.25
"""A worker may grow by a quarter, whatever the limit."""
STUCK_AFTER_S = 30.0
"""A thread that works for so long on what nobody waits for any more will hardly come back."""

_logger = logging.getLogger(__name__)


class WorkerWatch:
    """What is looked at twice a second.

    Args:
        worker: The worker.
        stuck: Returns how many threads have been stuck for so long.
        stop: Stops the server gracefully.
        max_bytes: How much memory the process may have before another takes its place; None for any.
        threads: How many threads answer.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        stuck: Callable[[float], int],
        stop: Callable[[], None],
        max_bytes: int | None = None,
        threads: int = 4,
    ) -> None:
        self._worker = worker
        self._stuck = stuck
        self._stop = stop
        self._max_bytes = max_bytes
        if max_bytes is not None and (size := resident_bytes()) * LEAST_ROOM > max_bytes:
            # every worker that took its place would be told to leave, too
            self._max_bytes = int(size * LEAST_ROOM)
            _logger.warning(
                "--max-memory %d MB is too little: a worker has %d MB before it is asked anything; %d MB it is",
                max_bytes / 1e6,
                size / 1e6,
                self._max_bytes / 1e6,
            )
        self._threads = threads
        self._asked = False

    def look(self) -> None:
        """Tell that the loop came round, and ask for another worker where this one is of no more use."""
        self._worker.board.beat()
        if self._worker.lifeline >= 0 and select.select([self._worker.lifeline], [], [], 0)[0]:
            self._stop()
        if not self._asked and (why := self._problem()):
            self._asked = True
            self._worker.wants_another(why)

    def _problem(self) -> str:
        if self._stuck(STUCK_AFTER_S) or self._stuck(1.0) >= self._threads:
            return f"{self._stuck(0.0)} of {self._threads} threads are stuck in a model"
        if self._max_bytes is not None and (size := resident_bytes()) > self._max_bytes:
            return f"it has grown to {size / 1e6:.0f} MB; the limit is {self._max_bytes / 1e6:.0f} MB"
        return ""


def resident_bytes() -> int:
    """Return how much memory this process has."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.Process().memory_info().rss)
