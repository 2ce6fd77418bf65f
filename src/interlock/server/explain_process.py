"""Explain in a process of its own: what serves never loads what training needed, and no explanation holds it up.

The process starts with the first question, answers one at a time, and ends when nobody has asked for a while.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from typing import IO, Any

import msgspec

from interlock.core.background import in_background
from interlock.core.errors import InterlockError, Overloaded, TimedOut, Unavailable, error_types
from interlock.serving.explaining import Explained, Mode, problem_of
from interlock.workspace import open_workspace

IDLE_S = 60.0
TIMEOUT_S = 60.0
MOST_WAITING = 8
_LENGTH_BYTES = 8
_encode = msgspec.msgpack.Encoder().encode


class Question(msgspec.Struct, array_like=True):
    """What the process is asked."""

    ref: str
    columns: list[list[Any]]
    rows: int
    mode: Mode


class Told(msgspec.Struct, array_like=True):
    """What it answers: an explanation, nothing (there is no exact way), or an error."""

    explained: Explained | None = None
    problem: dict[str, str] | None = None


class ExplainingProcess:
    """The process, as others ask it.

    Thread-safe: questions wait for each other.

    Args:
        uri: The workspace whose versions are explained.
        idle_s: After how long without a question it ends.
        timeout_s: How long a question may take; the process is ended where one takes longer.
        most_waiting: How many questions may wait.
    """

    def __init__(
        self,
        uri: str,
        *,
        idle_s: float = IDLE_S,
        timeout_s: float = TIMEOUT_S,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._uri = uri
        self._idle_s = idle_s
        self._timeout_s = timeout_s
        self._slots = threading.BoundedSemaphore(most_waiting)
        self._asking = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._last_used = 0.0
        self._closed = threading.Event()

    @property
    def pid(self) -> int | None:
        """Id of the process, while there is one."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def ask(self, ref: str, columns: list[list[Any]], *, rows: int, mode: Mode) -> Explained | None:
        """Explain some rows; None where there is no exact way and only that was wanted.

        Raises:
            Overloaded: Too many questions wait.
            TimedOut: It took too long.
            Unavailable: The process ended.
            InterlockError: What the explanation itself raised.
        """
        if not self._slots.acquire(blocking=False):
            raise Overloaded("too many explanations are waiting", why="they are made one after the other")
        try:
            with self._asking:
                told = self._exchange(_encode(Question(ref, columns, rows, mode)))
        finally:
            self._slots.release()
        if told.problem is not None:
            kind = error_types().get(told.problem["code"], InterlockError)
            raise kind(told.problem["what"], why=told.problem["why"], fix=told.problem["fix"])
        return told.explained

    def close(self) -> None:
        """End the process."""
        self._closed.set()
        child = self._child
        if child is not None:
            _end(child)

    def _exchange(self, question: bytes) -> Told:
        child = self._running()
        assert child.stdin is not None
        assert child.stdout is not None
        late = threading.Event()

        def too_late() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(self._timeout_s, too_late)
        timer.daemon = True
        timer.start()
        try:
            write_frame(child.stdin, question)
            answer = read_frame(child.stdout)
        except (BrokenPipeError, ValueError):
            answer = None
        finally:
            timer.cancel()
            self._last_used = time.monotonic()
        if answer is None:
            _end(child)
            if late.is_set():
                raise TimedOut(
                    "the explanation took too long", why=f"more than {self._timeout_s:g} s", fix="fewer rows"
                )
            raise Unavailable("the explanation failed", why="the process that makes them ended", fix="try again")
        return msgspec.msgpack.decode(answer, type=Told)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed.is_set():
            raise Unavailable("nothing is explained any more", why="the server is ending")
        if self._child is None or self._child.poll() is not None:
            if self._child is not None:
                _end(self._child)
            # standard input ends when this process does, however it ends, and the other one with it
            self._child = subprocess.Popen(
                [sys.executable, "-m", __name__, self._uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._last_used = time.monotonic()
            in_background(self._end_when_idle, name="interlock-explain-idle")
        return self._child

    def _end_when_idle(self) -> None:
        child = self._child
        assert child is not None
        while child.poll() is None:
            left = self._last_used + self._idle_s - time.monotonic()
            if self._closed.wait(max(0.05, left)):
                return
            if time.monotonic() - self._last_used >= self._idle_s and self._asking.acquire(blocking=False):
                try:
                    _end(child)
                finally:
                    self._asking.release()


def write_frame(file: IO[bytes], data: bytes) -> None:
    """Write one message."""
    file.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
    file.flush()


def read_frame(file: IO[bytes]) -> bytes | None:
    """Read one message, or None at the end."""
    head = file.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "little")
    data = file.read(length)
    return data if len(data) == length else None


def main(uri: str) -> None:
    """Answer questions until standard input ends."""
    with contextlib.suppress(OSError):
        # predictions go first
        os.nice(5)
    with os.fdopen(os.dup(1), "wb") as answers, open_workspace(uri, create=False) as workspace:
        # what others print must not end up between the answers
        os.dup2(2, 1)
        while (question := read_frame(sys.stdin.buffer)) is not None:
            write_frame(answers, _encode(_told(workspace.explain_model, question)))


def _told(explain_model: Any, question: bytes) -> Told:
    try:
        asked = msgspec.msgpack.decode(question, type=Question)
        return Told(explain_model(asked.ref).explain(asked.columns, rows=asked.rows, mode=asked.mode))
    except InterlockError as error:
        return Told(problem=problem_of(error))
    except Exception as error:  # noqa: BLE001 (the edge of the process; a library may fail in any way)
        failed = InterlockError("the explanation failed", why=f"{type(error).__name__}: {str(error)[:300]}")
        return Told(problem=problem_of(failed))


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
