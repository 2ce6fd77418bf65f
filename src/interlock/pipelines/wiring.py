"""Make a pipeline of plain functions: a parameter named like another function takes what that one returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

from interlock.core.errors import InvalidInput, WrongType, did_you_mean
from interlock.pipelines.edge_types import clash
from interlock.pipelines.graphs import Pipeline
from interlock.pipelines.steps import Step

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def pipeline_from(
    functions: Iterable[Callable[..., Any]] | ModuleType,
    *,
    outputs: str | Sequence[str] | None = None,
    name: str | None = None,
    experiment: str | None = None,
) -> Pipeline[..., Any]:
    """Return the pipeline that functions make by their names, without a decorator on any of them.

    A function's name is the name of what it returns. A parameter of that name takes it; a parameter that no function
    is named like becomes a parameter of the pipeline, with its default.

    Args:
        functions: Functions or steps; or a module, of which its own public functions are taken.
        outputs: What the pipeline returns: one name for that value, several for a dict. Only what they need is run.
            If not given: everything that no other function takes.
        name: A name for people; of a module its own, else that of the first output.
        experiment: The experiment its runs belong to; the pipeline's name if not given.

    Raises:
        InvalidInput: Two functions have one name, a function needs what it makes, or an output is unknown.
        WrongType: What one function returns cannot be what another expects.

    Example:
        >>> def doubled(number: int) -> int:
        ...     return 2 * number
        >>> def answer(doubled: int, extra: int = 0) -> int:
        ...     return doubled + extra
        >>> pipeline_from([doubled, answer])(number=20, extra=2)
        42
    """
    steps = _steps(functions)
    needs = {key: [one for one in step.signature.parameters if one in steps] for key, step in steps.items()}
    order = _in_order(needs)
    wanted = _wanted(outputs, steps, needs)
    kept = _ancestors(wanted, needs)
    order = [key for key in order if key in kept]
    _check_edges([steps[key] for key in order], steps)
    title = name or (functions.__name__.rpartition(".")[2] if isinstance(functions, ModuleType) else wanted[0])
    single = isinstance(outputs, str) or (outputs is None and len(wanted) == 1)

    def body(**given: Any) -> Any:
        values = dict(given)
        for key in order:
            values[key] = steps[key](**{one: values[one] for one in steps[key].signature.parameters})
        return values[wanted[0]] if single else {key: values[key] for key in wanted}

    parameters = _inputs([steps[key] for key in order], steps)
    body.__name__ = body.__qualname__ = title
    body.__module__ = steps[wanted[0]].__module__
    body.__doc__ = f"Make {', '.join(wanted)} by way of {', '.join(order)}."
    body.__annotations__ = {one.name: one.annotation for one in parameters if one.annotation is not one.empty}
    body.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it from there
    return _Wired(body, name=title, experiment=experiment, steps=steps)


class _Wired(Pipeline[..., Any]):
    """A pipeline that knows its functions, so that a missing argument can be told from a misspelt one."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None,
        experiment: str | None,
        steps: Mapping[str, Step[..., Any]],
    ) -> None:
        super().__init__(function, name=name, experiment=experiment)
        self._steps = steps

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        known = self.signature.parameters
        if not args and kwargs.keys() <= known.keys():
            for one in known.values():
                if one.default is one.empty and one.name not in kwargs:
                    takers = [key for key, step in self._steps.items() if one.name in step.signature.parameters]
                    raise WrongType(
                        f"pipeline '{self.name}' has no '{one.name}', which {', '.join(takers)} needs",
                        why=f"no function is called so and it was not given; {did_you_mean(one.name, self._steps)}",
                        fix=f"{self.name}({one.name}=…), or a function `def {one.name}(…)`",
                    )
        return super().bind(args, kwargs)


def _steps(functions: Iterable[Any] | ModuleType) -> dict[str, Step[..., Any]]:
    given: Iterable[Any] = _own_functions(functions) if isinstance(functions, ModuleType) else functions
    steps: dict[str, Step[..., Any]] = {}
    for one in given:
        made: Step[..., Any] = one if isinstance(one, Step) else Step(one)
        key = made.__name__
        if key in steps:
            raise InvalidInput(
                f"two functions are called '{key}'",
                why=f"{_place(steps[key])} and {_place(made)}: a name stands for one value",
                fix="rename one of them",
            )
        for parameter in made.signature.parameters.values():
            if parameter.kind not in _BY_NAME:
                raise InvalidInput(
                    f"'{key}' cannot be wired by name",
                    why=f"its parameter {parameter} takes arguments without names, or any",
                    fix="give it named parameters",
                )
        steps[key] = made
    if not steps:
        raise InvalidInput("there are no functions to make a pipeline of", fix="pipeline_from([load, clean, train])")
    return steps


def _own_functions(module: ModuleType) -> list[Any]:
    return [
        one
        for key, one in vars(module).items()
        if not key.startswith("_")
        and (inspect.isfunction(one) or isinstance(one, Step))
        and one.__module__ == module.__name__
    ]


def _in_order(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names so that each comes after what it needs."""
    order: dict[str, None] = {}
    for start in needs:
        path: list[str] = []
        waiting = [(start, False)]
        while waiting:
            key, done = waiting.pop()
            if done:
                path.pop()
                order[key] = None
            elif key in path:
                circle = " → ".join([*path[path.index(key) :], key])
                raise InvalidInput(
                    "the functions need each other in a circle",
                    why=f"{circle} (each arrow reads `needs`)",
                    fix="rename a parameter, or split one of the functions",
                )
            elif key not in order:
                path.append(key)
                waiting.append((key, True))
                waiting.extend((one, False) for one in reversed(needs[key]) if one not in order)
    return list(order)


def _wanted(
    outputs: str | Sequence[str] | None, steps: Mapping[str, Any], needs: Mapping[str, Sequence[str]]
) -> list[str]:
    if outputs is None:
        taken = {one for ones in needs.values() for one in ones}
        return [key for key in steps if key not in taken]
    wanted = [outputs] if isinstance(outputs, str) else list(outputs)
    for key in wanted:
        if key not in steps:
            raise InvalidInput(f"no function makes the output '{key}'", why=did_you_mean(key, steps))
    if not wanted:
        raise InvalidInput("the pipeline has no outputs", fix="leave outputs= away, or name one")
    return wanted


def _ancestors(wanted: Sequence[str], needs: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting.extend(needs[key])
    return found


def _check_edges(kept: Sequence[Step[..., Any]], steps: Mapping[str, Step[..., Any]]) -> None:
    for step in kept:
        for parameter, hint in step.edges.hints.items():
            source = steps.get(parameter)
            problem = clash(source.edges.returns, hint) if source is not None else ""
            if problem:
                raise WrongType(
                    f"'{step.__name__}' cannot take what '{parameter}' returns as its argument '{parameter}'",
                    why=problem,
                    fix=f"change the annotation of {parameter} or of {step.__name__}",
                )


def _inputs(kept: Sequence[Step[..., Any]], steps: Mapping[str, Any]) -> list[inspect.Parameter]:
    """Return the parameters that no function makes: those without a default first."""
    found: dict[str, inspect.Parameter] = {}
    for step in kept:
        for key, parameter in step.signature.parameters.items():
            if key in steps:
                continue
            hint = step.edges.hints.get(key, inspect.Parameter.empty)
            one = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hint)
            before = found.get(key)
            if before is not None and inspect.Parameter.empty not in (one.default, before.default):
                if type(one.default) is not type(before.default) or one.default != before.default:
                    raise InvalidInput(
                        f"the input '{key}' has two defaults",
                        why=f"{before.default!r} and, in '{step.__name__}', {one.default!r}",
                        fix="give it one default, or none",
                    )
            elif before is None or one.default is one.empty:
                found[key] = one
    return sorted(found.values(), key=lambda one: one.default is not one.empty)


def _place(step: Step[..., Any]) -> str:
    code = step.__wrapped__.__code__
    return f"{step.__module__} line {code.co_firstlineno}"
