"""Make a run of every call of a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from interlock.experiments.plain_params import arguments_of


class Opener(Protocol):
    """Opens a run for one call."""

    def __call__(self, *, name: str, params: Mapping[str, Any]) -> Any:
        """Return a run, to be entered."""
        ...


def recorded(function: Callable[..., Any], open_run: Opener) -> Callable[..., Any]:
    """Return the function such that every call is a run whose params are the arguments.

    A function that is a coroutine or a generator stays one. A parameter named `run` that the caller leaves out is given
    the run.
    """
    wants_run = "run" in _parameters(function)

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        params = arguments_of(function, args, kwargs)
        params.pop("run", None)
        return open_run(name=function.__name__, params=params)

    def given(opened: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if not wants_run or "run" in kwargs:
            return kwargs
        bound = inspect.signature(function).bind_partial(*args, **kwargs)
        return kwargs if "run" in bound.arguments else {**kwargs, "run": opened}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with start(args, kwargs) as opened:
            return function(*args, **given(opened, args, kwargs))

    @functools.wraps(function)
    async def wait(*args: Any, **kwargs: Any) -> Any:
        with start(args, kwargs) as opened:
            return await function(*args, **given(opened, args, kwargs))

    @functools.wraps(function)
    def produce(*args: Any, **kwargs: Any) -> Any:
        with start(args, kwargs) as opened:
            return (yield from function(*args, **given(opened, args, kwargs)))

    if inspect.iscoroutinefunction(function):
        return wait
    return produce if inspect.isgeneratorfunction(function) else call


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
