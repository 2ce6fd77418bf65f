"""Run calls in this thread, or in a pool of warm worker processes."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pickle
import queue
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

from interlock.core.errors import InvalidInput, StepFailed
from interlock.ports.executor import Executor

_UNPICKLABLE = (pickle.PicklingError, AttributeError, TypeError, ValueError, RecursionError)


class InlineExecutor(Executor):
    """Runs each call at once, in the thread that submits it; the future is done when `submit` returns."""

    def __init__(self) -> None:
        self._closed = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._closed:
            raise _closed()
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (a future carries whatever user code raises)
            future.set_exception(error)
        return future

    def close(self) -> None:
        self._closed = True


class _Call(NamedTuple):
    label: str
    payload: bytes
    future: Future[Any]


class ProcessExecutor(Executor):
    """Runs calls in worker processes that stay up between calls.

    A function and its arguments travel by pickle, so the function has to be one that a new process can import: at
    the top of a module, not a lambda, not inside another function, not from a notebook cell. A worker is started
    at the first call that finds none free, and replaced if it dies; only the call it was running fails.

    Args:
        workers: How many processes at most; as many as there are processors if not given.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise InvalidInput(f"workers={workers}", why="expected 1 or more")
        self._most = workers or os.cpu_count() or 1
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0
        self._lock = threading.Lock()
        self._closed = False
        atexit.register(self.close)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        label = getattr(function, "__qualname__", repr(function))
        try:
            payload = bytes(ForkingPickler.dumps((function, args, kwargs)))
        except _UNPICKLABLE as error:
            raise InvalidInput(
                f"a call of {label} cannot be sent to another process",
                why=str(error),
                fix="move the function to the top of a module, pass plain data, or run with InlineExecutor()",
            ) from error
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise _closed()
            self._unfinished += 1
            if len(self._threads) < min(self._unfinished, self._most):
                self._threads.append(threading.Thread(target=self._attend, daemon=True, name="interlock-worker"))
                self._threads[-1].start()
            self._calls.put(_Call(label, payload, future))
        return future

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._calls.put(None)
        for thread in self._threads:
            thread.join()
        atexit.unregister(self.close)

    def _attend(self) -> None:
        """Feed one worker with calls until the executor closes."""
        worker: _Worker | None = None
        while (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                worker = worker or _Worker()
                try:
                    worker.run(call)
                except (EOFError, OSError):
                    code = worker.stop()
                    worker = None
                    call.future.set_exception(_died(call.label, code))
            with self._lock:
                self._unfinished -= 1
        if worker is not None:
            worker.stop()


class _Worker:
    """One process and the pipe to it."""

    def __init__(self) -> None:
        nt = os.name == "nt"
        context = multiprocessing.get_context("spawn") if nt else multiprocessing.get_context("forkserver")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,))
        self._process.start()
        theirs.close()

    def run(self, call: _Call) -> None:
        """Have the process answer one call."""
        self._pipe.send_bytes(call.payload)
        answer = self._pipe.recv_bytes()
        try:
            succeeded, value = pickle.loads(answer)
        except (ImportError, *_UNPICKLABLE) as error:
            succeeded, value = False, error
        if succeeded:
            call.future.set_result(value)
        else:
            call.future.set_exception(value)

    def stop(self) -> int:
        """Let the process end, and return its exit code."""
        self._pipe.close()
        self._process.join()
        return int(self._process.exitcode or 0)


def _serve(pipe: Connection) -> None:
    """Answer calls in a worker process until the other end closes."""
    while True:
        try:
            payload = pipe.recv_bytes()
        except (EOFError, KeyboardInterrupt):
            return
        pipe.send_bytes(_answer(payload))


def _answer(payload: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(payload)
    except (ImportError, AttributeError, pickle.UnpicklingError) as error:
        return _pickled_error(
            InvalidInput(
                "a worker process cannot import the function it was given",
                why=f"{type(error).__name__}: {error}",
                fix="move the function from the notebook or script to a module, or run with InlineExecutor()",
            )
        )
    try:
        value = function(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 (user code may raise anything, and its caller is in another process)
        error.add_note("in a worker process:\n" + "".join(traceback.format_exception(error)))
        return _pickled_error(error)
    try:
        return bytes(ForkingPickler.dumps((True, value)))
    except _UNPICKLABLE as error:
        return _pickled_error(
            InvalidInput(
                f"the result of {getattr(function, '__qualname__', function)} cannot be sent back from its process",
                why=f"{type(error).__name__}: {error}",
                fix="return plain data, or run with InlineExecutor()",
            )
        )


def _pickled_error(error: Exception) -> bytes:
    """Write an error; one that does not survive pickling becomes a StepFailed that says the same."""
    try:
        data = bytes(ForkingPickler.dumps((False, error)))
        pickle.loads(data)
    except Exception:  # noqa: BLE001 (an exception class may break its own pickling in any way)
        text = "".join(traceback.format_exception(error))
        data = bytes(ForkingPickler.dumps((False, StepFailed(f"{type(error).__qualname__} was raised", why=text))))
    return data


def _died(label: str, code: int) -> StepFailed:
    killed = f"it was killed by signal {-code}, perhaps for want of memory"
    return StepFailed(
        f"the process that ran {label} died",
        why=killed if code < 0 else f"it ended with exit code {code}; what it printed says more",
        fix="run it with less data, or with InlineExecutor() to see where it ends",
    )


def _closed() -> InvalidInput:
    return InvalidInput("the executor is closed", why="close() was called on it", fix="make a new one")
