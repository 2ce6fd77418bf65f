"""Keep worker processes: start them, put others in the place of those that die, hang or grow, stop them together.

The supervisor imports next to nothing and serves nothing. It holds the listening sockets, so that callers who connect
while a worker is replaced wait for the next one instead of being turned away.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from interlock.serving.at_work import AtWork

HANGS_AFTER_S = 30.0
"""A worker whose event loop has not come round for so long is ended."""
GRACE_S = 15.0
"""How long a worker that was told to stop may finish what it is doing."""
_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 10.0
_HEALTHY_AFTER_S = 30.0
_LOOK_EVERY_S = 1.0
_READY, _REPLACE = b"+", b"!"


@dataclass(frozen=True)
class Death:
    """How a worker ended that nobody had told to.

    Args:
        worker: Its number, from 0.
        pid: Its process id.
        how: What ended it (`signal SIGSEGV`, `exit code 3`, `silent for 30 s`).
        uptime_s: How long it had lived.
        running: The models that were answering.
    """

    worker: int
    pid: int
    how: str
    uptime_s: float
    running: tuple[str, ...]

    def __str__(self) -> str:
        at = f" while {', '.join(self.running)} answered" if self.running else ""
        return f"worker {self.worker} (pid {self.pid}) ended by {self.how}{at}, {self.uptime_s:.0f} s after its start"


@dataclass(frozen=True)
class Worker:
    """The process that serves, as it sees itself.

    Args:
        number: Its number, from 0.
        listener: What it accepts from.
        deaths: How workers ended before it, which it shall write down.
        board: Where it tells what it does.
        says: Where it tells its supervisor.
        lifeline: Ends when the supervisor does.
        others: Listeners that other threads of this worker accept from.
    """

    number: int
    listener: socket.socket
    deaths: tuple[Death, ...] = ()
    board: AtWork = field(default_factory=AtWork)
    says: int = -1
    lifeline: int = -1
    others: tuple[socket.socket, ...] = ()

    def is_ready(self) -> None:
        """Tell that requests are answered."""
        self._say(_READY)

    def wants_another(self, why: str) -> None:
        """Ask for another worker in this one's place, which is told to stop as soon as that one is ready."""
        self._say(_REPLACE + why.encode()[:200].replace(b"\n", b" ") + b"\n")

    def _say(self, what: bytes) -> None:
        if self.says >= 0:
            with contextlib.suppress(OSError):  # the supervisor is gone, and the lifeline tells
                os.write(self.says, what)


class _Process:
    """A worker as the supervisor sees it."""

    def __init__(self, number: int, pid: int, hears: int, board: AtWork) -> None:
        self.number = number
        self.pid = pid
        self.hears = hears
        self.board = board
        self.began = time.monotonic()
        self.is_ready = False
        self.is_leaving = False
        self.kill_at = float("inf")
        self.how = ""


class Supervisor:
    """Workers and what becomes of them.

    Args:
        listeners: A listening socket for each worker.
        on_ready: Called once, when every worker answers.
        say: Told in words what happened to workers.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        *,
        on_ready: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._listeners = listeners
        self._on_ready = on_ready
        self._say = say
        self._processes: dict[int, _Process] = {}
        self._due: dict[int, float] = {}
        self._backoff_s = dict.fromkeys(range(len(listeners)), 0.0)
        self._deaths: list[Death] = []
        self._told = 0
        self._was_ready = False
        self._stops = 0
        self._exit_code = 0

    def run(self) -> Worker | None:
        """Supervise until told to stop. Every worker returns from here too, as what it is; the supervisor with None.

        Raises:
            SystemExit: A worker could not start at all; it has said why. With its exit code.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        self._lifeline, self._life = os.pipe()
        with _woken() as wakes:
            for number in range(len(self._listeners)):
                worker = self._start(number)
                if worker is not None:
                    return worker
            while self._processes or self._due:
                worker = self._look(wakes)
                if worker is not None:
                    return worker
        if self._exit_code:
            raise SystemExit(self._exit_code)
        return None

    def _start(self, number: int) -> Worker | None:
        """Fork a worker; return it in the child."""
        board = AtWork()
        hears, says = os.pipe()
        deaths = tuple(self._deaths)
        pid = os.fork()
        if pid:
            os.close(says)
            os.set_blocking(hears, False)
            self._told = len(deaths)
            self._processes[pid] = _Process(number, pid, hears, board)
            return None
        signal.set_wakeup_fd(-1)
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(one, signal.SIG_DFL)
        # what this process inherited of the others would keep their ends open
        for known in self._processes.values():
            os.close(known.hears)
        os.close(hears)
        os.close(self._life)
        return Worker(number, self._listeners[number], deaths, board, says, self._lifeline)

    def _look(self, wakes: int) -> Worker | None:
        """Wait for something to happen, and see to it; return the new worker where this has become one."""
        poll = select.poll()
        for fd in (wakes, *(process.hears for process in self._processes.values() if process.hears >= 0)):
            poll.register(fd, select.POLLIN)
        now = time.monotonic()
        until = min([now + _LOOK_EVERY_S, *self._due.values()])
        poll.poll(max(0.0, until - now) * 1e3)
        for number in os.read(wakes, 4_096) if _readable(wakes) else b"":
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(signal.Signals(number))
        for process in tuple(self._processes.values()):
            worker = self._hear(process)
            if worker is not None:
                return worker
        self._reap()
        self._end_silent()
        for number in [number for number, due in self._due.items() if due <= time.monotonic()]:
            del self._due[number]
            worker = self._start(number)
            if worker is not None:
                return worker
        return None

    def _hear(self, process: _Process) -> Worker | None:
        """Take in what a worker says."""
        try:
            said = os.read(process.hears, 4_096) if process.hears >= 0 else b""
        except BlockingIOError:
            return None
        if not said:
            self._close(process)
            return None
        if said.startswith(_READY):
            self._ready(process)
            said = said[1:]
        if said.startswith(_REPLACE) and not process.is_leaving and not self._stops:
            process.is_leaving = True
            self._say(f"worker {process.number} (pid {process.pid}) is replaced: {said[1:].decode().strip()}")
            return self._start(process.number)
        return None

    def _ready(self, process: _Process) -> None:
        process.is_ready = True
        # it has written down what was told to it
        del self._deaths[: self._told]
        self._told = 0
        for other in self._processes.values():
            if other.number == process.number and other.is_leaving:
                self._tell(other, signal.SIGTERM)
        if not self._was_ready and all(one.is_ready for one in self._processes.values()) and not self._due:
            self._was_ready = True
            self._on_ready()

    def _stop(self, number: signal.Signals) -> None:
        """Stop all workers gracefully; when told again, at once."""
        self._stops += 1
        self._due.clear()
        for process in self._processes.values():
            process.is_leaving = True
            self._tell(process, signal.SIGTERM if self._stops == 1 else signal.SIGKILL)

    def _tell(self, process: _Process, number: signal.Signals) -> None:
        process.kill_at = time.monotonic() + GRACE_S
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)

    def _reap(self) -> None:
        """See which workers have ended, and when to start others."""
        for pid in tuple(self._processes):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            process = self._processes.pop(pid)
            self._close(process)
            if process.is_leaving:
                continue
            code = os.waitstatus_to_exitcode(status)
            if not self._was_ready and code > 0 and not process.is_ready:
                # it never came up, and has said why: no other would
                self._exit_code = self._exit_code or code
                self._stop(signal.SIGTERM)
                continue
            self._restart(process, code)

    def _restart(self, process: _Process, code: int) -> None:
        lived_s = time.monotonic() - process.began
        how = process.how or (f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")
        death = Death(process.number, process.pid, how, lived_s, tuple(process.board.running()))
        self._deaths.append(death)
        backoff_s = self._backoff_s[process.number]
        backoff_s = _FIRST_BACKOFF_S if lived_s > _HEALTHY_AFTER_S or not backoff_s else backoff_s * 2
        self._backoff_s[process.number] = min(backoff_s, _LONGEST_BACKOFF_S)
        if self._stops:
            return
        self._due[process.number] = time.monotonic() + self._backoff_s[process.number]
        self._say(f"{death}; another one starts")

    def _end_silent(self) -> None:
        """End workers whose event loop hangs, or that do not stop although they were told to."""
        for process in self._processes.values():
            silent_s = process.board.silent_s()
            if process.is_ready and silent_s > HANGS_AFTER_S and not process.how:
                process.how = f"hanging: its event loop has not come round for {silent_s:.0f} s"
                self._tell(process, signal.SIGKILL)
            elif time.monotonic() > process.kill_at:
                self._tell(process, signal.SIGKILL)

    def _close(self, process: _Process) -> None:
        if process.hears >= 0:
            os.close(process.hears)
            process.hears = -1


def _readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


@contextlib.contextmanager
def _woken() -> Iterator[int]:
    """Have signals written to a pipe; give its end."""
    hears, wakes = os.pipe()
    os.set_blocking(wakes, False)
    before = {one: signal.signal(one, _noted) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)}
    old = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    pid = os.getpid()
    try:
        yield hears
    finally:
        # a worker that leaves this block has its own signals already
        if os.getpid() == pid:
            signal.set_wakeup_fd(old)
            for one, handler in before.items():
                signal.signal(one, handler)
        os.close(hears)
        os.close(wakes)


def _noted(number: int, frame: object) -> None:
    """Do nothing: the number is in the pipe."""
