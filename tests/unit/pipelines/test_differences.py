"""What two runs of a pipeline differ in, and why a step ran in one of them."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.errors import NotFound, StepFailed
from interlock.pipelines.differences import Difference
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.ports.stores import Stores
from tests.unit.pipelines.conftest import ModuleMaker


@step
def load(rows: int) -> list[int]:
    return list(range(rows))


@step
def train(table: list[int], *, alpha: float) -> float:
    return len(table) * alpha / max(alpha, 0)


@step
def report(scores: list[float]) -> str:
    return f"{len(scores)} models"


@pipeline
def nightly(rows: int, alphas: list[float], with_report: bool = True) -> Any:
    table = load(rows)
    scores = [train(table, alpha=alpha) for alpha in alphas]
    return report(scores) if with_report else scores


def said(found: list[Difference]) -> list[tuple[str, str, str]]:
    return [(one.step, one.what, one.why) for one in found]


def test_what_differs_is_said_call_by_call(pipelines: Pipelines) -> None:
    one = pipelines.run(nightly, 3, [0.5, 2.0]).run.id
    two = pipelines.run(nightly, 3, [2.0, 1.0, 4.0]).run.id
    assert said(pipelines.diff(f"run:{one}", f"run:{two}")) == [
        ("train", "changed", "input `alpha` 0.5 → 1.0"),
        ("train", "added", "re-ran: input `alpha` 2.0 → 4.0"),
        ("report", "changed", "input `scores` changed"),
    ]
    assert pipelines.diff(one, one) == []
    three = pipelines.run(nightly, 3, [0.5, 2.0], with_report=False).run.id
    assert said(pipelines.diff(one, three)) == [("report", "removed", "the second run did not call it")]


def test_an_edited_helper_is_named(pipelines: Pipelines, module: ModuleMaker) -> None:
    source = """
    from interlock.pipelines.steps import step
    RATE = 2
    @step
    def clean(x):
        return x * RATE
    def flow(x):
        return clean(x)
    """
    one = pipelines.run(module("edited", source).flow, 1).run.id
    two = pipelines.run(module("edited", source.replace("RATE = 2", "RATE = 3")).flow, 1).run.id
    assert said(pipelines.diff(one, two)) == [("clean", "changed", "constant `edited.RATE` 2 → 3")]


def test_other_outcomes_of_the_same_call(pipelines: Pipelines, stores: Stores) -> None:
    with pytest.raises(StepFailed):
        pipelines.run(nightly, 1, [0.0])
    failed = stores.runs.runs()[-1].id
    good = pipelines.run(nightly, 1, [1.0]).run.id
    differing = pipelines.diff(failed, good)
    assert [(one.step, one.what) for one in differing] == [("train", "changed"), ("report", "changed")]
    with pytest.raises(NotFound):
        pipelines.diff(good, "unknown")


_state = {"number": 0}


@step(cache=False)
def count() -> int:
    globals()["_state"]["number"] += 1
    return int(globals()["_state"]["number"])


@pipeline
def counting() -> Any:
    return count()


def test_another_output_of_the_same_call(pipelines: Pipelines) -> None:
    one, two = pipelines.run(counting).run.id, pipelines.run(counting).run.id
    assert said(pipelines.diff(one, two)) == [("count", "output", "the same code and inputs gave another output")]


def test_why_of_one_run(pipelines: Pipelines) -> None:
    one = pipelines.run(nightly, 3, [0.5]).run.id
    pipelines.run(nightly, 3, [0.5])
    assert pipelines.why("train", f"run:{one}") == "first run"
    assert pipelines.why("train").startswith("reused")
    with pytest.raises(NotFound, match=f"run:{one} has not run a step 'trian'") as missing:
        pipelines.why("trian", one)
    assert "did you mean 'train'" in missing.value.why
