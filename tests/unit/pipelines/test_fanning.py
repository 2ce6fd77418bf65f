"""A step called over lists is called for each of their items."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from interlock.core.errors import WrongType
from interlock.pipelines.fanning import fan_out
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.lazy import Lazy
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step


@step
def load(rows: int) -> pa.Table:
    return pa.table({"x": list(range(rows))})


@step
def train(table: pa.Table, alpha: float, *, depth: int = 1) -> float:
    return table.num_rows * alpha + depth


@step
def grid(most: int) -> list[float]:
    return [float(n) for n in range(most)]


@step
def choose(scores: list[float]) -> float:
    return max(scores)


@pipeline
def tuned(rows: int, most: int) -> Any:
    return choose(train.map(load(rows), grid(most)))


def test_lists_fan_out_and_everything_else_goes_to_every_call(pipelines: Pipelines) -> None:
    run = pipelines.run(tuned, 3, 4)
    assert run.value == tuned(3, 4) == 10.0
    assert [outcome.step for outcome in run.steps] == ["load", "grid", *["train"] * 4, "choose"]
    assert pipelines.run(tuned, 3, 4).reused == 7


def test_by_name_and_in_parallel() -> None:
    table = pa.table({"x": [1, 2]})
    assert train.map(table, [1.0, 2.0], depth=[0, 10]) == [2.0, 14.0]
    assert train.map(table, alpha=[1.0, 2.0]) == [3.0, 5.0]
    assert train.map(table, alpha=range(2), depth=5) == [5, 7]
    assert train.map(table, []) == []


@pytest.mark.parametrize(
    ("arguments", "keywords", "why"),
    [
        ((1, "text", (1, 2)), {}, "none of the arguments is a list"),
        (([1, 2], [1]), {}, "argument 1 has 2, argument 2 has 1"),
        (([1, 2],), {"depth": [1, 2, 3]}, "argument 1 has 2, 'depth' has 3"),
    ],
)
def test_what_cannot_be_mapped(arguments: Any, keywords: Any, why: str) -> None:
    with pytest.raises(WrongType, match="step 'train'") as refusal:
        list(fan_out("train", arguments, keywords))
    assert refusal.value.why == why


def test_only_what_may_be_a_list_is_waited_for() -> None:
    class Node:
        step = load

    def fail() -> Any:
        raise AssertionError("waited")

    [(one, _), _] = fan_out("train", [Lazy(fail, Node), [1, 2]], {})
    assert type(one[0]) is Lazy
    [(one, _), _] = fan_out("train", [Lazy(lambda: 3), Lazy(lambda: [1, 2])], {})
    assert (type(one[0]), one[1]) == (Lazy, 1)
