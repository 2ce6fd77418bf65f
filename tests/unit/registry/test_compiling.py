from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.core.schema import Signature
from interlock.registry.compiling import Compiled, compile_model, largest_difference, one_row_us
from interlock.registry.probing import Answers, ask
from interlock.registry.signatures import example_table, input_columns, output_columns, plain_columns
from tests.fitted import flight_delay, flights

X = np.random.default_rng(0).normal(size=(300, 3))
Y = (X[:, 0] > 0.3).astype(int)


def questions(folder: Path, model: Any, example: Any) -> tuple[Signature, Answers]:
    table = example_table(example, model)
    signature = Signature(input_columns(table), output_columns(model))
    skops.io.dump(model, folder / "model.skops")
    predictor = SklearnRuntime().load(folder, signature=signature, settings={})
    return signature, ask(predictor, plain_columns(table, signature.inputs), signature)


def compiled(folder: Path, model: Any, example: Any) -> tuple[Compiled | None, str]:
    signature, answers = questions(folder, model, example)
    return compile_model(model, signature=signature, answers=answers, runtime=OnnxRuntime())


def test_the_demo_model_agrees_to_the_last_bits(tmp_path: Path) -> None:
    found, problem = compiled(tmp_path, flight_delay(), flights())
    assert problem == ""
    assert found is not None
    assert found.precision == "float64"
    assert found.max_difference < 1e-12


def test_the_portable_form_has_one_input_per_column_and_the_answers_as_outputs(tmp_path: Path) -> None:
    found, _ = compiled(tmp_path, flight_delay(), flights())
    assert found is not None
    graph = onnx.load_model_from_string(found.files["model.onnx"]).graph
    assert [port.name for port in graph.input] == ["wind", "delay", "distance", "carrier", "origin"]
    assert [port.name for port in graph.output] == ["probability", "label"]
    packed = onnx.load_model_from_string(found.files["packed.onnx"]).graph
    assert {port.name for port in packed.input} == {"interlock_numbers", "interlock_strings"}


def test_numbers_only_joined_are_not_split_first(tmp_path: Path) -> None:
    found, _ = compiled(tmp_path, make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y), X)
    assert found is not None
    packed = onnx.load_model_from_string(found.files["packed.onnx"]).graph
    assert not {"Split", "Concat"} & {node.op_type for node in packed.node}


def test_columns_used_in_another_order_are_split(tmp_path: Path) -> None:
    columns = ColumnTransformer([("last", StandardScaler(), ["c"]), ("first", StandardScaler(), ["a", "b"])])
    table = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}
    import pyarrow as pa

    model = make_pipeline(columns, LogisticRegression()).fit(pa.table(table), Y)
    found, problem = compiled(tmp_path, model, table)
    assert found is not None, problem
    packed = onnx.load_model_from_string(found.files["packed.onnx"]).graph
    assert "Split" in {node.op_type for node in packed.node}


@pytest.mark.parametrize("labels", [np.where(Y, "late", "on time"), Y == 1, Y * 2.0, Y - 1])
def test_labels_of_every_type_survive(tmp_path: Path, labels: np.ndarray) -> None:
    found, problem = compiled(tmp_path, LogisticRegression().fit(X, labels), X)
    assert found is not None, problem


def test_more_than_two_classes(tmp_path: Path) -> None:
    labels = np.digitize(X[:, 0], [-0.5, 0.5])
    found, problem = compiled(tmp_path, make_pipeline(StandardScaler(), LogisticRegression()).fit(X, labels), X)
    assert found is not None, problem


def test_an_imputer_that_marks_its_gaps_stays_with_the_converter(tmp_path: Path) -> None:
    holed = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
    marking = make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression()).fit(holed, Y)
    found, problem = compiled(tmp_path, marking, holed)
    assert (found is None) == bool(problem)


def test_trees_that_exist_in_32_bits_only_are_taken_in_32_bits(tmp_path: Path) -> None:
    model = GradientBoostingRegressor(n_estimators=5).fit(X, X[:, 0])
    found, problem = compiled(tmp_path, model, X)
    assert found is not None, problem
    assert found.precision == "float32"
    assert 0 < found.max_difference < 1e-5


def test_a_model_that_no_converter_knows_is_left_as_it_is(tmp_path: Path) -> None:
    found, problem = compiled(tmp_path, NearestCentroid().fit(X, Y), X)
    assert found is None
    assert "NearestCentroid" in problem


def test_a_form_that_disagrees_is_thrown_away(tmp_path: Path) -> None:
    model = flight_delay()
    signature, answers = questions(tmp_path, model, flights())
    wrong = Answers(
        rows=answers.rows,
        outputs={**answers.outputs, "probability": [value + 1e-3 for value in answers.outputs["probability"]]},
        refused=0,
        nullable=answers.nullable,
    )
    found, problem = compile_model(model, signature=signature, answers=wrong, runtime=OnnxRuntime())
    assert found is None
    assert "differs by 0.001" in problem


def test_a_graph_that_fails_on_a_row_the_model_answers_is_thrown_away(tmp_path: Path) -> None:
    # skl2onnx cannot write infrequent categories for columns that have none, and the graph fails on unseen ones
    found, problem = compiled(tmp_path, flight_delay(unknown="infrequent_if_exist"), flights())
    assert found is None
    assert "refused" in problem


def test_a_time_column_cannot_be_compiled(tmp_path: Path) -> None:
    from interlock.core.schema import Column

    signature = Signature((Column("at", "datetime"),), (Column("prediction", "double"),))
    nothing = Answers(rows=(), outputs={}, refused=0, nullable=frozenset())
    assert compile_model(None, signature=signature, answers=nothing, runtime=OnnxRuntime()) == (
        None,
        "ONNX has no datetime columns ('at')",
    )


def test_an_input_called_as_an_output_cannot_be_compiled() -> None:
    from interlock.core.schema import Column

    signature = Signature((Column("label", "double"),), (Column("label", "long"),))
    nothing = Answers(rows=(), outputs={}, refused=0, nullable=frozenset())
    assert "label" in compile_model(None, signature=signature, answers=nothing, runtime=OnnxRuntime())[1]


def test_a_forest_beyond_the_size_is_not_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.registry.compiling.PACKED_MOST_BYTES", 100)
    signature, answers = questions(tmp_path, RandomForestClassifier(n_estimators=3, random_state=0).fit(X, Y), X)
    full = answers.without_new_gaps(signature)
    model = RandomForestClassifier(n_estimators=3, random_state=0).fit(X, Y)
    found, problem = compile_model(model, signature=signature, answers=full, runtime=OnnxRuntime())
    assert found is not None, problem
    assert set(found.files) == {"model.onnx"}


def test_one_row_is_timed_in_microseconds(tmp_path: Path) -> None:
    model = LogisticRegression().fit(X, Y)
    signature, answers = questions(tmp_path, model, X)
    predictor = SklearnRuntime().load(tmp_path, signature=signature, settings={})
    assert 1 < one_row_us(predictor, answers, repeats=3) < 1e6


@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        ({"probability": [0.5, 0.25]}, {"probability": [0.5, 0.5]}, 0.25),
        ({"prediction": [1000.0]}, {"prediction": [1001.0]}, 0.001),
        ({"prediction": [1.0]}, {"prediction": [float("nan")]}, float("inf")),
        ({"probability": [0.9], "label": [1]}, {"probability": [0.9], "label": [0]}, float("inf")),
        ({"probability": [0.500001], "label": [1]}, {"probability": [0.500001], "label": [0]}, 0.0),
        ({"label": ["a"]}, {"label": ["b"]}, float("inf")),
        ({"label": ["a"]}, {"label": ["a"]}, 0.0),
        (
            {"probability_a": [0.4], "probability_b": [0.4], "probability_c": [0.2], "label": ["a"]},
            {"probability_a": [0.4], "probability_b": [0.4], "probability_c": [0.2], "label": ["b"]},
            0.0,
        ),
    ],
)
def test_differences(expected: Mapping[str, list[Any]], found: Mapping[str, list[Any]], difference: float) -> None:
    assert largest_difference(expected, found) == pytest.approx(difference)
