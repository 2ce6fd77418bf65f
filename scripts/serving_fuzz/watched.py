"""Run `interlock serve` and watch its processes: memory, threads, open files, and whether they are still the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

_COMMAND = "import sys; from interlock.cli.main import main; sys.exit(main())"
_FAULT = re.compile(
    r"Traceback \(most recent call last\)|never awaited|never retrieved|Exception (?:in|ignored)|another one starts"
    r"|Fatal|Segmentation|ResourceWarning|is replaced|did not start"
)
LARGEST_GROWTH_MB = 10.0
_SPARE = 2
"""Threads and files that may come late: a pool that had no need of its last thread, a log that is rotated."""


class Reading(msgspec.Struct):
    """The state of a server's workers, taken together.

    Args:
        processes: Process id and start time of the supervisor and its workers.
        rss_mb: Resident memory. Unit: MB of 10^6 bytes.
        threads: Number of threads.
        files: Number of open file descriptors.
        cpu_s: CPU time. Unit: seconds.
    """

    processes: dict[int, float]
    rss_mb: float
    threads: int
    files: int
    cpu_s: float


class Watched:
    """A running server.

    Args:
        folder: The workspace; what the server says is written beside it.
        ref: What it serves; every endpoint if not given.
        grpc: Whether it answers gRPC too.
    """

    def __init__(self, folder: Path, ref: str = "", *, grpc: bool = False) -> None:
        import psutil

        self.title = ref or "every endpoint"
        self._log = folder.parent / f"serve-{ref.replace(':', '-') or 'all'}.log"
        command = [sys.executable, "-c", _COMMAND, "serve", *([ref] if ref else []), "--port", "0", "--json"]
        command += ["--grpc-port", "0"] if grpc else []
        environ = {**os.environ, "INTERLOCK_URI": str(folder)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environ)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start:\n{self.log()[-2000:]}")
        said = json.loads(line)
        self.url: str = said["url"]
        self.port = int(self.url.rpartition(":")[2])
        self.grpc: str = said.get("grpc", "")
        self._root: Any = psutil.Process(self._process.pid)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def log(self) -> str:
        """Return what it said on standard error."""
        return self._log.read_text(errors="replace")

    def faults(self) -> list[str]:
        """Return what it said that no healthy server says, each with what follows."""
        text = self.log()
        return [text[found.start() : found.start() + 1_500] for found in list(_FAULT.finditer(text))[:20]]

    def workers(self) -> list[Any]:
        """Return the processes that answer: the children of the supervisor, not what they start in turn."""
        return [one for one in self._root.children() if one.is_running()]

    def read(self) -> Reading:
        """Take a reading."""
        alive = [self._root, *self.workers()]
        processes = {one.pid: one.create_time() for one in alive}
        times = [one.cpu_times() for one in alive]
        return Reading(
            processes=processes,
            rss_mb=sum(one.memory_info().rss for one in alive) / 1e6,
            threads=sum(one.num_threads() for one in alive),
            files=sum(one.num_fds() for one in alive),
            cpu_s=sum(one.user + one.system for one in times),
        )

    def settled(self, *, least: Reading | None = None, within_s: float = 20.0) -> Reading:
        """Take a reading once connections have ended, and no more files are open than in another reading."""
        until = time.monotonic() + within_s
        while True:
            reading = self.read()
            if least is None or reading.files <= least.files or time.monotonic() > until:
                return reading
            time.sleep(0.25)


def changes(before: Reading, after: Reading) -> list[str]:
    """Return what must not have changed between two readings, in words."""
    found = []
    if before.processes != after.processes:
        found.append(f"processes were replaced: {sorted(before.processes)} became {sorted(after.processes)}")
    if after.rss_mb - before.rss_mb > LARGEST_GROWTH_MB:
        found.append(f"memory grew from {before.rss_mb:.1f} to {after.rss_mb:.1f} MB")
    if after.threads > before.threads + _SPARE:
        found.append(f"threads grew from {before.threads} to {after.threads}")
    if after.files > before.files + _SPARE:
        found.append(f"open files grew from {before.files} to {after.files}")
    return found
