"""Turn a function into a step: still a plain function, and a pipeline's unit of work."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

from interlock.core.errors import InvalidInput
from interlock.core.refs import check_name
from interlock.pipelines.edges import Edges
from interlock.pipelines.fanning import fan_out
from interlock.pipelines.needs import environment_id
from interlock.pipelines.options import StepOptions, make_options
from interlock.pipelines.outputs import Outputs
from interlock.pipelines.sessions import current_session

P = ParamSpec("P")
R = TypeVar("R")
Seconds = float | timedelta


class Options(TypedDict, total=False):
    """The options that people give a step; `StepOptions` says what each means."""

    retries: int
    backoff: Seconds
    backoff_s: float
    backoff_limit_s: float
    retry_on: type[BaseException] | Sequence[type[BaseException]]
    timeout: Seconds | None
    timeout_s: float | None
    cpu: float
    gpu: float
    memory: int | str | None
    priority: int
    environment: str | Sequence[str]
    secrets: Mapping[str, str]
    cache: bool | Literal["always"]
    salt: str
    expires: Seconds | None
    early_cut: bool
    log_limit_bytes: int


class Step(Generic[P, R]):
    """A function that pipelines record, reuse and run anywhere.

    Called outside a pipeline it is the function, with its defaults, its exceptions and its types. Called inside a
    running pipeline it returns a lazy value at once.

    Args:
        function: The function.
        name: A name for people; the function's own if not given.
        config: How it is run.
        rebuilt: How another process makes it, where it cannot be imported by name: a function and its arguments.
    """

    __wrapped__: Callable[P, R]
    __name__: str
    __qualname__: str

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        config: StepOptions | None = None,
        rebuilt: tuple[Callable[..., Any], tuple[Any, ...]] | None = None,
    ) -> None:
        refuse_unfit(function, "step")
        functools.update_wrapper(self, function)
        self.name = check_name(name or function.__name__.strip("<>_") or "step", of="step")
        self.config = config or StepOptions()
        self.signature = inspect.signature(function)
        self._rebuilt = rebuilt

    @property
    def full_name(self) -> str:
        """Its dotted name: module and qualified name, by which its history is kept."""
        return f"{self.__module__}.{self.__qualname__}"

    @property
    def retries(self) -> int:
        """How many more times it is tried when it raises."""
        return self.config.retries

    @property
    def cache(self) -> bool:
        """Whether its output may be reused."""
        return bool(self.config.cache)

    @cached_property
    def edges(self) -> Edges:
        """What its annotations announce; read when it is first called inside a pipeline."""
        return Edges(self.__wrapped__, self.name)

    @property
    def outputs(self) -> Outputs | None:
        """Its several outputs, if it is annotated to return a dataclass or a NamedTuple."""
        return self.edges.outputs

    @cached_property
    def key_parts(self) -> dict[str, Any]:
        """What its key depends on besides code, inputs and libraries; empty for most steps."""
        parts = {
            "salt": self.config.salt,
            "environment": environment_id(self.config.environment),
            "checks": self.edges.held,
        }
        return {name: part for name, part in parts.items() if part}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function; inside a running pipeline, return a lazy value instead."""
        session = current_session.get()
        if session is None:
            return self.__wrapped__(*args, **kwargs)
        result: R = session.call(self, args, kwargs)
        return result

    def map(self, *args: Any, **kwargs: Any) -> list[R]:
        """Call it once for each item of the lists among the arguments; everything else goes to every call as it is.

        Lists (and ranges) must be of one length. A lazy value is waited for where it may be a list.

        Example:
            >>> @step
            ... def scale(x: int, by: int) -> int:
            ...     return x * by
            >>> scale.map([1, 2, 3], 10)
            [10, 20, 30]

        Raises:
            WrongType: There is no list among the arguments, or two of different length.
        """
        return [self(*one, **named) for one, named in fan_out(self.name, args, kwargs)]

    def options(self, **changes: Unpack[Options]) -> Step[P, R]:
        """Return the same step with other options: `train.options(retries=3)(table)`."""
        config = make_options(changes, standing=self.config, step=self.name)
        made: Step[P, R] = Step(
            self.__wrapped__, name=self.name, config=config, rebuilt=(_with_options, (self, config))
        )
        if "edges" in self.__dict__:
            made.__dict__["edges"] = self.edges
        return made

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """Return the arguments of a call inside a pipeline by name, checked against the annotations.

        Raises:
            WrongType: An argument is missing, unknown, or cannot be of the type that the step expects.
            SchemaMismatch: A table lacks a column, or one has another type.
        """
        return self.edges.bind(args, kwargs)

    def __repr__(self) -> str:
        return f"<step {self.full_name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        if self._rebuilt is not None:
            return self._rebuilt
        if self.__module__ == "__main__" or _named(self.__module__, self.__qualname__) is self.__wrapped__:
            return _remade, (self.__wrapped__, self.name, self.config)
        return self.__qualname__


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(*, name: str | None = None, **options: Unpack[Options]) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Unpack[Options]) -> Any:
    """Mark a function as a step.

    Args:
        function: The function.
        name: A name for people; the function's own if not given.
        options: How it is run: `retries`, `backoff`, `retry_on`, `timeout`, `cpu`, `gpu`, `memory`, `priority`,
            `environment`, `secrets`, `cache`, `salt`, `expires` and more; see `StepOptions`.

    Raises:
        InvalidInput: It is not a plain function, or an option makes no sense.

    Example:
        >>> @step
        ... def double(x: int) -> int:
        ...     return 2 * x
        >>> double(4)
        8
    """
    config = make_options(options, step=name or str(getattr(function, "__name__", "")))
    if function is None:
        return lambda given: Step(given, name=name, config=config)
    return Step(function, name=name, config=config)


def refuse_unfit(function: Any, what: str) -> None:
    """Refuse what cannot be a step or a pipeline, and say what to write instead.

    Raises:
        InvalidInput: It is a class, a method, a coroutine, a generator, a lambda that is a step, or no function.
    """
    why, fix = "", f"@{what} above a `def`"
    if not inspect.isfunction(function):
        why = f"a {what} is a plain function, not a {type(function).__name__}"
    elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        why, fix = f"a {what} is a plain function, not a coroutine", "call asyncio.run(…) inside a plain `def`"
    elif inspect.isgeneratorfunction(function):
        why, fix = "a generator gives its values one by one and keeps none of them", "return a list"
    elif function.__name__ == "<lambda>" and what == "step":
        why = "a lambda has no name to keep its history under, and cannot be sent to another process"
        fix = "write it as a `def` with @step above"
    elif _is_method(function):
        why = f"it is a method of {function.__qualname__.rpartition('.')[0]}, and an object is no plain input"
        fix = "move it out of the class, and hand in what it needs of `self`"
    if why:
        raise InvalidInput(f"{function!r} cannot be a {what}", why=why, fix=fix)


def _is_method(function: Any) -> bool:
    first = next(iter(function.__code__.co_varnames), "")
    owner = function.__qualname__.rpartition(".")[0]
    takes = function.__code__.co_argcount > 0 and first in ("self", "cls")
    return bool(takes and owner and not owner.endswith("<locals>"))


def _named(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found


def _remade(function: Callable[P, R], name: str, config: StepOptions) -> Step[P, R]:
    return Step(function, name=name, config=config)


def _with_options(base: Step[P, R], config: StepOptions) -> Step[P, R]:
    return Step(base.__wrapped__, name=base.name, config=config, rebuilt=(_with_options, (base, config)))
