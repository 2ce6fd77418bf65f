"""Stop Python code that takes longer than it may, from inside its own process."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Iterator
from typing import Any

from interlock.core.errors import TimedOut
from interlock.core.units import human_seconds

_AGAIN_S = 5.0
_INSTRUCTIONS = 1000


class _OutOfTimeError(BaseException):
    """Ends the code; not an `Exception`, so that `except Exception` does not swallow it."""


@contextlib.contextmanager
def deadline(timeout_s: float | None, *, name: str) -> Iterator[None]:
    """Raise TimedOut in this thread if what is inside takes longer.

    In the main thread of a process that has alarm signals, waiting (sleeping, reading, locks) is interrupted too; in
    other threads the code ends at its next Python instruction. A call into C that does not return cannot be stopped
    from inside: only an executor that ends its worker can.

    Raises:
        TimedOut: It took longer.
    """
    if timeout_s is None:
        yield
        return
    in_main = threading.current_thread() is threading.main_thread()
    free = in_main and hasattr(signal, "setitimer") and signal.getitimer(signal.ITIMER_REAL)[0] == 0
    limit = _by_signal(timeout_s) if free else _by_thread(timeout_s)
    try:
        with limit:
            yield
    except _OutOfTimeError:
        raise TimedOut(
            f"step '{name}' took longer than {human_seconds(timeout_s)}",
            why="its timeout was reached, and it was stopped where it was",
            fix="give it more time with timeout=, or less to do",
        ) from None


@contextlib.contextmanager
def _by_signal(timeout_s: float) -> Iterator[None]:
    def out_of_time(*_: Any) -> None:
        raise _OutOfTimeError

    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, timeout_s, _AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _by_thread(timeout_s: float) -> Iterator[None]:
    thread = ctypes.c_ulong(threading.get_ident())
    guard = threading.Lock()
    over = threading.Event()
    raised = delivered = False

    def watch() -> None:
        nonlocal raised
        if not over.wait(timeout_s):
            with guard:
                if not over.is_set():
                    raised = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(_OutOfTimeError))

    threading.Thread(target=watch, daemon=True, name="interlock-deadline").start()
    try:
        yield
    except _OutOfTimeError:
        delivered = True
        raise
    finally:
        # one that is on its way must not hit what comes after; taking it back would leave Python checking for ever
        with contextlib.suppress(_OutOfTimeError):
            with guard:
                over.set()
            if raised and not delivered:
                for _ in range(_INSTRUCTIONS):
                    pass
