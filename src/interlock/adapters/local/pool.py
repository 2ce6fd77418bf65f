"""Run calls in warm worker processes, with limits that hold."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path

from interlock.adapters.local.capacity import Capacity, gpus_here, memory_here_bytes
from interlock.adapters.local.jobs import Job, Overseer
from interlock.adapters.local.workers import Nursery, Worker, place_here
from interlock.core.errors import InterlockError, InvalidInput
from interlock.ports.call_rules import CANNOT_IMPORT, answer, closed, died, ending, pack_call, read_answer
from interlock.ports.executor import Call, Executor, Outcome, StaleWorker

Environments = Callable[[str], Path]
"""Gives the interpreter that has what a requirements or lock file says installed; makes it where it is missing."""

_PASSED_OVER_AT_MOST = 64
_STARTS = 2


class ProcessExecutor(Executor):
    """Runs calls in worker processes that stay up between calls.

    A function travels by its name, one from a notebook or a script with its code. Workers are forked, in a few
    milliseconds, from a process that has imported what the calls need; they stand in the caller's folder, with its
    environment variables. A call that dies, hangs, is cancelled or outgrows its memory takes down its own worker only.

    Args:
        workers: How many calls of one cpu run at once; as many as there are processors if not given.
        gpus: How many graphics processors calls may share; those of this machine if not given.
        memory_bytes: How much memory the calls that name a limit may be promised in all; the machine's if not given.
        environments: What makes environments; calls that ask for one are refused if not given.

    Example:
        >>> executor = ProcessExecutor(1)
        >>> executor.submit(sum, [1, 2, 3]).result()
        6
        >>> executor.close()
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        gpus: int | None = None,
        memory_bytes: int | None = None,
        environments: Environments | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise InvalidInput(f"workers={workers}", why="expected 1 or more")
        there = gpus_here() if gpus is None else gpus
        self._capacity = Capacity(workers or os.cpu_count() or 1, there, memory_bytes or memory_here_bytes())
        self._environments = environments
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._threads: list[threading.Thread] = []
        self._idle_threads = 0
        self._idle: dict[str | None, list[Worker]] = {}
        self._nurseries: dict[str | None, Nursery] = {}
        self._retired: list[Nursery] = []
        self._pythons: dict[str | None, Path | None] = {None: None}
        self._overseer = Overseer()
        self._closed = False
        atexit.register(self._leave)

    @property
    def slots(self) -> int:
        return self._capacity.cpus

    def start(self, call: Call) -> Outcome:
        if call.resources.environment and self._environments is None:
            raise InvalidInput(f"{call.label} asks for an environment, and this executor makes none")
        self._capacity.check(call)
        job = Job(call, pack_call(call))
        with self._changed:
            if self._closed:
                raise closed()
            self._waiting.append(job)
            self._waiting.sort(key=lambda other: -other.call.priority)
            if self._idle_threads < len(self._waiting) and self._could_start(job):
                self._threads.append(threading.Thread(target=self._attend, daemon=True, name="interlock-pool"))
                self._threads[-1].start()
            self._changed.notify()
        return job.outcome

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._leave()
        atexit.unregister(self._leave)

    def _leave(self) -> None:
        """Stop everything at once: at the end of the program nobody waits for an answer any more."""
        with self._changed:
            self._closed = True
            for job in self._waiting:
                job.outcome.cancel()
            nurseries = [*self._nurseries.values(), *self._retired]
            idle = [worker for workers in self._idle.values() for worker in workers]
            self._nurseries, self._retired, self._idle = {}, [], {}
        self._overseer.close()
        for worker in idle:
            worker.forget()
        for nursery in nurseries:
            nursery.close()

    def _could_start(self, job: Job) -> bool:
        return self._capacity.fits(job.call.resources)

    def _attend(self) -> None:
        """Run what waits, one call after another, until the executor closes."""
        while (job := self._next()) is not None:
            try:
                self._run(job)
            finally:
                with self._changed:
                    self._capacity.give_back(job.call.resources, job.devices)
                    self._changed.notify_all()

    def _next(self) -> Job | None:
        """Wait for a call that fits beside those that run; those that were passed over too often go first."""
        with self._changed:
            while True:
                for number, job in enumerate(self._waiting):
                    if self._capacity.fits(job.call.resources):
                        del self._waiting[number]
                        job.devices = self._capacity.take(job.call.resources)
                        return job
                    job.passed_over += 1
                    if job.passed_over > _PASSED_OVER_AT_MOST:
                        break
                if self._closed and not self._waiting:
                    return None
                self._idle_threads += 1
                self._changed.wait()
                self._idle_threads -= 1

    def _run(self, job: Job) -> None:
        if not job.outcome.set_running_or_notify_cancel():
            return
        try:
            for attempt in range(_STARTS):
                if self._answered(job, last=attempt + 1 == _STARTS):
                    return
        except InterlockError as error:
            job.outcome.answer(error=error)
        except (OSError, EOFError) as error:
            job.outcome.answer(error=died(job.call.label, f"no worker could be started: {error}"))

    def _answered(self, job: Job, *, last: bool) -> bool:
        """Have a worker make a call; return False if it should be tried in a new one."""
        environment = job.call.resources.environment
        python = self._python(environment)
        place = place_here(python, job.devices if job.call.resources.gpus else None)
        worker = self._worker(environment, job)
        if not job.begin(worker):
            worker.kill()
            worker.end()
            job.outcome.answer(error=CancelledError())
            return True
        self._overseer.watch(job)
        try:
            data = worker.ask(place, job.payload)
        except (OSError, EOFError):
            stopped = job.finish()
            worker.kill()
            code = worker.end()
            job.outcome.answer(error=stopped or died(job.call.label, ending(code)))
            return True
        stopped = job.finish()
        if stopped is not None:
            worker.end()
            job.outcome.answer(error=stopped)
            return True
        succeeded, value = read_answer(data)
        if isinstance(value, StaleWorker) and not succeeded:
            worker.end()
            if not last:
                self._retire(environment)
                return False
            if not job.call.resources.needs_worker:
                # what was changed in memory alone is nowhere but here
                succeeded, value = read_answer(answer(job.payload))
        else:
            self._give_back(environment, worker)
            if not succeeded and _never_began(value) and not job.call.resources.needs_worker:
                # its module was loaded by hand, from where no worker looks
                succeeded, value = read_answer(answer(job.payload))
        job.outcome.answer(value if succeeded else None, None if succeeded else value)
        return True

    def _python(self, environment: str | None) -> Path | None:
        if environment is not None and environment not in self._pythons:
            assert self._environments is not None
            self._pythons[environment] = self._environments(environment)
        return self._pythons[environment]

    def _worker(self, environment: str | None, job: Job) -> Worker:
        """Take a worker that has nothing to do, or start one."""
        with self._changed:
            idle = self._idle.get(environment)
            if idle:
                return idle.pop()
            nursery = self._nurseries.get(environment)
            if nursery is None or not nursery.alive:
                nursery = self._nurseries[environment] = Nursery(self._pythons[environment])
        return nursery.fork(_modules_of(job.call))

    def _give_back(self, environment: str | None, worker: Worker) -> None:
        with self._changed:
            # no more stay up than can run at once, whichever environment they are for
            kept = sum(map(len, self._idle.values())) < self.slots
            fresh = worker.nursery is self._nurseries.get(environment)
            if kept and fresh:
                self._idle.setdefault(environment, []).append(worker)
                return
        worker.end()

    def _retire(self, environment: str | None) -> None:
        """Let go of the workers of an environment, since the code that they hold is not the caller's any more."""
        with self._changed:
            nursery = self._nurseries.pop(environment, None)
            if nursery is not None:
                self._retired.append(nursery)
            old = self._idle.pop(environment, [])
        for worker in old:
            worker.end()


def _modules_of(call: Call) -> list[str]:
    """Return the modules that a call's function and the functions among its arguments are from."""
    found = [getattr(piece, "__module__", None) for piece in (call.function, *call.args) if callable(piece)]
    return [name for name in found if isinstance(name, str) and name != "__main__" and name in sys.modules]


def _never_began(error: BaseException) -> bool:
    return isinstance(error, InvalidInput) and error.what == CANNOT_IMPORT
