"""Without a workspace a pipeline is a function."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.errors import InvalidInput, WrongType
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step


@step
def square(x: int) -> int:
    return x * x


@step
def total(numbers: list[int]) -> int:
    assert all(type(number) is int for number in numbers), "a step sees values, not lazy ones"
    return sum(numbers)


@pipeline
def squares(numbers: list[int], extra: int = 0) -> int:
    results = [square(number) for number in numbers]
    if results and results[0].value > 100:  # type: ignore[attr-defined]
        return -1
    return total([*results, extra])


@pipeline(name="outer", experiment="exp")
def twice(numbers: list[int]) -> Any:
    return {"one": squares(numbers), "two": [square(squares(numbers))]}


def test_it_runs_plainly_and_returns_values() -> None:
    assert squares([1, 2, 3]) == 14
    assert squares([1], extra=1) == 2
    assert squares([11]) == -1
    assert type(squares([1])) is int


def test_pipelines_nest() -> None:
    assert twice([1, 2]) == {"one": 5, "two": [25]}


def test_a_step_may_call_steps_and_pipelines_as_functions() -> None:
    @step
    def deep() -> int:
        assert square(2) == 4
        return squares([1, 2])

    @pipeline
    def outer() -> int:
        return deep()

    assert outer() == 5


def test_exceptions_pass_through_and_leave_no_session_behind() -> None:
    @pipeline
    def fails() -> int:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fails()
    assert square(3) == 9


def test_a_pipeline_inside_a_pipeline_is_a_group_of_its_own(pipelines: Pipelines) -> None:
    run = pipelines.run(twice, [1, 2])
    assert [outcome.path for outcome in run.steps] == [
        "squares/square",
        "squares/square",
        "squares/total",
        "squares#2/square",
        "squares#2/square",
        "squares#2/total",
        "square",
    ]
    assert run.value == twice([1, 2])

    @pipeline
    def outermost() -> Any:
        return [twice([1]), square(3)]

    paths = [outcome.path for outcome in pipelines.run(outermost).steps]
    assert paths == [
        "outer/squares/square",
        "outer/squares/total",
        "outer/squares#2/square",
        "outer/squares#2/total",
        "outer/square",
        "square",
    ]


def test_a_pipeline_is_mapped_like_a_step(pipelines: Pipelines) -> None:
    every = pipeline(name="every")(lambda: alone.map([1, 2], by=[10, 20]))
    run = pipelines.run(every)
    assert run.value == every() == [11, 24]
    assert [outcome.path for outcome in run.steps] == ["alone/square", "alone#2/square"]
    with pytest.raises(WrongType, match="pipeline 'alone' has nothing to map over"):
        alone.map(1, by=1)


@pipeline
def alone(x: int, by: int) -> int:
    return square(x) + by


def test_names() -> None:
    assert (squares.name, squares.experiment) == ("squares", "squares")
    assert (twice.name, twice.experiment) == ("outer", "exp")
    assert "squares" in repr(squares)


async def _coroutine() -> None: ...


@pytest.mark.parametrize("wrong", [3, int, squares, _coroutine])
def test_only_plain_functions_can_be_pipelines(wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        pipeline(wrong)
