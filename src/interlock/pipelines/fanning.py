"""Turn one call over lists into one call for each of their items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from interlock.core.errors import WrongType
from interlock.pipelines.edges import is_surely_no_list
from interlock.pipelines.lazy import Lazy


def fan_out(
    step: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, noun: str = "step"
) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Yield the arguments of each call; what is no list goes to every one.

    Args:
        step: The name of what is called, for errors.
        args: The arguments of the one call.
        kwargs: Those given by name.
        noun: What it is called in errors.

    Raises:
        WrongType: There is no list among the arguments, or two of different length.
    """
    given: dict[Any, Any] = {place: _opened(value) for place, value in [*enumerate(args), *kwargs.items()]}
    lengths = {place: len(value) for place, value in given.items() if isinstance(value, (list, range))}
    if not lengths:
        raise WrongType(
            f"{noun} '{step}' has nothing to map over",
            why="none of the arguments is a list",
            fix=f"{step}(…) for one call, or [{step}(x) for x in …] over anything else",
        )
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{_place(place)} has {length}" for place, length in lengths.items())
        raise WrongType(
            f"{noun} '{step}' cannot be mapped over lists of different length",
            why=shown,
            fix=f"[{step}(a, b) for a in … for b in …] for every combination",
        )
    for index in range(next(iter(lengths.values()))):
        one = {place: value[index] if place in lengths else value for place, value in given.items()}
        yield [one[place] for place in range(len(args))], {name: one[name] for name in kwargs}


def _opened(value: Any) -> Any:
    """Wait for a lazy value that may be a list; return any other as it is."""
    if type(value) is not Lazy or is_surely_no_list(value):
        return value
    held = value.value
    return held if isinstance(held, (list, range)) else value


def _place(place: Any) -> str:
    return f"argument {place + 1}" if isinstance(place, int) else f"'{place}'"
