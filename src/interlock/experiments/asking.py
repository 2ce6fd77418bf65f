"""Ask a store something without waiting for it for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from interlock.core.background import in_background
from interlock.core.errors import InterlockError, TimedOut

_Answer = TypeVar("_Answer")


class _Asked(Generic[_Answer]):
    """A question on its way."""

    def __init__(self, question: Callable[[], _Answer]) -> None:
        self._question = question
        self.answer: list[_Answer] = []
        self.error: InterlockError | OSError | None = None

    def ask(self) -> None:
        try:
            self.answer.append(self._question())
        except (InterlockError, OSError) as error:
            self.error = error


def asked(question: Callable[[], _Answer], *, within_s: float) -> _Answer:
    """Return the answer, or raise what the store raises, or `TimedOut` if neither comes in time.

    Example:
        >>> asked(lambda: 1 + 1, within_s=5.0)
        2
    """
    waiting: _Asked[Any] = _Asked(question)
    thread = in_background(waiting.ask, name="interlock-ask")
    if thread is None:
        waiting.ask()
    else:
        thread.join(within_s)
    if waiting.error is not None:
        raise waiting.error
    if not waiting.answer:
        raise TimedOut("the store has not answered", why=f"{within_s:g} s have passed", fix="try again later")
    answer: _Answer = waiting.answer[0]
    return answer
