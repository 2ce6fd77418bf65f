"""A step that returns a dataclass or a NamedTuple has several outputs, each stored and known by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.lazy import Lazy
from interlock.pipelines.outputs import Outputs, outputs_of
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import step
from interlock.ports.run_store import RunFilter
from interlock.ports.stores import Stores


class Parts(NamedTuple):
    train: pa.Table
    test: pa.Table


@dataclass(frozen=True)
class Model:
    weights: list[float]
    note: str = ""
    made: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.weights)


@step
def split(rows: int, test_rows: int) -> Parts:
    return Parts(pa.table({"x": list(range(rows))}), pa.table({"x": list(range(test_rows))}))


@step
def fit(train: pa.Table, note: str = "") -> Model:
    return Model([1.0] * train.num_rows, note)


@step
def mean(weights: list[float]) -> float:
    return sum(weights) / len(weights)


@step
def rows(table: pa.Table) -> int:
    return int(table.num_rows)


@step
def describe(model: Model) -> str:
    return f"{model.size} {model.note}"


@pipeline
def flow(train_rows: int, test_rows: int, note: str = "") -> Any:
    parts = split(train_rows, test_rows)
    train, test = parts
    model = fit(parts.train, note)
    return mean(model.weights), rows(test), describe(model), rows(train)


def test_the_value_is_that_of_the_plain_call(pipelines: Pipelines) -> None:
    assert pipelines.run(flow, 4, 2).value == flow(4, 2) == (1.0, 2, "4 ", 4)


def test_a_change_in_one_field_alone_re_runs_only_its_readers(pipelines: Pipelines) -> None:
    pipelines.run(flow, 4, 2)
    run = pipelines.run(flow, 4, 3)
    assert [outcome.step for outcome in run.steps if not outcome.reused] == ["split", "rows"]
    run = pipelines.run(flow, 4, 3, note="new")
    assert [outcome.step for outcome in run.steps if not outcome.reused] == ["fit", "describe"]
    assert pipelines.run(flow, 4, 3, note="new").reused == 6


def test_fields_are_artifacts_of_their_own_and_lineage_goes_through_them(pipelines: Pipelines, stores: Stores) -> None:
    run = pipelines.run(flow, 4, 2)
    by_step = {outcome.step: outcome.run_id for outcome in run.steps}
    entries = {entry.path: entry for entry in stores.runs.artifacts(by_step["split"])}
    assert {"output/train.arrow", "output/test.arrow"} <= set(entries)
    train = entries["output/train.arrow"].digest.removeprefix("b3:")
    used = stores.journal.walk(f"artifact:{train}", direction="forward", depth=1)
    assert f"run:{by_step['fit']}" in {edge.target for edge in used}


def test_reading_a_field_does_not_wait() -> None:
    class Node:
        step = split

    def fail(*_: Any) -> Any:
        raise AssertionError("waited")

    whole = Lazy(fail, Node, part=lambda name: name.upper())
    assert type(whole.train) is Lazy
    first, second = whole
    assert (first.value, second.value, whole.train._field) == ("TRAIN", "TEST", "train")
    with pytest.raises(AssertionError, match="waited"):
        whole.count(1)


def test_other_attributes_are_those_of_the_value(pipelines: Pipelines) -> None:
    @pipeline
    def sized() -> Any:
        model = fit(split(3, 1).train)
        assert isinstance(model.value, Model)
        return model.size, model.weights[0]

    assert pipelines.run(sized).value == (3, 1.0) == sized()


def test_a_value_that_is_more_than_its_fields_is_kept_whole(pipelines: Pipelines, stores: Stores) -> None:
    run = pipelines.run(with_extra)
    assert run.value == ("b", 1)
    assert pipelines.run(with_extra).value == ("b", 1)
    steps = stores.runs.runs(where=RunFilter(kind="step"))
    made = next(one for one in steps if one.name == "make_extra")
    assert [entry.path for entry in stores.runs.artifacts(made.id)] == ["output.pickle"]


@dataclass
class Loose:
    a: str
    b: int


class More(Loose):
    """A subclass; what a step returns may be one."""


@step
def make_extra() -> Loose:
    return More("b", 1)


@step
def same(a: str) -> str:
    return a


@pipeline
def with_extra() -> Any:
    made = make_extra()
    return same(made.a), made.b


def test_a_field_that_cannot_be_stored_is_named(pipelines: Pipelines) -> None:
    @step
    def broken() -> Loose:
        return Loose("a", (n for n in range(3)))  # type: ignore[arg-type]

    broken.edges._fields.clear()
    with pytest.raises(RuntimeError) as failure:
        pipelines.run(lambda: broken().a)
    assert "field 'b'" in str(failure.value)


def test_a_pipeline_may_return_a_dataclass_of_lazy_values(pipelines: Pipelines) -> None:
    @pipeline
    def together() -> Any:
        parts = split(3, 2)
        return Model(weights=mean([1.0, 2.0]), note=rows(parts.test)), Parts(parts.train, parts.test)  # type: ignore[arg-type]

    model, parts = pipelines.run(together).value
    assert (model.weights, model.note, parts.test.num_rows) == (1.5, 2, 2)


def test_what_counts_as_several_outputs() -> None:
    found = outputs_of(Parts, step="s")
    assert found == Outputs(Parts, ("train", "test"), unpacks=True)
    model = Model([1.0], "n")
    outputs = outputs_of(Model, step="s")
    assert outputs is not None
    assert outputs.join(outputs.split(model) or {}) == model
    for hint in (int, list[int], dict, Any, None, tuple[int, int]):
        assert outputs_of(hint, step="s") is None

    @dataclass
    class Nothing:
        pass

    assert outputs_of(Nothing, step="s") is None

    class Named(NamedTuple):
        value: int

    with pytest.raises(InvalidInput, match="step 's' returns a Named whose field 'value'"):
        outputs_of(Named, step="s")
