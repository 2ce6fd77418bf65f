"""Know how far a thread has come that moves things, and wait for it without waiting for what does not move."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FRESH_S = 5.0
"""A failure is taken to last for so long; nobody waits for what failed just now."""


class Progress:
    """What the thread that moves things tells those who wait for it. Thread-safe."""

    def __init__(self) -> None:
        self.failure = ""
        self._changed = threading.Condition()
        self._delivered = 0
        self._passes = 0
        self._movements = 0
        self._failures = 0
        self._failed_at = 0.0

    def move(self) -> None:
        """Note that something has arrived, however little."""
        with self._changed:
            self._movements += 1
            self.failure = ""
            self._changed.notify_all()

    def deliver(self, count: int) -> None:
        """Note that so many things have arrived whole."""
        with self._changed:
            self._delivered += count
            self._changed.notify_all()

    def pass_over(self) -> None:
        """Note that everything there was has been moved."""
        with self._changed:
            self._passes += 1
            self.failure = ""
            self._changed.notify_all()

    def fail(self, reason: str) -> bool:
        """Note why nothing moves; return whether it did until now."""
        with self._changed:
            is_news = not self.failure
            self.failure = reason
            self._failures += 1
            self._failed_at = time.monotonic()
            self._changed.notify_all()
        return is_news

    def failed_lately(self) -> bool:
        """Say whether nothing moves, and that is known from a moment ago."""
        return bool(self.failure) and time.monotonic() - self._failed_at < FRESH_S

    def wait(self, target: int, *, patience_s: float, hurry: Callable[[], None]) -> str:
        """Wait until so many things have arrived and a whole pass is over.

        Args:
            target: How many things, since the beginning.
            patience_s: How long to wait while nothing moves.
            hurry: Tells the thread that somebody waits.

        Returns:
            Why that did not come about, or an empty string.
        """
        with self._changed:
            passes, failures, seen = self._passes, self._failures, self._movements
            deadline = time.monotonic() + patience_s
            # again and again: a pass that was under way when this began has not seen everything
            hurry()
            while self._delivered < target or self._passes == passes:
                self._changed.wait(max(0.0, deadline - time.monotonic()))
                if self._failures > failures:
                    return self.failure
                if self._movements != seen:
                    seen, deadline = self._movements, time.monotonic() + patience_s
                elif time.monotonic() >= deadline:
                    reason = f"the store has not answered for {patience_s:g} s"
                    # who did not wait at all has learnt nothing
                    if patience_s > 0:
                        self.fail(reason)
                    return reason
                hurry()
        return ""
