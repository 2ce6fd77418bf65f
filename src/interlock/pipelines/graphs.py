"""Turn a function that calls steps into a pipeline."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from interlock.core.errors import InvalidInput
from interlock.core.refs import check_name
from interlock.pipelines.lazy import force
from interlock.pipelines.sessions import PlainSession, current_session

P = ParamSpec("P")
R = TypeVar("R")


class Pipeline(Generic[P, R]):
    """A function whose step calls make a graph.

    Called by itself it runs plainly in this thread and returns its value. Called inside another pipeline it is
    part of that one. `Pipelines.run` records it, reuses what it can and runs steps at the same time.

    Args:
        function: The body.
        name: A name for people; the function's own if not given.
        experiment: The experiment its runs belong to; its name if not given.
    """

    __wrapped__: Callable[P, R]
    __qualname__: str

    def __init__(self, function: Callable[P, R], *, name: str | None, experiment: str | None) -> None:
        if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
            raise InvalidInput(f"{function!r} cannot be a pipeline", why="expected a plain function", fix="@pipeline")
        functools.update_wrapper(self, function)
        self.name = check_name(name or function.__name__.strip("<>_") or "pipeline", of="pipeline")
        self.experiment = check_name(experiment or self.name, of="experiment")
        self.signature = inspect.signature(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run plainly, or as part of the pipeline that is running."""
        if current_session.get() is not None:
            return self.__wrapped__(*args, **kwargs)
        token = current_session.set(PlainSession())
        try:
            value: R = force(self.__wrapped__(*args, **kwargs))
        finally:
            current_session.reset(token)
        return value

    def __repr__(self) -> str:
        return f"<pipeline {self.__module__}.{self.__qualname__}>"


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...


@overload
def pipeline(
    *, name: str | None = None, experiment: str | None = None
) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...


def pipeline(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, experiment: str | None = None
) -> Any:
    """Mark a function as a pipeline.

    Example:
        >>> from interlock.pipelines.steps import step
        >>> @step
        ... def square(x: int) -> int:
        ...     return x * x
        >>> @pipeline
        ... def total(numbers: list[int]) -> int:
        ...     return sum(square(n) for n in numbers)
        >>> total([1, 2, 3])
        14
    """
    if function is None:
        return lambda given: Pipeline(given, name=name, experiment=experiment)
    return Pipeline(function, name=name, experiment=experiment)
