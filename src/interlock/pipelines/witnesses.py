"""See whether a step reaches the lines that read the clock, and whether it draws from a generator nobody seeded."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any

from interlock.pipelines.suspects import Doubt

_TOOL = "interlock"
_NUMPY = "numpy.random"


class Witness:
    """Says which of some lines are reached between `start` and `stop`.

    Where there is nothing to look for it costs nothing. Otherwise Python 3.12 and later watch only those lines; 3.11
    has to trace the step until the first of them is reached. While a debugger or a coverage tool traces, every line is
    taken as reached.

    Args:
        doubts: The lines.
    """

    def __init__(self, doubts: Iterable[Doubt]) -> None:
        self._wanted = {(doubt.file, doubt.line): doubt for doubt in doubts}
        self._files = {file for file, _ in self._wanted}
        self._reached: dict[Doubt, None] = {}
        self._blind = False
        self._tracing = False
        self._threads: Any = None
        self._monitored = 0
        self._disable: Any = None

    @staticmethod
    def on_entropy(listener: Callable[[], Any]) -> None:
        """Have a listener told when `secrets`, `SystemRandom` or a generator of NumPy takes entropy from the system."""
        source = random._urandom  # type: ignore[attr-defined]  # looked up by `SystemRandom` at every call

        def listened(size: int) -> bytes:
            listener()
            return bytes(source(size))

        random._urandom = listened  # type: ignore[attr-defined]

    def start(self) -> None:
        """Begin to look."""
        if not self._wanted:
            return
        if hasattr(sys, "monitoring"):
            self._monitor()
        elif sys.gettrace() is None:
            self._tracing = True
            self._threads = threading.gettrace()
            threading.settrace(self._enter)
            sys.settrace(self._enter)
        else:
            self._blind = True

    def stop(self) -> None:
        """End looking."""
        if self._tracing:
            self._tracing = False
            if sys.gettrace() == self._enter:  # the step may have called a debugger
                sys.settrace(None)
            threading.settrace(self._threads)
        if self._monitored:
            monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 (from 3.12 on)
            monitoring.set_events(self._monitored, 0)
            monitoring.free_tool_id(self._monitored)
            self._monitored = 0

    def reached(self, *, pessimistic: bool) -> Iterator[str]:
        """Yield the doubts that came true; all of them if it was impossible to look."""
        for doubt in self._wanted.values() if pessimistic or self._blind else self._reached:
            yield f"{doubt.kind}: {doubt.what} in {doubt.symbol} ({PurePath(doubt.file).name}:{doubt.line})"

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        doubt = self._wanted.get((frame.f_code.co_filename, frame.f_lineno))
        if doubt is not None:
            self._reached[doubt] = None
            self.stop()  # one is enough for the verdict, and tracing slows all code down
            return None
        return self._line

    def _monitor(self) -> None:
        monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 (from 3.12 on)
        free = next((tool for tool in (3, 4) if monitoring.get_tool(tool) is None), None)
        if free is None:
            self._blind = True
            return
        monitoring.use_tool_id(free, _TOOL)
        monitoring.register_callback(free, monitoring.events.LINE, self._executed)
        monitoring.set_events(free, monitoring.events.LINE)
        monitoring.restart_events()
        self._monitored, self._disable = free, monitoring.DISABLE

    def _executed(self, code: CodeType, line: int) -> Any:
        doubt = self._wanted.get((code.co_filename, line))
        if doubt is not None:
            self._reached[doubt] = None
        return self._disable  # for this line only, so each costs something once


def states_of_chance() -> dict[str, Any]:
    """Return the states of the generators that a whole process shares.

    Cost: 15 µs.
    """
    states: dict[str, Any] = {"random": hash(random.getstate())}
    numpy = sys.modules.get(_NUMPY)
    if numpy is not None:
        _, keys, position, has_gauss, gauss = numpy.get_state(legacy=True)
        states["numpy"] = (hash(keys.tobytes()), position, has_gauss, gauss)
    else:
        states["numpy"] = None
    return states


def _fresh() -> tuple[Any, ...]:
    """Return what NumPy's shared generator shows, its keys apart, before anything was drawn."""
    numpy = sys.modules[_NUMPY]
    _, _, position, has_gauss, gauss = numpy.RandomState(numpy.MT19937(0)).get_state(legacy=True)
    return position, has_gauss, gauss


def drawn(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the shared generators that were drawn from between two states."""
    for name, state in after.items():
        was = before[name]
        if state != was and (was is not None or state[1:] != _fresh()):
            yield name
