"""Turn a function that calls steps into a pipeline."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, overload

from interlock.core.refs import check_name
from interlock.pipelines.edges import Edges
from interlock.pipelines.fanning import fan_out
from interlock.pipelines.lazy import force
from interlock.pipelines.sessions import PlainSession, current_session, grouped
from interlock.pipelines.steps import refuse_unfit

P = ParamSpec("P")
R = TypeVar("R")


class Pipeline(Generic[P, R]):
    """A function whose step calls make a graph.

    Called by itself it runs plainly in this thread and returns its value. Called inside another pipeline its steps
    are steps of that one, under its name (`features/clean`). `Pipelines.run` records it, reuses what it can and runs
    steps at the same time.

    Args:
        function: The body.
        name: A name for people; the function's own if not given.
        experiment: The experiment its runs belong to; its name if not given.
    """

    __wrapped__: Callable[P, R]
    __qualname__: str

    def __init__(self, function: Callable[P, R], *, name: str | None, experiment: str | None) -> None:
        refuse_unfit(function, "pipeline")
        functools.update_wrapper(self, function)
        self.name = check_name(name or function.__name__.strip("<>_") or "pipeline", of="pipeline")
        self.experiment = check_name(experiment or self.name, of="experiment")
        self.signature = inspect.signature(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run plainly, or as part of the pipeline that is running."""
        bound = self.bind(args, kwargs)
        session = current_session.get()
        if session is not None:
            with grouped(session, self.name):
                return self.__wrapped__(*bound.args, **bound.kwargs)
        token = current_session.set(PlainSession())
        try:
            value: R = force(self.__wrapped__(*bound.args, **bound.kwargs))
        finally:
            current_session.reset(token)
        return value

    def map(self, *args: Any, **kwargs: Any) -> list[R]:
        """Call it once for each item of the lists among the arguments, as a step's `map` does.

        Raises:
            WrongType: There is no list among the arguments, or two of different length.
        """
        return [self(*one, **named) for one, named in fan_out(self.name, args, kwargs, noun="pipeline")]

    @cached_property
    def edges(self) -> Edges:
        """What its annotations announce."""
        return Edges(self.__wrapped__, self.name, noun="pipeline")

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """Return the arguments of a call by name, with defaults, checked against the annotations.

        Raises:
            WrongType: An argument is missing, unknown, or not of the type that the pipeline expects.
            SchemaMismatch: A table lacks a column, or one has another type.
        """
        return self.edges.bind(args, kwargs)

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
