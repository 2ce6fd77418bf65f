"""How a call and its answer travel to another process and back: one rule for every executor.

A function is named, so that the other process imports it; one that was typed into a notebook, a script or an
interpreter has no module to import from, and travels whole. So do the classes beside it, once per process.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import sys
import traceback
from types import FunctionType
from typing import Any

from interlock.core.errors import InvalidInput, StepFailed
from interlock.core.ids import new_id
from interlock.ports.executor import Call, StaleWorker

_UNPICKLABLE = (pickle.PicklingError, AttributeError, TypeError, ValueError, RecursionError)
_UNREADABLE = (ImportError, AttributeError, pickle.UnpicklingError, TypeError, ValueError, EOFError)
_ELSEWHERE = "move the function to the top of a module, pass plain data, or run with InlineExecutor() (on='inline')"

PROCESS = new_id()
"""This process, as the calls that it sends say where they come from."""

_defined = [b""]


CANNOT_IMPORT = "a worker process cannot import the function it was given"
"""What is wrong with a call that never began, since its code is in its caller's memory and nowhere a worker looks."""


def pack_call(call: Call) -> bytes:
    """Write a call.

    Raises:
        InvalidInput: The function or an argument cannot leave this process; it says which.
    """
    try:
        return _dumps((call.function, call.args, dict(call.kwargs), _main_definitions()))
    except _UNPICKLABLE as error:
        raise InvalidInput(
            f"a call of {call.label} cannot be sent to another process: {_culprit(call)}",
            why=str(error),
            fix=_ELSEWHERE,
        ) from error


def answer(payload: bytes) -> bytes:
    """Make the call that was written, in this process, and write its answer; it never raises."""
    try:
        function, args, kwargs, definitions = pickle.loads(payload)
        _define(definitions)
    except _UNREADABLE as error:
        return write_error(
            InvalidInput(
                CANNOT_IMPORT,
                why=f"{type(error).__name__}: {error}",
                fix="put its module where the worker finds it (sys.path, PYTHONPATH), or run with on='inline'",
            )
        )
    label = getattr(function, "__qualname__", repr(function))
    try:
        value = function(*args, **kwargs)
    except (SystemExit, KeyboardInterrupt) as leaving:
        return write_error(
            StepFailed(f"{label} ended its process", why=repr(leaving), fix="return or raise an exception instead")
        )
    except Exception as error:  # noqa: BLE001 (user code may raise anything, and its caller is in another process)
        if not isinstance(error, StaleWorker):
            error.add_note("in a worker process:\n" + "".join(traceback.format_exception(error)))
        return write_error(error)
    try:
        return _dumps((True, value))
    except _UNPICKLABLE as error:
        return write_error(
            InvalidInput(
                f"the result of {label} cannot be sent back from its process",
                why=f"a {type(value).__module__}.{type(value).__qualname__}: {error}",
                fix="return plain data, or run with InlineExecutor() (on='inline')",
            )
        )


def read_answer(data: bytes) -> tuple[bool, Any]:
    """Read an answer: whether the call returned, and what it returned or raised."""
    try:
        succeeded, value = pickle.loads(data)
    except _UNREADABLE as error:
        return False, error
    return bool(succeeded), value


def died(label: str, how: str) -> StepFailed:
    """Build the error of a call whose process ended under it."""
    return StepFailed(
        f"the process that ran {label} died",
        why=how,
        fix="run it with less data, or with InlineExecutor() (on='inline') to see where it ends",
    )


def ending(code: int) -> str:
    """Say how a process ended, by its exit code: below zero the signal that killed it."""
    if code < 0:
        return f"it was killed by signal {-code}, perhaps for want of memory"
    return f"it ended with exit code {code}; what it printed says more"


def closed() -> InvalidInput:
    """Build the error of a call that comes after `close`."""
    return InvalidInput("the executor is closed", why="close() was called on it", fix="make a new one")


def _dumps(value: Any) -> bytes:
    import cloudpickle

    return bytes(cloudpickle.dumps(value, protocol=5))


def _culprit(call: Call) -> str:
    """Name what cannot travel: the function, or an argument by its name or number."""
    pieces: list[tuple[str, Any]] = [("the function itself", call.function)]
    pieces += [(f"argument {number}", value) for number, value in enumerate(call.args, 1)]
    pieces += [(f"argument '{name}'", value) for name, value in call.kwargs.items()]
    for where, value in pieces:
        try:
            _dumps(value)
        except _UNPICKLABLE:
            return f"{where} (a {type(value).__module__}.{type(value).__qualname__})"
    return "it as a whole"


def _main_definitions() -> bytes:
    """Return the classes and functions typed in by hand, which pickles hold by name alone; nothing for a module."""
    main = vars(sys.modules["__main__"])
    mine = {
        name: value
        for name, value in main.items()
        if isinstance(value, (type, FunctionType)) and value.__module__ == "__main__"
    }
    return _written(frozenset((name, _Same(value)) for name, value in mine.items())) if mine else b""


class _Same:
    """Equal only to what holds the very same object."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@functools.lru_cache(maxsize=2)
def _written(definitions: frozenset[tuple[str, _Same]]) -> bytes:
    pieces: dict[str, bytes] = {}
    for name, held in definitions:
        # what cannot travel is missed only if a value needs it, and then by its name
        with contextlib.suppress(*_UNPICKLABLE):
            pieces[name] = _dumps(held.value)
    return _dumps((PROCESS, pieces))


def _define(definitions: bytes) -> None:
    """Put what was typed into the caller's main module into this process's, unless they are the same."""
    if not definitions or definitions == _defined[0]:
        return
    origin, pieces = pickle.loads(definitions)
    if origin != PROCESS:
        main = sys.modules["__main__"]
        for name, data in pieces.items():
            with contextlib.suppress(*_UNREADABLE):
                setattr(main, name, pickle.loads(data))
        _defined[0] = definitions


def write_error(error: Exception) -> bytes:
    """Write an error; one that does not survive pickling becomes a StepFailed that says the same."""
    try:
        data = _dumps((False, error))
        pickle.loads(data)
    except Exception:  # noqa: BLE001 (an exception class may break its own pickling in any way)
        text = "".join(traceback.format_exception(error))
        data = _dumps((False, StepFailed(f"{type(error).__qualname__} was raised", why=text)))
    return data
