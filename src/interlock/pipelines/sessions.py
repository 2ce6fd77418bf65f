"""Say who answers step calls: nobody, a plain run in this thread, or a recorded run of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from interlock.pipelines.lazy import Lazy, force


class Callee(Protocol):
    """The part of a step that a session needs."""

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """The plain function."""
        ...


class Session(Protocol):
    """One run of a pipeline's body."""

    def call(self, step: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Answer one step call with a lazy value."""
        ...


current_session: ContextVar[Session | None] = ContextVar("interlock_session", default=None)
"""Who answers step calls in this thread; None inside a step, where other steps are plain functions."""


class PlainSession:
    """Runs each step at once, in this thread, recording nothing; exceptions pass through unchanged."""

    def call(self, step: Callee, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Lazy:
        """Run the step now."""
        value = without_session(step.__wrapped__, *(force(list(args))), **force(dict(kwargs)))
        return Lazy(lambda: value)


def without_session(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a step's function so that steps it calls run as plain functions."""
    token = current_session.set(None)
    try:
        return function(*args, **kwargs)
    finally:
        current_session.reset(token)
