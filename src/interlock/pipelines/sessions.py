"""Say who answers step calls: nobody, a plain run in this thread, or a recorded run of a workspace."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Protocol

from interlock.pipelines.lazy import Lazy, force


class Session(Protocol):
    """One run of a pipeline's body.

    Args:
        groups: How often each pipeline inside this one has been called so far, by its path.
    """

    groups: Counter[str]

    def call(self, step: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Answer one step call with a lazy value."""
        ...


current_session: ContextVar[Session | None] = ContextVar("interlock_session", default=None)
"""Who answers step calls in this thread; None inside a step, where other steps are plain functions."""

current_group: ContextVar[str] = ContextVar("interlock_group", default="")
"""The pipelines inside the running one that step calls are made from: `features/`, `features/clean#2/`."""


class PlainSession:
    """Runs each step at once, in this thread, recording nothing; exceptions pass through unchanged."""

    def __init__(self) -> None:
        self.groups: Counter[str] = Counter()

    def call(self, step: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Lazy:
        """Run the step now."""
        bound = step.bind(args, kwargs)
        for name, value in bound.arguments.items():
            bound.arguments[name] = force(value)
        step.edges.check_arguments(bound)
        value = without_session(step.__wrapped__, *bound.args, **bound.kwargs)
        step.edges.check_result(value)
        return Lazy(lambda: value, SimpleNamespace(step=step))


@contextlib.contextmanager
def grouped(session: Session, name: str) -> Iterator[None]:
    """Have the step calls made inside counted to a pipeline of that name; a second one is called `name#2`."""
    path = current_group.get() + name
    session.groups[path] += 1
    count = session.groups[path]
    token = current_group.set((f"{path}#{count}" if count > 1 else path) + "/")
    try:
        yield
    finally:
        current_group.reset(token)


def without_session(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a step's function so that steps it calls run as plain functions."""
    session_token, group_token = current_session.set(None), current_group.set("")
    try:
        return function(*args, **kwargs)
    finally:
        current_group.reset(group_token)
        current_session.reset(session_token)
