"""Annotations are checked between steps while the graph is built, and on values while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput, SchemaMismatch, StepFailed, WrongType
from interlock.data.rules import in_range, not_null
from interlock.pipelines.graphs import pipeline
from interlock.pipelines.runner import Pipelines
from interlock.pipelines.steps import Step, step
from interlock.ports.run_store import RunFilter
from interlock.ports.stores import Stores

PEOPLE = pa.schema([pa.field("id", pa.int64(), nullable=False), ("name", pa.string())])
AGES = pa.schema([("id", pa.int64()), ("age", pa.float64())])


@dataclass
class Split:
    train: list[int]
    test: Annotated[pa.Table, not_null("x")]


def few(table: pa.Table) -> str:
    return "" if table.num_rows < 5 else f"{table.num_rows} rows are too many"


@step
def number(x: int) -> int:
    return x


@step
def framed(frame: pd.DataFrame) -> int:
    return len(frame)


@step
def total(numbers: list[float]) -> float:
    return sum(numbers)


@step
def named(by_name: dict[str, str]) -> int:
    return len(by_name)


@step
def unannotated(x, y=1):  # type: ignore[no-untyped-def]
    return x


@step
def people(rows: int) -> Annotated[pa.Table, PEOPLE]:
    return pa.table({"id": list(range(rows)), "name": ["n"] * rows, "more": [1.5] * rows})


@step
def read_people(table: Annotated[pa.Table, PEOPLE]) -> int:
    return int(table.num_rows)


@step
def read_ages(table: Annotated[pa.Table, AGES]) -> int:
    return int(table.num_rows)


def test_types_that_cannot_meet_are_refused_before_anything_runs(pipelines: Pipelines, stores: Stores) -> None:
    @pipeline
    def mistaken() -> Any:
        return framed(number(1))  # type: ignore[arg-type]

    with pytest.raises(WrongType) as refusal:
        pipelines.run(mistaken)
    assert refusal.value.what == "step 'framed' cannot take the output of step 'number' as its argument 'frame'"
    assert refusal.value.why == "expected pandas.DataFrame, got int"
    assert isinstance(refusal.value, TypeError) and isinstance(refusal.value, InvalidInput)
    assert [run.name for run in stores.runs.runs(where=RunFilter(kind="step"))] in ([], ["number"])
    with pytest.raises(WrongType):
        mistaken()


def test_lazy_values_inside_containers_are_checked_one_by_one() -> None:
    @pipeline
    def fine() -> Any:
        return total([number(1), number(2), 3.5])

    @pipeline
    def mistaken() -> Any:
        return named({"a": "x", "b": number(1)})  # type: ignore[dict-item]

    @pipeline
    def not_a_list() -> Any:
        return total({"a": number(1)})  # type: ignore[arg-type]

    assert fine() == 6.5
    with pytest.raises(WrongType, match=r"argument 'by_name\['b'\]'"):
        mistaken()
    with pytest.raises(WrongType, match="step 'total' cannot take its argument 'numbers'"):
        not_a_list()


def test_arguments_are_checked_at_the_call() -> None:
    @pipeline
    def calling(given: Any) -> Any:
        return number(given)

    assert calling(np.int64(3)) == 3
    with pytest.raises(WrongType, match="step 'number' cannot take its argument 'x'") as refusal:
        calling("three")
    assert refusal.value.why == "expected int, got str 'three'"


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: number(), "missing a required argument: 'x'"),
        (lambda: number(1, 2), "too many positional arguments"),
        (lambda: number(xx=1), "it has no argument 'xx': did you mean 'x'?"),
        (lambda: unannotated(1, z=2), "it has no argument 'z': known: x, y"),
    ],
)
def test_calls_that_do_not_fit(call: Any, why: str) -> None:
    body = pipeline(name="calling")(lambda: call())
    with pytest.raises(WrongType, match="cannot be called so") as refusal:
        body()
    assert refusal.value.why == why
    assert refusal.value.fix in ("number(x: int)", "unannotated(x, y = 1)")


def test_a_pipelines_own_arguments_are_checked(pipelines: Pipelines, stores: Stores) -> None:
    @pipeline
    def typed(rows: int, *more: int, **named: str) -> Any:
        return number(rows)

    for arguments, keywords in ((("x",), {}), ((1, "x"), {}), ((1,), {"a": 1})):
        with pytest.raises(WrongType, match="pipeline 'typed'"):
            pipelines.run(typed, *arguments, **keywords)
    assert stores.runs.runs() == []
    assert pipelines.run(typed, 1, 2, a="b").value == 1


def test_an_output_that_is_not_what_was_announced(pipelines: Pipelines, stores: Stores) -> None:
    @step
    def promises() -> int:
        return "three"  # type: ignore[return-value]

    with pytest.raises(StepFailed, match="step 'promises' failed") as failure:
        pipelines.run(lambda: promises())
    assert "returned something else than it announces: expected int, got str 'three'" in failure.value.why
    [run] = stores.runs.runs(where=RunFilter(kind="step"))
    assert (run.status, stores.runs.artifacts(run.id)) == ("failed", [])


def test_a_field_that_is_not_what_was_announced() -> None:
    @step
    def splits(bad: str) -> Split:
        train: Any = (1,) if bad == "train" else [1]
        return Split(train, pa.table({"x": [1, None if bad == "test" else 2]}))

    body = pipeline(name="splitting")(lambda bad: splits(bad))
    assert body("").train == [1]
    with pytest.raises(WrongType, match="in field 'train'") as refusal:
        body("train")
    assert refusal.value.why == "expected list[int], got tuple"
    with pytest.raises(SchemaMismatch, match="in field 'test'") as broken:
        body("test")
    assert broken.value.why == "rule 'x not null' is broken in column 'x' by 1 rows, first 1: {'x': None}"


def test_schemas_are_checked_between_steps_and_on_values() -> None:
    assert pipeline(name="fine")(lambda: read_people(people(3)))() == 3
    with pytest.raises(SchemaMismatch, match="'read_ages' cannot take the output of step 'people'") as refusal:
        pipeline(name="clashing")(lambda: read_ages(people(3)))()
    assert refusal.value.why.startswith("column 'age' (double) is missing")

    @step
    def loose(column: str, values: list[Any]) -> pa.Table:
        return pa.table({"id": [1, 2], column: values})

    fed = pipeline(name="fed")(lambda column, values: read_ages(loose(column, values)))
    assert fed("age", [1.0, 2.0]) == 2
    with pytest.raises(SchemaMismatch, match="step 'read_ages' cannot take its argument 'table'") as wrong:
        fed("age", [1, 2])
    assert wrong.value.why == "column 'age': expected double, got int64"


def test_rules_on_an_edge_name_column_and_rows(pipelines: Pipelines) -> None:
    @step
    def raw(values: list[int]) -> pa.Table:
        return pa.table({"seats": values})

    @step
    def clean(table: Annotated[pa.Table, in_range("seats", 1, 9), few, "what seats there are"]) -> int:
        return int(table.num_rows)

    flow = pipeline(name="seats")(lambda values: clean(raw(values)))
    assert pipelines.run(flow, [1, 2]).value == 2
    with pytest.raises(StepFailed) as failure:
        pipelines.run(flow, [1, 20, 3, 0])
    assert "rule 'seats in range' is broken in column 'seats' by 2 rows, first 1, 3" in failure.value.why
    assert "{'seats': 20}; {'seats': 0}" in failure.value.why
    with pytest.raises(StepFailed, match="clean") as failure:
        pipelines.run(flow, [1, 2, 3, 4, 5])
    assert "rule 'few': 5 rows are too many" in failure.value.why


def test_a_changed_rule_is_part_of_the_key(pipelines: Pipelines) -> None:
    def make(most: int) -> Step[Any, Any]:
        def checked(x: Annotated[int, lambda value: value < most]) -> int:
            return x

        checked.__annotations__["x"] = Annotated[int, lambda value: value < most]
        return step(checked)

    for most, reused in ((5, 0), (5, 1), (9, 0)):
        one = make(most)
        assert pipelines.run(lambda one=one: one(3)).reused == reused


def test_mutable_defaults_are_new_at_each_call(pipelines: Pipelines) -> None:
    @step(cache=False)
    def grows(x: int, seen: list[int] = []) -> list[int]:  # noqa: B006
        seen.append(x)
        return seen

    flow = pipeline(name="growing")(lambda: [grows(1), grows(2)])
    assert pipelines.run(flow).value == [[1], [2]] == flow()


def test_a_field_called_value_cannot_be_read() -> None:
    @dataclass
    class Measured:
        value: float

    def measure():  # type: ignore[no-untyped-def]
        return Measured(1.0)

    measure.__annotations__["return"] = Measured
    measured = step(measure)
    with pytest.raises(InvalidInput, match="field 'value' cannot be read"):
        pipeline(name="measuring")(lambda: measured())()
