"""Plain functions become a pipeline by their names."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.errors import InvalidInput, WrongType
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.pipelines.wiring import pipeline_from
from tests.unit.pipelines.conftest import ModuleMaker


def raw(rows: int) -> list[int]:
    return list(range(rows))


def clean(raw: list[int], least: int = 1) -> list[int]:
    return [x for x in raw if x >= least]


@step(retries=1)
def total(clean: list[int]) -> int:
    return sum(clean)


def report(total: int, clean: list[int], *, title: str = "sum") -> str:
    return f"{title} {total} of {len(clean)}"


def test_names_are_edges(pipelines: Pipelines) -> None:
    flow = pipeline_from([report, total, clean, raw])
    assert flow(rows=4) == pipelines.run(flow, rows=4).value == "sum 6 of 3"
    assert flow(rows=4, title="all", least=2) == "all 5 of 2"
    run = pipelines.run(flow, rows=4, title="new")
    assert [(outcome.step, outcome.reused) for outcome in run.steps] == [
        ("raw", True),
        ("clean", True),
        ("total", True),
        ("report", False),
    ]
    assert (flow.name, str(flow.signature)) == ("report", "(*, rows: int, least: int = 1, title: str = 'sum')")


def test_outputs_are_chosen_and_only_what_they_need_runs(pipelines: Pipelines) -> None:
    run = pipelines.run(pipeline_from([report, total, clean, raw], outputs="clean"), rows=3)
    assert (run.value, len(run.steps)) == ([1, 2], 2)
    both = pipeline_from([report, total, clean, raw], outputs=["total", "raw"], name="both")
    assert (both(rows=3), both.name) == ({"total": 3, "raw": [0, 1, 2]}, "both")


def test_everything_that_nobody_takes_is_an_output() -> None:
    assert pipeline_from([raw, total, clean, double])(rows=3) == {"total": 3, "double": [0, 1, 2, 0, 1, 2]}


def double(raw: list[int]) -> list[int]:
    return raw * 2


def test_a_modules_own_public_functions(module: ModuleMaker) -> None:
    flow = module(
        "flights",
        """
        from os.path import join
        def _hidden(): raise AssertionError
        def seats(planes): return planes * 100
        def full(seats, share=0.5): return seats * share
        """,
    )
    made = pipeline_from(flow)
    assert (made.name, made(planes=2)) == ("flights", 100.0)


def test_steps_made_so_run_in_other_processes() -> None:
    import pickle

    made = pipeline_from([raw, clean])
    again = pickle.loads(pickle.dumps(made._steps["clean"]))  # type: ignore[attr-defined]
    assert again([0, 1, 2]) == [1, 2]


def test_a_circle_is_named() -> None:
    def a(c: int) -> int:
        return c

    def b(a: int) -> int:
        return a

    def c(b: int) -> int:
        return b

    with pytest.raises(InvalidInput, match="in a circle") as refusal:
        pipeline_from([a, b, c])
    assert "a → c → b → a" in refusal.value.why
    with pytest.raises(InvalidInput, match="in a circle"):
        pipeline_from([own])


def own(own: int) -> int:
    return own


def test_two_functions_of_one_name() -> None:
    def clean(rows: int) -> int:
        return rows

    with pytest.raises(InvalidInput, match="two functions are called 'clean'") as refusal:
        pipeline_from([raw, globals()["clean"], clean])
    assert refusal.value.why.count("test_wiring line ") == 2


def test_missing_and_misspelt_arguments_are_told_apart() -> None:
    def sums(cleen: list[int], **_: Any) -> int:
        return sum(cleen)

    with pytest.raises(InvalidInput, match="cannot be wired by name"):
        pipeline_from([raw, sums])

    def summed(cleen: list[int]) -> int:
        return sum(cleen)

    flow = pipeline_from([raw, clean, summed], outputs="summed")
    with pytest.raises(WrongType, match="has no 'cleen', which summed needs") as refusal:
        flow()
    assert "did you mean 'clean'" in refusal.value.why
    with pytest.raises(WrongType, match="pipeline 'summed' cannot be called so") as unknown:
        flow(cleen=[1], leest=1)
    assert "no argument 'leest'" in unknown.value.why
    with pytest.raises(InvalidInput, match="no function makes the output 'totl'") as wrong:
        pipeline_from([raw, clean, total], outputs="totl")
    assert "did you mean 'total'" in wrong.value.why


@pytest.mark.parametrize("given", [[], [3]])
def test_nothing_to_wire(given: list[Any]) -> None:
    with pytest.raises(InvalidInput):
        pipeline_from(given)
    with pytest.raises(InvalidInput, match="no outputs"):
        pipeline_from([raw], outputs=[])


def test_types_that_do_not_fit_are_refused_at_once() -> None:
    def wrong(raw: dict[str, int]) -> int:
        return len(raw)

    with pytest.raises(WrongType, match="'wrong' cannot take what 'raw' returns") as refusal:
        pipeline_from([raw, wrong])
    assert refusal.value.why == "expected dict[str, int], got list[int]"


def test_defaults_have_to_agree() -> None:
    def left(alpha: int = 1) -> int:
        return alpha

    def right(alpha: int = 2) -> int:
        return alpha

    def bare(alpha: int) -> int:
        return alpha

    with pytest.raises(InvalidInput, match="input 'alpha' has two defaults"):
        pipeline_from([left, right])
    assert str(pipeline_from([left, bare]).signature) == "(*, alpha: int)"
