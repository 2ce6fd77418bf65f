"""Python functions, classes and objects are registered and answer as they do in memory."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from interlock.core.errors import InvalidInput, Refused, StepFailed
from interlock.core.python_models import MODEL_FILE
from interlock.core.signing import SWITCH
from interlock.registry.flavors.python import takes_of
from interlock.serving.loading import gains_together
from interlock.workspace import Workspace, open_workspace

FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0], "c": ["a", "b", None]})
SHIFT = 10


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "w") as opened:
        yield opened


def answers(workspace: Workspace, model: Any, example: Any = FRAME) -> dict[str, Any]:
    """Register a model, load it as serving does, and ask it two rows."""
    version = workspace.registry.register("m", model, example=example)
    assert version.engine == "python"
    predictor = workspace.load_model(version.ref).predictor
    columns = {"double": [2.0, 4.0], "string": ["a", None], "long": [2, 4], "boolean": [True, False]}
    asked = [columns[column.type] for column in version.signature.inputs]
    return {name: values.tolist() for name, values in predictor.predict(asked, rows=2).items()}


def pandas_frame(rows: pd.DataFrame) -> Any:
    return rows["x"] + SHIFT


def arrow_table(rows: pa.Table) -> Any:
    return rows.select(["x"])


def matrix(rows: np.ndarray[Any, Any]) -> Any:
    return rows.sum(axis=1)


def columns(rows: dict[str, list[Any]]) -> Any:
    return {"twice": [2 * x for x in rows["x"]], "is_a": [c == "a" for c in rows["c"]]}


def records(rows: list[dict[str, Any]]) -> Any:
    return [int(row["x"]) for row in rows]


def one(row: dict[str, Any]) -> Any:
    return {"p": row["x"] / 2, "label": "late" if row["x"] > 2 else "on time"}


class Loaded:
    """Reads its weights where it is served."""

    def load(self) -> None:
        self.weight = 7

    def predict(self, rows: pd.DataFrame) -> Any:
        return rows[["x"]].to_numpy() * self.weight


class Static:
    @staticmethod
    def predict(rows: pd.DataFrame) -> Any:
        return rows["x"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (pandas_frame, {"prediction": [12.0, 14.0]}),
        (arrow_table, {"x": [2.0, 4.0]}),
        (columns, {"twice": [4.0, 8.0], "is_a": [True, False]}),
        (records, {"prediction": [2, 4]}),
        (one, {"p": [1.0, 2.0], "label": ["on time", "late"]}),
        (Loaded, {"prediction": [14.0, 28.0]}),
        (Loaded(), {"prediction": [14.0, 28.0]}),
        (Static, {"prediction": [2.0, 4.0]}),
        (lambda rows: rows["x"] > 2, {"prediction": [False, True]}),
        (functools.partial(lambda factor, rows: rows["x"] * factor, 3), {"prediction": [6.0, 12.0]}),
        (lambda rows: [[x, 2 * x] for x in rows["x"]], {"prediction_0": [2.0, 4.0], "prediction_1": [4.0, 8.0]}),
    ],
)
def test_every_form_of_model_answers_as_in_memory(workspace: Workspace, model: Any, said: dict[str, Any]) -> None:
    assert answers(workspace, model) == said


def test_matrices_have_numbered_columns(workspace: Workspace) -> None:
    version = workspace.registry.register("m", matrix, example=np.ones((3, 2)))
    assert version.signature.input_names == ("x0", "x1")
    predictor = workspace.load_model(version.ref).predictor
    assert predictor.predict([[1.0, 2.0], [3.0, 4.0]], rows=2)["prediction"].tolist() == [4.0, 6.0]


def test_arrays_of_more_dimensions_are_tensors(workspace: Workspace) -> None:
    images = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    version = workspace.registry.register("m", lambda images: images.transpose(0, 2, 1), example=images)
    taken, given = version.signature.inputs[0], version.signature.outputs[0]
    assert (taken.name, taken.shape, taken.datatype) == ("input", (-1, 3, 4), "FP32")
    assert (given.shape, given.datatype) == ((-1, 4, 3), "FP32")
    answer = workspace.load_model(version.ref).predictor.predict([images[:1]], rows=1)["prediction"]
    assert answer.tolist() == images[:1].transpose(0, 2, 1).tolist()


def test_several_tensors_are_handed_by_name(workspace: Workspace) -> None:
    example = {"a": np.ones((2, 3)), "b": np.ones((2, 3))}
    version = workspace.registry.register("m", lambda named: (named["a"] + named["b"]).sum(axis=1), example=example)
    predictor = workspace.load_model(version.ref).predictor
    assert predictor.predict([np.ones((1, 3)), np.ones((1, 3))], rows=1)["prediction"].tolist() == [6.0]


@pytest.mark.parametrize("example", [[{"x": 1.0, "c": "a"}], {"x": 1.0, "c": "a"}, {"x": [1.0], "c": ["a"]}])
def test_one_row_is_example_enough(workspace: Workspace, example: Any) -> None:
    assert answers(workspace, one, example)["p"] == [1.0, 2.0]


def test_a_version_says_what_travels_with_it(workspace: Workspace) -> None:
    version = workspace.registry.register("m", pandas_frame, example=FRAME)
    assert version.flavor == "python_function"
    assert version.facts["takes"] == "pandas"
    # its code may wait for anything, so it is kept off the event loop however quick it was
    assert not workspace.load_model(version.ref).is_quick
    folder = workspace.registry.package_folder(version)
    assert "pandas==" in (folder / "requirements.txt").read_text()
    assert "pandas_frame(rows)" in workspace.registry.card(version)


def test_generators_answer_whole_and_in_parts(workspace: Workspace) -> None:
    def talk(row: dict[str, Any]) -> Iterator[Any]:
        for at in range(int(row["x"])):
            yield {"text": f"{row['c']}{at} ", "tokens": at + 1}

    version = workspace.registry.register("chat", talk, example=FRAME)
    predictor: Any = workspace.load_model(version.ref).predictor
    assert list(predictor.stream([[2.0], ["a"]], rows=1)) == [
        {"text": "a0 ", "tokens": 1},
        {"text": "a1 ", "tokens": 2},
    ]
    whole = predictor.predict([[1.0, 2.0], ["a", "b"]], rows=2)
    assert whole["text"].tolist() == ["a0 ", "b0 b1 "]
    with pytest.raises(InvalidInput, match="2 rows cannot be streamed"):
        list(predictor.stream([[1.0, 2.0], ["a", "b"]], rows=2))


def test_generators_take_other_forms_of_one_row(workspace: Workspace) -> None:
    def by_columns(rows: dict[str, list[Any]]) -> Iterator[str]:
        yield from map(str, rows["x"])

    assert answers(workspace, by_columns) == {"prediction": ["2.0", "4.0"]}

    def by_frame(rows: pd.DataFrame) -> Iterator[str]:
        yield str(len(rows))

    assert answers(workspace, by_frame) == {"prediction": ["1", "1"]}


def test_the_form_follows_the_name_the_annotation_then_the_example() -> None:
    assert takes_of(lambda row: row, FRAME, "f") == "row"
    assert takes_of(records, FRAME, "f") == "rows"
    assert takes_of(columns, FRAME, "f") == "columns"
    assert takes_of(lambda rows: rows, FRAME, "f") == "pandas"
    assert takes_of(lambda rows: rows, pa.table({"x": [1]}), "f") == "arrow"
    assert takes_of(lambda rows: rows, np.ones((2, 2)), "f") == "numpy"
    assert takes_of(lambda rows: rows, {"x": [1]}, "f") == "columns"
    assert takes_of(lambda rows: rows, [{"x": 1}], "f") == "rows"

    def polars_text(rows: "pl.DataFrame") -> Any:  # type: ignore[name-defined]  # noqa: F821, UP037
        return rows

    assert takes_of(polars_text, FRAME, "f") == "polars"


def no_argument() -> Any:
    return 1


def two_arguments(rows: Any, more: Any) -> Any:
    return rows


def keyword_only(*, rows: Any) -> Any:
    return rows


def odd_annotation(rows: int) -> Any:
    return rows


def wrong_length(rows: Any) -> Any:
    return [1]


def wrong_type(rows: Any) -> Any:
    return "late"


def objects(rows: Any) -> Any:
    return [object() for _ in range(len(rows))]


def mixed(rows: Any) -> Any:
    return [1, "a", True]


def yields_nothing(row: Any) -> Iterator[str]:
    yield from ()


async def waiting(rows: Any) -> Any:
    return rows


class Nothing:
    pass


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (no_argument, r"'no_argument' takes 0 arguments \(none\)"),
        (two_arguments, r"'two_arguments' takes 2 arguments \(rows, more\)"),
        (keyword_only, "'keyword_only' takes 1 arguments"),
        (odd_annotation, "in which no rows can be handed"),
        (wrong_length, "has 1 values for 3 rows"),
        (wrong_type, "answers with a str"),
        (objects, "has no type that can be sent"),
        (mixed, "has no type that can be sent"),
        (yields_nothing, "yields nothing"),
        (Nothing, "has no predict"),
        (waiting, "'waiting' is async"),
    ],
)
def test_what_is_no_model_is_told(workspace: Workspace, model: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        workspace.registry.register("m", model, example=FRAME)
    assert workspace.stores.models.models() == []


def test_a_model_that_fails_on_its_example_is_told_with_its_line(workspace: Workspace) -> None:
    def failing(rows: Any) -> Any:
        return rows["no such column"]

    with pytest.raises(StepFailed, match="'failing' fails on its example") as caught:
        workspace.registry.register("m", failing, example=FRAME)
    assert caught.value.why.startswith("KeyError: 'no such column' (in failing, test_python.py:")


def test_a_model_that_draws_lots_is_told(workspace: Workspace) -> None:
    from random import random

    with pytest.raises(InvalidInput, match="answers the same row differently each time"):
        workspace.registry.register("m", lambda rows: rows["x"] + random(), example=FRAME)


def test_rows_of_a_model_that_looks_at_others_are_not_answered_together(workspace: Workspace) -> None:
    version = workspace.registry.register("m", lambda rows: rows["x"] - rows["x"].mean(), example=FRAME)
    assert version.facts["looks_at_others"]
    assert not gains_together({**version.facts, "one_row_us": 900.0, "rows512_us": 901.0})
    plain = workspace.registry.register("m", pandas_frame, example=FRAME)
    assert gains_together({**plain.facts, "one_row_us": 900.0, "rows512_us": 901.0})


def test_a_model_without_an_example_is_told(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="no example"):
        workspace.registry.register("m", one)


def test_texts_may_be_missing_in_an_answer_and_numbers_not(workspace: Workspace) -> None:
    version = workspace.registry.register("m", lambda row: row["c"], example=FRAME)
    assert [(column.type, column.nullable) for column in version.signature.outputs] == [("string", True)]
    with pytest.raises(InvalidInput, match="gives no number as 'prediction' for row 2"):
        workspace.registry.register("m", lambda row: row["x"] if row["c"] else None, example=FRAME)


def test_times_are_answered_as_text(workspace: Workspace) -> None:
    said = answers(workspace, lambda row: pd.Timestamp(2026, 1, int(row["x"])).date())
    assert said == {"prediction": ["2026-01-02", "2026-01-04"]}


def test_a_changed_package_is_refused(workspace: Workspace) -> None:
    version = workspace.registry.register("m", pandas_frame, example=FRAME)
    folder = workspace.registry.package_folder(version)
    runtime = next(one for one in workspace.runtimes if one.engine == "python")
    data = (folder / MODEL_FILE).read_bytes()
    (folder / MODEL_FILE).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Refused):
        runtime.load(folder, signature=version.signature, settings=version.facts)


def test_another_workspace_refuses_it(workspace: Workspace, tmp_path: Path) -> None:
    version = workspace.registry.register("m", pandas_frame, example=FRAME)
    with open_workspace(tmp_path / "other") as other:
        runtime = next(one for one in other.runtimes if one.engine == "python")
        with pytest.raises(Refused, match="not signed by this workspace"):
            runtime.load(
                workspace.registry.package_folder(version), signature=version.signature, settings=version.facts
            )


def test_the_same_passphrase_makes_it_welcome_elsewhere(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_PASSPHRASE", "one for all machines")
    version = workspace.registry.register("m", pandas_frame, example=FRAME)
    with open_workspace(tmp_path / "other") as other:
        runtime = next(one for one in other.runtimes if one.engine == "python")
        folder = workspace.registry.package_folder(version)
        predictor = runtime.load(folder, signature=version.signature, settings=version.facts)
        assert predictor.predict([[1.0], ["a"]], rows=1)["prediction"].tolist() == [11.0]


def test_python_models_can_be_switched_off(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    version = workspace.registry.register("m", pandas_frame, example=FRAME)
    monkeypatch.setenv(SWITCH, "off")
    with pytest.raises(Refused, match="switched off"):
        workspace.load_model(version.ref)
