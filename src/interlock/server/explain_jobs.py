"""Explain in the background where there is no exact way, and keep what came of it where every worker finds it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore

import msgspec

from interlock.core.errors import InterlockError, NotFound, Overloaded
from interlock.core.ids import is_id, new_id
from interlock.core.processes import is_running, start_of
from interlock.serving.explaining import Explained, problem_of

MOST_WAITING = 16
MOST_KEPT = 256
_ENDED = {
    "code": "IL503",
    "what": "the explanation was not finished",
    "why": "the process that made it ended",
    "fix": "ask again",
}


class Job(msgspec.Struct, omit_defaults=True):
    """One explanation in the making.

    Args:
        id: Its id.
        endpoint: The endpoint that was asked.
        state: `running`, `done` or `failed`.
        pid: The process that makes it.
        start: When that process began, in the machine's own measure.
        result: What came of it.
        problem: Why it failed.
    """

    id: str
    endpoint: str
    state: str
    pid: int = 0
    start: str = ""
    result: Explained | None = None
    problem: dict[str, str] | None = None


class ExplainJobs:
    """The jobs of all workers of a machine; each runs its own, one after the other.

    Args:
        folder: Where they are kept: the newest few hundred.
        most_waiting: How many of one worker may wait.
    """

    def __init__(self, folder: Path, *, most_waiting: int = MOST_WAITING) -> None:
        self._folder = folder
        self._slots = BoundedSemaphore(most_waiting)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="interlock-explain")
        self._decode = msgspec.json.Decoder(Job).decode

    def start(self, endpoint: str, work: Callable[[], Explained | None]) -> Job:
        """Begin a job; it goes on after this returns.

        Raises:
            Overloaded: Too many wait.
        """
        if not self._slots.acquire(blocking=False):
            raise Overloaded("too many explanations are waiting", why="they are made one after the other")
        job = Job(new_id(), endpoint, "running", os.getpid(), start_of(os.getpid()))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._forget_old()
            self._write(job)
            self._thread.submit(self._run, job, work)
        except BaseException:
            self._slots.release()
            raise
        return job

    def find(self, endpoint: str, job_id: str) -> Job:
        """Return a job of any worker.

        Raises:
            NotFound: There is none; old ones are forgotten.
        """
        job = None
        if is_id(job_id):
            with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
                job = self._decode((self._folder / f"{job_id}.json").read_bytes())
        if job is None or job.endpoint != endpoint:
            raise NotFound(f"there is no explanation '{job_id[:60]}'", why=f"the last {MOST_KEPT} are kept")
        if job.state == "running" and not is_running(job.pid, job.start):
            return Job(job.id, job.endpoint, "failed", problem=_ENDED)
        return job

    def close(self) -> None:
        """Let go of what waits; what runs is waited for."""
        self._thread.shutdown(cancel_futures=True)

    def _run(self, job: Job, work: Callable[[], Explained | None]) -> None:
        try:
            done = Job(job.id, job.endpoint, "done", result=work())
        except InterlockError as error:
            done = Job(job.id, job.endpoint, "failed", problem=problem_of(error))
        finally:
            self._slots.release()
        self._write(done)

    def _write(self, job: Job) -> None:
        path = self._folder / f"{job.id}.json"
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(job))
        new.replace(path)

    def _forget_old(self) -> None:
        # ids sort by time
        for path in sorted(self._folder.glob("*.json"))[: -MOST_KEPT + 1 or None]:
            path.unlink(missing_ok=True)
