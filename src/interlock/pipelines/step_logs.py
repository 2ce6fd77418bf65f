"""Keep what a step prints and logs, line by line while it runs, and never more than it may keep."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

from interlock.core.units import human_bytes

_HIDDEN = "***"
_SHORTEST_LINE = 8
_lock = threading.RLock()
_open_logs: list[StepLog] = []
_hearing: ContextVar[StepLog | None] = ContextVar("interlock_step_log", default=None)


class Redactor:
    """Takes secrets out of texts.

    Args:
        secrets: The secrets; of those with several lines, each longer line is one too.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        lines = [line for secret in secrets for line in secret.splitlines() if len(line) >= _SHORTEST_LINE]
        self._hidden = sorted({one for one in [*secrets, *lines] if one.strip()}, key=len, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._hidden)

    def __call__(self, text: str) -> str:
        """Return a text without them."""
        for secret in self._hidden:
            text = text.replace(secret, _HIDDEN)
        return text


class StepLog:
    """The lines of one step run: their beginning and their end, whatever comes between them.

    The first half of what may be kept is written to a file as it comes, for people who look on. Thread-safe.

    Args:
        limit_bytes: How much is kept.
        file: Where to write while it runs; empty for nowhere.
        redact: Takes secrets out.
    """

    def __init__(self, limit_bytes: int, *, file: str = "", redact: Redactor | None = None) -> None:
        self._limit = limit_bytes // 2
        self._file = file
        self._redact = redact or Redactor(())
        self._writer: Any = None
        self._line = ""
        self._head: list[str] = []
        self._head_size = 0
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._cut = 0
        self._guard = threading.RLock()

    def write(self, text: str) -> None:
        """Take in some text; lines are kept when they end."""
        with self._guard:
            *lines, rest = (self._line + text).split("\n")
            for line in lines:
                self._keep(line + "\n")
            while len(rest) > self._limit:
                self._keep(rest[: self._limit])
                rest = rest[self._limit :]
            self._line = rest

    def text(self) -> str:
        """Return what is kept, the line that has not ended included."""
        with self._guard:
            note = f"\n[… {human_bytes(self._cut)} of output not kept …]\n" if self._cut else ""
            return "".join(self._head) + note + "".join(self._tail) + _last_state(self._redact(self._line))

    def close(self) -> None:
        """Write no more."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
        self._file = ""

    def _keep(self, line: str) -> None:
        line = _last_state(self._redact(line))
        size = len(line.encode("utf-8", "replace"))
        if self._head_size + size <= self._limit and not self._tail:
            self._head.append(line)
            self._head_size += size
            self._write(line)
            return
        self._tail.append(line)
        self._tail_size += size
        while self._tail_size > self._limit:
            gone = len(self._tail.popleft().encode("utf-8", "replace"))
            self._tail_size -= gone
            if not self._cut:
                self._write("[… more is printed than is kept; the end of it follows when the step ends …]\n")
            self._cut += gone

    def _write(self, line: str) -> None:
        if not self._file:
            return
        try:
            if self._writer is None:
                file = Path(self._file)
                file.parent.mkdir(parents=True, exist_ok=True)
                self._writer = file.open("a", encoding="utf-8", errors="replace")
            self._writer.write(line)
            self._writer.flush()
        except OSError:  # a full disk must not end the step; what is kept in memory is recorded all the same
            self._file = ""


@contextlib.contextmanager
def captured(log: StepLog) -> Iterator[None]:
    """Have everything that is printed and logged inside go to a log too."""
    token = _hearing.set(log)
    with _lock:
        _open_logs.append(log)
        if len(_open_logs) == 1:
            logging.getLogger().addHandler(_handler)
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and not isinstance(stream, _Tee):
                setattr(sys, name, _Tee(stream))
    try:
        yield
    finally:
        _hearing.reset(token)
        with _lock:
            _open_logs.remove(log)
            if not _open_logs:
                logging.getLogger().removeHandler(_handler)
                for name in ("stdout", "stderr"):
                    stream = getattr(sys, name)
                    if isinstance(stream, _Tee):
                        setattr(sys, name, stream.behind)
        log.close()


def _log_of_caller() -> StepLog | None:
    """Return the log of the step that the caller belongs to; in a worker, its threads belong to its one step."""
    log = _hearing.get()
    if log is None and len(_open_logs) == 1 and multiprocessing.parent_process() is not None:
        return _open_logs[0]
    return log


class _Tee:
    """A stream whose text also goes to the log of the step that writes it."""

    def __init__(self, behind: TextIO) -> None:
        self.behind = behind

    def write(self, text: str) -> int:
        log = _log_of_caller()
        if log is None or not isinstance(text, str):
            return self.behind.write(text)
        log.write(text)
        self.behind.write(log._redact(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


class _Handler(logging.Handler):
    """Hears the log lines that no stream handler of a captured stream writes."""

    def emit(self, record: logging.LogRecord) -> None:
        others = [one for one in logging.getLogger().handlers if one is not self]
        if not others and logging.lastResort is not None and record.levelno >= logging.lastResort.level:
            logging.lastResort.handle(record)  # as it would without us; what it writes is heard as printed
            return
        if any(isinstance(getattr(one, "stream", None), _Tee) for one in others):
            return
        log = _log_of_caller()
        if log is not None:
            log.write(f"{record.levelname} {record.name}: {record.getMessage()}\n")


_handler = _Handler()


def _last_state(line: str) -> str:
    r"""Return what a line shows in the end that was written over with `\r`, as progress bars do."""
    if "\r" not in line:
        return line
    body, end = (line[:-1], "\n") if line.endswith("\n") else (line, "")
    return body.rstrip("\r").rpartition("\r")[2] + end
