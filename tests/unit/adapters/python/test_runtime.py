"""What a Python model does wrong while it serves is told, by type and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from interlock.adapters.python.handing import array_of, handing
from interlock.adapters.python.runtime import PythonRuntime
from interlock.core.errors import Corrupt, InvalidInput, MissingExtra, StepFailed
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import Predictor
from interlock.workspace import open_workspace


def loaded(tmp_path: Path, model: Any, example: Any) -> Predictor:
    with open_workspace(tmp_path / "w") as workspace:
        version = workspace.registry.register("m", model, example=example)
        return workspace.load_model(version.ref).predictor


def moody(row: dict[str, Any]) -> Any:
    if row["x"] == 1:
        raise ValueError("one is not taken")
    if row["x"] == 2:
        return {}["two"]
    if row["x"] == 3:
        raise SystemExit(3)
    if row["x"] == 4:
        return "text"
    return {5: None, 6: [1, 2], 7: object()}.get(row["x"], 0.5)


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return loaded(tmp_path, moody, [{"x": 0}])


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (1, InvalidInput, "ValueError: one is not taken (in moody, test_runtime.py:"),
        (2, StepFailed, "KeyError: 'two' (in moody, test_runtime.py:"),
        (3, StepFailed, "SystemExit: 3 (in moody, test_runtime.py:"),
        (4, StepFailed, "it holds the text 'text'"),
        (6, StepFailed, ""),
        (7, StepFailed, "float() argument"),
    ],
)
def test_what_goes_wrong_is_told(predictor: Predictor, x: int, error: Any, says: str) -> None:
    with pytest.raises(error) as caught:
        predictor.predict([[x]], rows=1)
    assert says in caught.value.why
    assert "Traceback" not in str(caught.value)


def test_a_missing_number_is_not_a_number(predictor: Predictor) -> None:
    assert np.isnan(predictor.predict([[5]], rows=1)["prediction"][0])


def test_an_answer_of_another_length_is_told(tmp_path: Path) -> None:
    predictor = loaded(tmp_path, lambda rows: rows["x"][rows["x"] < 2], pd.DataFrame({"x": [1.0]}))
    with pytest.raises(StepFailed, match="has 1 values for 2 rows"):
        predictor.predict([[1.0, 5.0]], rows=2)


def test_a_stream_that_yields_something_else_is_told_and_closed(tmp_path: Path) -> None:
    def talk(row: dict[str, Any]) -> Iterator[Any]:
        yield np.float64(row["x"])
        if row["x"] == 1:
            yield {"other": 1}
        if row["x"] == 2:
            raise RuntimeError("out of words")

    predictor: Any = loaded(tmp_path, talk, [{"x": 0.0}])
    assert list(predictor.stream([[0.0]], rows=1)) == [{"prediction": 0.0}]
    with pytest.raises(StepFailed, match="yields 'other'"):
        list(predictor.stream([[1.0]], rows=1))
    with pytest.raises(StepFailed) as caught:
        list(predictor.stream([[2.0]], rows=1))
    assert "RuntimeError: out of words (in talk, test_runtime.py:" in caught.value.why


def test_who_stops_listening_stops_the_model(tmp_path: Path) -> None:
    done = tmp_path / "done"

    def talk(row: dict[str, Any]) -> Iterator[str]:
        try:
            for _ in range(3):
                yield "word "
        finally:
            Path(row["path"]).touch()

    predictor: Any = loaded(tmp_path, talk, [{"path": str(tmp_path / "example")}])
    parts = predictor.stream([[str(done)]], rows=1)
    next(parts)
    assert not done.exists()
    parts.close()
    assert done.exists()


def test_a_model_gets_lists_of_its_own(tmp_path: Path) -> None:
    def greedy(rows: dict[str, list[Any]]) -> Any:
        taken = list(rows["x"])
        rows["x"].clear()
        return taken

    columns = [[1.0, 2.0]]
    assert loaded(tmp_path, greedy, {"x": [1.0, 2.0]}).predict(columns, rows=2)["prediction"].tolist() == [1.0, 2.0]
    assert columns == [[1.0, 2.0]]


def test_frames_have_the_types_of_the_signature() -> None:
    signature = Signature((Column("n", "long"), Column("b", "boolean"), Column("t", "datetime")), ())
    table = handing("arrow", signature)([[1, float("nan")], [True, False], [None, None]], 2)
    assert [str(field.type) for field in table.schema] == ["double", "bool", "timestamp[us, tz=UTC]"]
    frame = handing("pandas", signature)([[1, 2], [True, False], [None, None]], 2)
    assert [str(kind) for kind in frame.dtypes][:2] == ["int64", "bool"]


def test_a_missing_frame_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtra, match="polars"):
        handing("polars", Signature((Column("n", "long"),), ()))


@pytest.mark.parametrize(
    ("column", "values", "found"),
    [
        (Column("p", "long"), [1, 2.0], [1, 2]),
        (Column("p", "boolean"), [True, False], [True, False]),
        (Column("p", "string"), ["a", None], ["a", None]),
        (Column("p", "double", shape=(-1, 2), datatype="FP32"), [[1, 2]], [[1.0, 2.0]]),
        (Column("p", "long", shape=(-1,), datatype="INT8"), [1], [1]),
    ],
)
def test_answers_take_the_type_of_the_signature(column: Column, values: Any, found: Any) -> None:
    assert array_of({"p": values}, column).tolist() == found


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (Column("p", "long"), [1.5]),
        (Column("p", "long"), [None]),
        (Column("p", "boolean"), [1]),
        (Column("p", "string"), [1]),
        (Column("q", "long"), [1]),
        (Column("p", "double", shape=(-1, 2), datatype="FP32"), [[1], [2, 3]]),
    ],
)
def test_answers_of_another_type_are_told(column: Column, values: Any) -> None:
    with pytest.raises(InvalidInput, match="the model's answer"):
        array_of({"p": values}, column)


def test_a_folder_without_a_model_is_corrupt(tmp_path: Path) -> None:
    with pytest.raises(Corrupt):
        PythonRuntime().load(tmp_path, signature=Signature((), ()), settings={})
