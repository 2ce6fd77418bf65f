"""Follow the calls that run in workers, and stop those that break their limits."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

from interlock.adapters.local.workers import Worker
from interlock.core.errors import StepFailed, TimedOut
from interlock.ports.executor import Call, Outcome

LOOK_EVERY_S = 0.02
"""How often the memory of calls that name a limit is measured."""


class Job:
    """One call on its way: what it is, who runs it, and why it was stopped if it was.

    Args:
        call: The call.
        payload: It, as it travels.
    """

    def __init__(self, call: Call, payload: bytes) -> None:
        self.call = call
        self.payload = payload
        self.devices: list[int] = []
        self.passed_over = 0
        self.outcome = Outcome()
        self.outcome.stop = lambda: self.stop(CancelledError())
        self.deadline_s: float | None = None
        self.own_bytes = 0
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._stopped: BaseException | None = None

    def begin(self, worker: Worker) -> bool:
        """Note who runs it; return False if it was stopped before."""
        with self._lock:
            if self._stopped is not None:
                return False
            self._worker = worker
            if self.call.resources.timeout_s is not None:
                self.deadline_s = time.monotonic() + self.call.resources.timeout_s
            if self.call.resources.memory_bytes is not None:
                self.own_bytes = own_memory_bytes(worker.pid)
            return True

    def stop(self, error: BaseException) -> bool:
        """Stop it with an error, unless it is done; return whether it was or will be stopped."""
        with self._lock:
            if self.outcome.done():
                return False
            self._stopped = self._stopped or error
            if self._worker is not None:
                self._worker.kill()
            return True

    def finish(self) -> BaseException | None:
        """Take it from its worker; return the error with which it was stopped, if it was."""
        with self._lock:
            self._worker = None
            return self._stopped

    @property
    def running(self) -> bool:
        """Whether a worker has it."""
        return self._worker is not None

    def check(self, now_s: float) -> None:
        """Stop it if it has broken a limit."""
        needs, worker = self.call.resources, self._worker
        if self.deadline_s is not None and now_s >= self.deadline_s:
            self.stop(
                TimedOut(
                    f"{self.call.label} was stopped: it took longer than {needs.timeout_s:g} s",
                    why="that is its timeout_s",
                    fix="give it more time, or less to do",
                )
            )
        elif needs.memory_bytes is not None and worker is not None:
            grown = own_memory_bytes(worker.pid) - self.own_bytes
            if grown > needs.memory_bytes:
                self.stop(
                    StepFailed(
                        f"{self.call.label} was stopped: it used more memory than it may",
                        why=f"memory_bytes={needs.memory_bytes:,}, and it held {grown:,}",
                        fix="allow it more memory, or give it less data at a time",
                    )
                )


class Overseer:
    """A thread that looks at the calls with limits, while there are any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: list[Job] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, job: Job) -> None:
        """Look after a call that has begun, if it has limits."""
        if job.call.resources.timeout_s is None and job.call.resources.memory_bytes is None:
            return
        with self._changed:
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, daemon=True, name="interlock-overseer")
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Stop looking."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _look(self) -> None:
        with self._changed:
            while not self._closed:
                self._jobs = [job for job in self._jobs if job.running]
                for job in self._jobs:
                    job.check(time.monotonic())
                self._changed.wait(self._pause_s())

    def _pause_s(self) -> float | None:
        if not self._jobs:
            return None
        if any(job.call.resources.memory_bytes is not None for job in self._jobs):
            return LOOK_EVERY_S
        nearest = min(job.deadline_s for job in self._jobs if job.deadline_s is not None)
        return max(nearest - time.monotonic(), 0.001)


def own_memory_bytes(pid: int) -> int:
    """Return how much memory a process holds that is not a file's or shared on purpose; 0 if it is gone."""
    import psutil

    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))
