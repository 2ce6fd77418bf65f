"""Turn a function into a step: still a plain function, and a pipeline's unit of work."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from interlock.core.errors import InvalidInput
from interlock.core.refs import check_name
from interlock.pipelines.sessions import current_session

P = ParamSpec("P")
R = TypeVar("R")


class Step(Generic[P, R]):
    """A function that pipelines record, reuse and run anywhere.

    Called outside a pipeline it is the function, with its defaults, its exceptions and its types. Called inside a
    running pipeline it returns a lazy value at once.

    Args:
        function: The function.
        name: A name for people; the function's own if not given.
        retries: How many more times to try when it raises.
        cache: Whether its output may be reused; `False` for a step that is run for its effect.
    """

    __wrapped__: Callable[P, R]
    __qualname__: str

    def __init__(self, function: Callable[P, R], *, name: str | None, retries: int, cache: bool) -> None:
        if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
            raise InvalidInput(
                f"{function!r} cannot be a step",
                why="a step is a plain function, not a class, a method or a coroutine",
                fix="@step above a `def`",
            )
        if retries < 0:
            raise InvalidInput(f"retries={retries}", why="expected 0 or more")
        functools.update_wrapper(self, function)
        self.name = check_name(name or function.__name__.strip("<>_") or "step", of="step")
        self.retries = retries
        self.cache = cache
        self.signature = inspect.signature(function)

    @property
    def full_name(self) -> str:
        """Its dotted name: module and qualified name, by which its history is kept."""
        return f"{self.__module__}.{self.__qualname__}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function; inside a running pipeline, return a lazy value instead."""
        session = current_session.get()
        if session is None:
            return self.__wrapped__(*args, **kwargs)
        result: R = session.call(self, args, kwargs)
        return result

    def __repr__(self) -> str:
        return f"<step {self.full_name}>"

    def __reduce__(self) -> str:
        return self.__qualname__


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(
    *, name: str | None = None, retries: int = 0, cache: bool = True
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    cache: bool = True,
) -> Any:
    """Mark a function as a step.

    Example:
        >>> @step
        ... def double(x: int) -> int:
        ...     return 2 * x
        >>> double(4)
        8
    """
    if function is None:
        return lambda given: Step(given, name=name, retries=retries, cache=cache)
    return Step(function, name=name, retries=retries, cache=cache)
