"""Start worker processes, talk to them, and learn how they ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interlock.adapters.local.channel import Channel

_START = """
import socket, sys
{finder}
from interlock.adapters.local.nursery import main
main(socket.socket(fileno={descriptor}))
"""
_OWN_PATH = "sys.path[:] = {path!r}"
_BORROW = """
from importlib.machinery import PathFinder
class Borrowed:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if path is None and name in {names!r}:
            return PathFinder.find_spec(name, {path!r})
sys.meta_path.append(Borrowed)
sys.path += {own!r}
"""
_LEADING_BACK = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
LENT = ("interlock", "msgspec", "blake3", "numpy", "pyarrow", "cloudpickle", "psutil", "backports")
"""What an environment borrows from the caller's where it lacks it: Interlock, and what its workers stand on."""


class Worker:
    """One worker process.

    Args:
        nursery: What forked it.
        pid: Its process id.
        line: What it answers calls on.
    """

    def __init__(self, nursery: Nursery, pid: int, line: socket.socket) -> None:
        self.nursery = nursery
        self.pid = pid
        self._line = line
        self._channel = Channel(line.fileno(), line.fileno())
        self._place = b""

    def ask(self, place: bytes, payload: bytes) -> bytes:
        """Send a call and wait for its answer.

        Raises:
            OSError: The process is gone.
            EOFError: It went while it was at work.
        """
        self._channel.send(b"" if place == self._place else place)
        self._place = place
        self._channel.send(payload)
        return self._channel.receive()

    def kill(self) -> None:
        """End it at once, with everything that it started."""
        # its id stays its own until the nursery is asked how it ended
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def forget(self) -> None:
        """Let it end, without waiting for it."""
        self._line.close()

    def end(self) -> int:
        """Let it end; return its exit code, or below zero the signal that killed it."""
        self._line.close()
        return self.nursery.ended(self.pid)


class Nursery:
    """A process that forks workers, which start warm: what they need has been imported already.

    Thread-safe.

    Args:
        python: The interpreter of the workers; this one if not given.
    """

    def __init__(self, python: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._loaded: set[str] = set()
        self._control, theirs = socket.socketpair()
        with theirs:
            finder = _OWN_PATH.format(path=sys.path)
            if python is not None:
                finder = _BORROW.format(names=LENT, path=sys.path, own=project_folders())
            self._process = subprocess.Popen(
                [python or sys.executable, "-c", _START.format(finder=finder, descriptor=theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env=environ_for(python),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fork(self, modules: Sequence[str] = ()) -> Worker:
        """Start a worker, in which some modules are imported already.

        Raises:
            OSError: The process that forks is gone.
            EOFError: It went meanwhile.
        """
        mine, theirs = socket.socketpair()
        with self._lock, theirs:
            new = [name for name in modules if name not in self._loaded]
            if new:
                names = json.dumps(new).encode()
                self._control.sendall(b"p" + len(names).to_bytes(4, "big") + names)
                self._loaded.update(new)
            socket.send_fds(self._control, [b"fork "], [theirs.fileno()])
            return Worker(self, int.from_bytes(self._receive(4), "big"), mine)

    def ended(self, pid: int) -> int:
        """Say how a worker ended that was killed or let go."""
        try:
            with self._lock:
                self._control.sendall(b"r" + pid.to_bytes(4, "big"))
                return int.from_bytes(self._receive(4), "big", signed=True)
        except (OSError, EOFError):
            return 0

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it, and every worker of it that still runs."""
        with self._lock:
            self._control.close()
        self._process.wait()

    def _receive(self, size: int) -> bytes:
        data = self._control.recv(size, socket.MSG_WAITALL)
        if len(data) < size:
            raise EOFError("the process that forks workers is gone")
        return data


def environ_for(python: Path | None) -> dict[str, str]:
    """Return this process's environment variables; those that lead to its libraries only for its own interpreter."""
    return {name: value for name, value in os.environ.items() if python is None or name not in _LEADING_BACK}


def project_folders() -> list[str]:
    """Return where this process finds modules that are neither Python's nor installed."""
    python = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return [
        folder
        for folder in (str(Path(entry).absolute()) for entry in sys.path)
        if Path(folder).is_dir() and not any(folder.startswith(str(known)) for known in python)
    ]


def place_here(python: Path | None, devices: Sequence[int] | None = None) -> bytes:
    """Write where this process stands, so that a worker can stand there too."""
    try:
        folder = os.getcwd()  # noqa: PTH109 (half the cost of Path.cwd, for every call)
    except FileNotFoundError:
        folder = ""
    environ = environ_for(python)
    if devices is not None:
        environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, devices))
    place: dict[str, Any] = {"folder": folder, "environ": environ, "path": [] if python else sys.path}
    return json.dumps(place).encode()
