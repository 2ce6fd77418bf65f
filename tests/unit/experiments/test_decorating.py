"""A decorated function stays what it is, and each of its calls is a run."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from interlock.experiments.open_runs import current_run
from interlock.experiments.tracking import Experiments
from interlock.ports.stores import Stores


def test_a_function_keeps_its_name_and_its_answer(experiments: Experiments, stores: Stores) -> None:
    @experiments.run("delay", name="given")
    def train(depth: int) -> int:
        """Train."""
        return depth + 1

    assert (train.__name__, train.__doc__, train(2), train(depth=3)) == ("train", "Train.", 3, 4)
    assert [(run.name, run.params) for run in stores.runs.runs()] == [("given", {"depth": 3}), ("given", {"depth": 2})]


def test_a_failure_is_the_callers_and_the_runs(experiments: Experiments, stores: Stores) -> None:
    @experiments.run("delay")
    def train() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        train()
    [run] = stores.runs.runs()
    assert run.status == "failed"


def test_the_run_is_given_to_whoever_asks_for_it(experiments: Experiments, stores: Stores) -> None:
    @experiments.run("delay")
    def asks(run: Any = None) -> Any:
        return run

    @experiments.run("delay")
    def looks() -> Any:
        return current_run()

    assert asks().id == stores.runs.runs()[0].id
    assert asks("given") == "given"
    assert asks(run=None) is None
    assert looks().id == stores.runs.runs()[0].id
    assert current_run() is None


def test_calls_inside_calls_are_children(experiments: Experiments, stores: Stores) -> None:
    @experiments.run("delay")
    def inner() -> None: ...

    @experiments.run("delay")
    def outer() -> None:
        inner()

    outer()
    runs = {run.name: run for run in stores.runs.runs()}
    assert runs["inner"].parent == runs["outer"].id


def test_coroutines_and_generators_stay_so(experiments: Experiments, stores: Stores) -> None:
    @experiments.run("delay")
    async def waits(x: int) -> int:
        await asyncio.sleep(0)
        return x

    @experiments.run("delay")
    def yields(x: int) -> Iterator[int]:
        yield x
        yield x + 1

    assert inspect.iscoroutinefunction(waits)
    assert inspect.isgeneratorfunction(yields)
    assert asyncio.run(waits(3)) == 3
    assert list(yields(3)) == [3, 4]
    assert {run.name: run.status for run in stores.runs.runs()} == {"waits": "finished", "yields": "finished"}
