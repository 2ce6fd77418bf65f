"""One server and all that it starts: begun, waited for, measured, and ended, each process by its own id."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

MARK = "SERVING_BENCHMARK_MARK"
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, FileNotFoundError)


class Server:
    """A server's whole process tree: its descendants, and those that left the tree but carry its environment.

    What it says (its access log too, where it writes one) goes to a file.
    """

    def __init__(self, command: list[str], *, folder: Path, environment: dict[str, str]) -> None:
        self._mark = uuid.uuid4().hex
        self._said = folder / "said.log"
        self._ended_cpu_s = 0.0
        env = {**os.environ, **environment, MARK: self._mark}
        with self._said.open("wb") as out:
            self._root = subprocess.Popen(
                command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        self._known: dict[int, psutil.Process] = {}

    def said(self, size: int = 600) -> str:
        """Return the end of what it printed."""
        return self._said.read_bytes()[-size:].decode(errors="replace").strip()

    def is_running(self) -> bool:
        return self._root.poll() is None

    def tree(self) -> list[psutil.Process]:
        """Return every process of it that lives."""
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._root.pid)
            for process in (root, *root.children(recursive=True)):
                self._known.setdefault(process.pid, process)
        mark = f"{MARK}={self._mark}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) not in self._known:
                with contextlib.suppress(*_GONE, PermissionError):
                    if mark in (entry / "environ").read_bytes():
                        self._known[int(entry.name)] = psutil.Process(int(entry.name))
        self._known = {pid: one for pid, one in self._known.items() if one.is_running()}
        return list(self._known.values())

    def cpu_s(self) -> float:
        """Return the CPU seconds, user and system, of the tree so far, ended children included."""
        total = 0.0
        for process in self.tree():
            with contextlib.suppress(*_GONE):
                used = process.cpu_times()
                total += used.user + used.system + used.children_user + used.children_system
        return total

    def memory_mb(self) -> tuple[float, float, int]:
        """Return RSS and PSS of the tree in MB, and how many processes it has."""
        rss = pss = 0
        tree = self.tree()
        for process in tree:
            with contextlib.suppress(*_GONE):
                full = process.memory_full_info()
                rss += full.rss
                pss += full.pss
        return rss / 1e6, pss / 1e6, len(tree)

    def wait_until(self, is_ready: Callable[[], bool], timeout_s: float) -> None:
        """Return once it answers.

        Raises:
            RuntimeError: It ended, or does not answer in time.
        """
        end = time.monotonic() + timeout_s
        while not is_ready():
            if not self.is_running():
                raise RuntimeError(f"it ended with {self._root.returncode}: {self.said()}")
            if time.monotonic() > end:
                raise RuntimeError(f"no right answer within {timeout_s:g} s: {self.said()}")
            time.sleep(0.02)

    def settle(self, idle: float = 0.0, timeout_s: float = 15.0) -> float:
        """Return once it does no more than it does when idle (CPU seconds per second); say how long that took."""
        began = time.monotonic()
        before = self.cpu_s()
        while time.monotonic() - began < timeout_s:
            time.sleep(0.5)
            now = self.cpu_s()
            if now - before <= 0.5 * idle * 1.5 + 0.011:
                break
            before = now
        return time.monotonic() - began

    def idle(self) -> float:
        """Return the CPU seconds per second that it spends on nothing."""
        before, began = self.cpu_s(), time.monotonic()
        time.sleep(1.5)
        return (self.cpu_s() - before) / (time.monotonic() - began)

    def stop(self) -> None:
        """End the root gently, then whatever is left, each by its id."""
        tree = self.tree()
        with contextlib.suppress(ProcessLookupError):
            self._root.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._root.wait(15)
        tree = list({*tree, *self.tree()})
        for process in tree:
            with contextlib.suppress(*_GONE):
                process.terminate()
        for process in psutil.wait_procs(tree, timeout=3)[1]:
            with contextlib.suppress(*_GONE):
                process.kill()
        self._root.wait(15)


@contextlib.contextmanager
def serving(command: list[str], *, folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    server = Server(command, folder=folder, environment=environment)
    try:
        yield server
    finally:
        server.stop()


def free_ports(count: int) -> list[int]:
    """Return so many ports of loopback that nothing listens on."""
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [holder.getsockname()[1] for holder in holders]
    for holder in holders:
        holder.close()
    return ports
