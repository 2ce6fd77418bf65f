"""A step is still its function."""

from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.pipelines.options import make_options
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


def _generator() -> Iterator[int]:
    yield 1


async def _both() -> AsyncIterator[int]:
    yield 1


class _Holder:
    def method(self, x: int) -> int:
        return x

    @staticmethod
    def free(x: int) -> int:
        return x


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (3, "not a int"),
        (int, "not a type"),
        (len, "not a builtin_function_or_method"),
        (double, "not a Step"),
        (functools.partial(max, 1), "not a partial"),
        (_Holder().method, "not a method"),
        (_Holder.method, "it is a method of _Holder"),
        (_coroutine, "not a coroutine"),
        (_both, "not a coroutine"),
        (_generator, "a generator gives its values one by one"),
        (lambda x: x, "a lambda has no name"),
    ],
)
def test_only_plain_functions_can_be_steps(wrong: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a step") as refusal:
        step(wrong)
    assert why in refusal.value.why
    assert refusal.value.fix


def test_a_function_of_a_class_that_needs_no_object_can_be_one() -> None:
    assert step(_Holder.free)(3) == 3


def test_a_function_without_decorator_travels_as_a_step_by_its_own_name() -> None:
    made = Step(_Holder.free, name="other", config=make_options({"retries": 2}))
    again = pickle.loads(pickle.dumps(made))
    assert (again.__wrapped__, again.name, again.config) == (_Holder.free, "other", made.config)


@pytest.mark.parametrize("options", [{"retries": -1}, {"name": "two words"}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="makes no sense|cannot name a step"):
        step(**options)(double.__wrapped__)
