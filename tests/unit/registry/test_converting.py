from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.core.schema import Column, Signature
from interlock.registry.comparing import TOLERANCE
from interlock.registry.converting import not_for_onnx, onnx_forms
from interlock.registry.flavors.listed import kind_of
from interlock.registry.kinds import Form, Options
from interlock.registry.verifying import verify
from tests.fitted import flight_delay, flights, uncompilable

X = np.random.default_rng(0).normal(size=(300, 3))
Y = (X[:, 0] > 0.3).astype(int)
RUNTIMES = {runtime.engine: runtime for runtime in (OnnxRuntime(), SklearnRuntime())}


def compiled(model: Any, example: Any) -> tuple[Form | None, dict[str, Any]]:
    """Return the ONNX form that agrees with a model, if there is one, and the facts."""
    package = kind_of(model).package(model, example, Options(name="test"))
    verified = verify(package, RUNTIMES)
    return next((form for form in verified.forms if form.engine == "onnx"), None), verified.facts


def test_the_demo_model_agrees_to_the_last_bits() -> None:
    found, facts = compiled(flight_delay(), flights())
    assert found is not None
    assert facts["precision"] == "float64"
    assert facts["max_difference"] < 1e-12
    assert "not_compiled" not in facts


def test_the_portable_form_has_one_input_per_column_and_the_answers_as_outputs() -> None:
    found, _ = compiled(flight_delay(), flights())
    assert found is not None
    graph = onnx.load_model_from_string(found.files["model.onnx"]).graph
    assert [port.name for port in graph.input] == ["wind", "delay", "distance", "carrier", "origin"]
    assert [port.name for port in graph.output] == ["probability", "label"]
    packed = onnx.load_model_from_string(found.files["packed.onnx"]).graph
    assert {port.name for port in packed.input} == {"interlock_numbers", "interlock_strings"}


def test_numbers_only_joined_are_not_split_first() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    package = kind_of(model).package(model, X, Options(name="test"))
    ours, theirs, *_ = [form for form in onnx_forms(model, package.signature) if isinstance(form, Form)]
    assert set(ours.files) == {"model.onnx"}
    packed = onnx.load_model_from_string(theirs.files["packed.onnx"]).graph
    assert not {"Split", "Concat"} & {node.op_type for node in packed.node}


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(RobustScaler(), MaxAbsScaler(), MinMaxScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(with_mean=False), LinearSVC()),
        RidgeClassifier(),
        LinearRegression(),
        GradientBoostingClassifier(n_estimators=5),
        HistGradientBoostingClassifier(max_iter=5),
        HistGradientBoostingRegressor(max_iter=5, loss="poisson"),
        RandomForestClassifier(5, random_state=0),
        RandomForestRegressor(5, random_state=0),
        ExtraTreesClassifier(5, random_state=0),
    ],
    ids=lambda model: type(getattr(model, "steps", [("", model)])[-1][1]).__name__,
)
@pytest.mark.parametrize("classes", [2, 3])
def test_linear_models_and_trees_of_numbers_need_no_converter(
    model: Any, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def converter(*_: Any, **__: Any) -> None:
        raise AssertionError("the converter was asked")

    monkeypatch.setattr("skl2onnx.convert_sklearn", converter)
    # the leaves of a forest hold a share for each class, of which a graph's have but one
    is_forest = type(model).__name__ in ("RandomForestClassifier", "ExtraTreesClassifier")
    target = Y if classes == 2 or is_forest else np.digitize(X[:, 0], [-0.5, 0.5])
    found, facts = compiled(clone(model).fit(X, target), X)
    assert found is not None, facts
    assert facts["precision"] == "float64"
    assert facts["max_difference"] < 1e-12


def test_a_scaler_that_clips_is_left_to_the_converter() -> None:
    model = make_pipeline(MinMaxScaler(clip=True), LogisticRegression()).fit(X, Y)
    package = kind_of(model).package(model, X, Options(name="test"))
    first = next(onnx_forms(model, package.signature))
    assert first == "no graph of ours: it clips"
    assert compiled(model, X)[0] is not None


def test_columns_used_in_another_order_are_split() -> None:
    import pyarrow as pa

    columns = ColumnTransformer([("last", StandardScaler(), ["c"]), ("first", StandardScaler(), ["a", "b"])])
    table = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}
    found, facts = compiled(make_pipeline(columns, SGDClassifier(random_state=0)).fit(pa.table(table), Y), table)
    assert found is not None, facts
    packed = onnx.load_model_from_string(found.files["packed.onnx"]).graph
    assert "Split" in {node.op_type for node in packed.node}


@pytest.mark.parametrize("labels", [np.where(Y, "late", "on time"), Y == 1, Y * 2.0, Y - 1])
def test_labels_of_every_type_survive(labels: np.ndarray) -> None:
    found, facts = compiled(LogisticRegression().fit(X, labels), X)
    assert found is not None, facts


def test_more_than_two_classes() -> None:
    labels = np.digitize(X[:, 0], [-0.5, 0.5])
    found, facts = compiled(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, labels), X)
    assert found is not None, facts


@pytest.mark.parametrize(
    "model",
    [
        LinearRegression().fit(X, X[:, :2] * 2),
        KMeans(3, n_init=1, random_state=0).fit(X),
        LinearSVC().fit(X, Y),
        LinearSVC().fit(X, np.digitize(X[:, 0], [-0.5, 0.5])),
        SVC().fit(X, Y),
    ],
    ids=["two-targets", "clusters", "score", "scores", "svc"],
)
def test_what_gives_no_probabilities_is_compiled_too(model: Any) -> None:
    found, facts = compiled(model, X)
    assert found is not None, facts
    assert facts["max_difference"] < TOLERANCE


def test_an_imputer_that_marks_its_gaps_stays_with_the_converter() -> None:
    holed = np.where(np.random.default_rng(1).random(X.shape) < 0.1, np.nan, X)
    found, facts = compiled(make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression()).fit(holed, Y), holed)
    assert (found is None) == ("not_compiled" in facts)


def test_what_exists_in_32_bits_only_is_taken_in_32_bits() -> None:
    found, facts = compiled(IsolationForest(n_estimators=5, random_state=0).fit(X), X)
    assert found is not None, facts
    assert facts["precision"] == "float32"
    assert 0 < facts["max_difference"] < 1e-5


def test_a_model_that_no_converter_knows_is_left_as_it_is() -> None:
    found, facts = compiled(NearestCentroid().fit(X, Y), X)
    assert found is None
    assert "NearestCentroid" in facts["not_compiled"]


def test_a_graph_that_fails_on_a_row_the_model_answers_is_thrown_away() -> None:
    # skl2onnx cannot write infrequent categories for columns that have none, and the graph fails on unseen ones
    found, facts = compiled(uncompilable(), flights())
    assert found is None
    assert "refused" in facts["not_compiled"]


def test_a_time_column_cannot_be_compiled() -> None:
    signature = Signature((Column("at", "datetime"),), (Column("prediction", "double"),))
    assert not_for_onnx(signature) == "ONNX has no datetime columns ('at')"


def test_an_input_called_as_an_output_cannot_be_compiled() -> None:
    signature = Signature((Column("label", "double"),), (Column("label", "long"),))
    assert "label" in not_for_onnx(signature)


def test_a_graph_beyond_the_size_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.registry.onnx_graphs.PACKED_MOST_BYTES", 100)
    found, facts = compiled(make_pipeline(StandardScaler(), SGDClassifier()).fit(X, Y), X)
    assert found is not None, facts
    assert set(found.files) == {"model.onnx"}
