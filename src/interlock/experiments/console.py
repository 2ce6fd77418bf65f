"""Keep what a program prints while a run is open, without keeping it from the terminal."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Any, TextIO

HEAD_CHARACTERS = 256 * 1024
TAIL_CHARACTERS = 768 * 1024
_LONGEST_LINE = 16 * 1024
_lock = threading.RLock()
_listeners: list[Console] = []


class Console:
    r"""What is printed between `start` and `stop`: its beginning and its end, whatever comes between them.

    Of a line that is written over (`\r`, as progress bars do) the last state is kept.
    """

    def __init__(self) -> None:
        self._heard: deque[str] = deque()
        self._line = ""
        self._head: list[str] = []
        self._head_size = 0
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._cut = 0

    def start(self) -> None:
        """Listen to stdout and stderr."""
        with _lock:
            _listeners.append(self)
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if stream is not None and not isinstance(stream, _Tee):
                    setattr(sys, name, _Tee(stream))

    def stop(self) -> None:
        """Listen no more; the streams become what they were, unless somebody else replaced them since."""
        with _lock:
            if self in _listeners:
                _listeners.remove(self)
            if not _listeners:
                for name in ("stdout", "stderr"):
                    stream = getattr(sys, name)
                    if isinstance(stream, _Tee):
                        setattr(sys, name, stream.behind)

    def hear(self, text: str) -> None:
        """Take in what was written."""
        self._heard.append(text)

    def take(self) -> str:
        """Return the lines completed since the last time."""
        lines: list[str] = []
        while self._heard:
            parts = (self._line + self._heard.popleft()).split("\n")
            lines += (_last_state(part) + "\n" for part in parts[:-1])
            self._line = parts[-1] if len(parts[-1]) <= _LONGEST_LINE else _last_state(parts[-1])[-_LONGEST_LINE:]
        for line in lines:
            self._keep(line)
        return "".join(lines)

    def text(self) -> str:
        """Return all that is kept, the line that is not yet complete included."""
        self.take()
        cut = f"\n[... {self._cut} characters ...]\n\n" if self._cut else ""
        return "".join(self._head) + cut + "".join(self._tail) + _last_state(self._line)

    def _keep(self, line: str) -> None:
        if self._head_size < HEAD_CHARACTERS:
            self._head.append(line)
            self._head_size += len(line)
            return
        self._tail.append(line)
        self._tail_size += len(line)
        while self._tail_size > TAIL_CHARACTERS:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self._cut += gone


class _Tee:
    """A stream that lets the listeners hear what goes through it."""

    def __init__(self, behind: TextIO) -> None:
        self.behind = behind

    def write(self, text: str) -> int:
        written = self.behind.write(text)
        if isinstance(text, str):
            for listener in _listeners:
                listener.hear(text)
        return written

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)

    def __iter__(self) -> Any:
        return iter(self.behind)

    def __enter__(self) -> _Tee:
        return self

    def __exit__(self, *exception: object) -> None:
        self.behind.flush()


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]
