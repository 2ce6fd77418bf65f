"""A step is still its function."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.pipelines.steps import Step, step


@step
def double(x: int, *, times: int = 1) -> int:
    """Double it."""
    return x * 2**times


@step(name="other-name", retries=2, cache=False)
def plain(x: int) -> int:
    return x


def test_it_is_called_like_the_function() -> None:
    assert double(2) == 4
    assert double(2, times=2) == 8
    with pytest.raises(TypeError):
        double()  # type: ignore[call-arg]


def test_it_looks_like_the_function() -> None:
    assert double.__doc__ == "Double it."
    assert inspect.signature(double) == inspect.signature(double.__wrapped__)
    assert double.full_name == f"{__name__}.double"
    assert double.full_name in repr(double)


def test_exceptions_pass_through_unchanged() -> None:
    @step
    def fails() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fails()


def test_options() -> None:
    assert (double.name, double.retries, double.cache) == ("double", 0, True)
    assert (plain.name, plain.retries, plain.cache) == ("other-name", 2, False)
    assert plain(3) == 3


def test_it_travels_by_name() -> None:
    assert pickle.loads(pickle.dumps(double)) is double


async def _coroutine() -> None: ...


@pytest.mark.parametrize("wrong", [3, int, len, _coroutine, double])
def test_only_plain_functions_can_be_steps(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be a step"):
        step(wrong)


@pytest.mark.parametrize("options", [{"retries": -1}, {"name": "two words"}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    make: Callable[..., Step[Any, Any]] = step(**options)
    with pytest.raises(InvalidInput):
        make(lambda: None)
