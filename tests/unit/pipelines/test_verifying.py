"""Reused results are made again, compared, and put in doubt where they differ."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.pipelines.verifying import first_difference, sample
from interlock.ports.step_cache import GraphNode

STATE = {"calls": 0}


@step
def steady(x: int) -> int:
    return x + 1


@step
def unsteady(x: int) -> dict[str, Any]:
    return {"kept": x, "scores": [0.5, vars(np)["interlock_test_calls"]]}  # state that no look at the code can see


@pipeline
def mixed() -> Any:
    return [steady(1), unsteady(2)]


def test_a_result_that_differs_is_named_and_reused_no_more(
    pipelines: Pipelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "interlock_test_calls", 1, raising=False)
    pipelines.run(mixed)
    hit = pipelines.run(mixed)
    assert hit.reused == 2
    assert [one.same for one in pipelines.verify(hit.run.id, mixed, share=1.0)] == [True, True]
    assert pipelines.run(mixed).reused == 2
    monkeypatch.setattr(np, "interlock_test_calls", 2)
    good, bad = pipelines.verify(hit.run.id, mixed, share=1.0)
    assert (good.step, good.same, good.difference) == ("steady", True, "")
    assert (bad.step, bad.same, bad.difference) == ("unsteady", False, "['scores'][1]: 1 → 2")
    for _ in range(2):
        again = pipelines.run(mixed)
        assert [one.reused for one in again.steps] == [True, False]
        assert "verify: made again it differed at ['scores'][1]: 1 → 2" in again.steps[1].reason
    pipelines.verify(hit.run.id, mixed, share=1.0)  # once in doubt, it stays so


@pytest.mark.parametrize("share", [0, -1, 1.5])
def test_a_share_that_makes_no_sense(pipelines: Pipelines, share: float) -> None:
    with pytest.raises(InvalidInput, match="share="):
        pipelines.verify("x", share=share)


def test_a_share_is_about_that_much_and_the_same_within_a_run() -> None:
    nodes = [GraphNode(node=n, step="s", status="reused", key="k", output="o") for n in range(1000)]
    chosen = [node.node for node in sample(nodes, "R1", 0.1)]
    assert 60 < len(chosen) < 140
    assert chosen == [node.node for node in sample(nodes, "R1", 0.1)]
    assert chosen != [node.node for node in sample(nodes, "R2", 0.1)]
    assert list(sample([GraphNode(node=0, step="s", status="failed")], "R1", 1.0)) == []


@dataclasses.dataclass
class Score:
    name: str
    value: float


class Pair(msgspec.Struct):
    one: int
    two: int


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (1, 1, ""),
        (1, 2, "the value: 1 → 2"),
        (1, 1.0, "the value: int → float"),
        ([1, 2], [1], " length: 2 → 1"),
        ((1, [2, 3]), (1, [2, 4]), "[1][1]: 3 → 4"),
        ({"a": 1}, {"b": 1}, "['a']: int → NoneType"),
        (Score("a", 0.5), Score("a", 0.7), ".value: 0.5 → 0.7"),
        (Pair(1, 2), Pair(1, 3), ".two: 2 → 3"),
        (np.array([[1, 2]]), np.array([[1, 3]]), "[0, 1]: <int64> → <int64>"),
        (np.zeros(2), np.zeros(3), "the value: array float64 2 → array float64 3"),
        (pa.table({"a": [1, 2]}), pa.table({"a": [1, 3]}), " column a[1]: 2 → 3"),
        (pa.table({"a": [1]}), pa.table({"a": [1, 2]}), " rows: 1 → 2"),
        (pa.table({"a": [1]}), pa.table({"b": [1]}), " schema: 'a: int64' → 'b: int64'"),
    ],
)
def test_the_first_difference(old: Any, new: Any, where: str) -> None:
    assert first_difference(old, new) == where


def test_columns_too_long_to_show() -> None:
    long = pa.table({"a": np.arange(200_000)})
    other = pa.table({"a": np.arange(200_000)[::-1]})
    assert first_difference(long, other).startswith(" column a: ")
