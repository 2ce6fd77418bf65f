"""Run calls in this thread, or where it pays in a warm worker process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from interlock.adapters.local.pool import ProcessExecutor
from interlock.ports.call_rules import closed
from interlock.ports.executor import Call, Executor, Outcome

__all__ = ["AdaptiveExecutor", "InlineExecutor", "ProcessExecutor"]

PAYS_FROM_S = 0.5
"""A call that takes this long goes to a worker: about what starting the first one costs, with its libraries."""


class InlineExecutor(Executor):
    """Runs each call at once, in the thread that submits it; the future is done when `start` returns.

    What a call needs is not looked at: there is no way to stop it, and only one runs at a time.
    """

    def __init__(self) -> None:
        self._closed = False

    @property
    def slots(self) -> int:
        return 1

    def start(self, call: Call) -> Outcome:
        if self._closed:
            raise closed()
        outcome = Outcome()
        outcome.set_running_or_notify_cancel()
        try:
            outcome.answer(call.function(*call.args, **call.kwargs))
        except Exception as error:  # noqa: BLE001 (a future carries whatever user code raises)
            outcome.answer(error=error)
        return outcome

    def close(self) -> None:
        self._closed = True


class AdaptiveExecutor(Executor):
    """Runs short calls in this thread and long ones in a pool, so that neither waits for the other.

    A call goes to the pool if it needs what only a worker can give (a limit, an environment, a device), or if it is
    known to be long: calls of its name took `PAYS_FROM_S` or more when they were last run, here or as its
    `expected_s` says; on a machine with one processor that gains nothing, and they stay here. A call of which nothing
    is known runs here, and is measured.

    Args:
        pool: Makes the pool, when the first call goes there.
    """

    def __init__(self, pool: Callable[[], Executor] = ProcessExecutor) -> None:
        self._make = pool
        self._pool: Executor | None = None
        self._inline = InlineExecutor()
        self._took_s: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def slots(self) -> int:
        return self._elsewhere().slots

    def start(self, call: Call) -> Outcome:
        expected_s = self._took_s.get(call.label, call.expected_s)
        is_long = expected_s is not None and expected_s >= PAYS_FROM_S and self.slots > 1
        if call.resources.needs_worker or is_long:
            outcome = self._elsewhere().start(call)
            outcome.add_done_callback(lambda done: self._note(call.label, outcome))
        else:
            outcome = self._inline.start(call)
            self._note(call.label, outcome)
        return outcome

    def close(self) -> None:
        self._inline.close()
        if self._pool is not None:
            self._pool.close()

    def _note(self, label: str, outcome: Outcome) -> None:
        if outcome.took_s is not None:
            self._took_s[label] = outcome.took_s

    def _elsewhere(self) -> Executor:
        with self._lock:
            if self._pool is None:
                self._pool = self._make()
            return self._pool
