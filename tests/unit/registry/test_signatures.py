from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import DBSCAN, KMeans
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.schema import Column, Signature
from interlock.registry.signatures import (
    check_fitted,
    example_table,
    input_columns,
    output_columns,
    plain_columns,
    values_of,
)

X = np.arange(12, dtype=float).reshape(6, 2)
FRAME = pa.table({"a": X[:, 0], "b": X[:, 1]})
Y = np.array([0, 0, 0, 1, 1, 1])


def test_columns_come_in_the_order_that_the_model_was_fitted_on() -> None:
    model = LinearRegression().fit(FRAME, Y)
    table = example_table(pa.table({"extra": Y, "b": X[:, 1], "a": X[:, 0]}), model)
    assert table.column_names == ["a", "b"]


def test_examples_of_many_kinds_are_read() -> None:
    model = LinearRegression().fit(X, Y)
    pandas = pytest.importorskip("pandas")
    assert example_table(FRAME, model).column_names == ["a", "b"]
    assert example_table(pandas.DataFrame({"a": [1.0]}), model).column_names == ["a"]
    assert example_table({"a": [1.0, 2.0]}, model).num_rows == 2
    assert example_table(X, model).column_names == ["x0", "x1"]
    assert example_table(X[0], model).num_rows == 1


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InvalidInput, match="type int"):
        example_table(3, LinearRegression())


def test_an_example_without_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no rows"):
        example_table(FRAME.slice(0, 0), LinearRegression())


def test_a_missing_column_is_named_with_the_nearest() -> None:
    model = LinearRegression().fit(FRAME.rename_columns(["wind", "delay"]), Y)
    with pytest.raises(SchemaMismatch, match="lacks the column 'wind'") as refusal:
        example_table(pa.table({"wnd": X[:, 0], "delay": X[:, 1]}), model)
    assert "'wnd'" in refusal.value.why


def test_types_and_gaps_are_inferred() -> None:
    table = pa.table(
        {
            "flag": [True, False],
            "count": pa.array([1, 2], pa.int32()),
            "size": pa.array([1.5, None], pa.float32()),
            "nan": [1.0, math.nan],
            "price": [Decimal("1.5"), Decimal("2.5")],
            "city": ["JFK", None],
            "kind": pa.array(["a", "b"]).dictionary_encode(),
            "none": pa.nulls(2),
            "time": [datetime(2026, 1, 1, tzinfo=UTC)] * 2,
            "raw": [b"x", b"y"],
        }
    )
    assert input_columns(table) == (
        Column("flag", "boolean", nullable=False),
        Column("count", "long", nullable=False),
        Column("size", "double", nullable=True),
        Column("nan", "double", nullable=True),
        Column("price", "double", nullable=False),
        Column("city", "string", nullable=True),
        Column("kind", "string", nullable=False),
        Column("none", "string", nullable=True),
        Column("time", "datetime", nullable=False),
        Column("raw", "binary", nullable=False),
    )
    plain = plain_columns(table, input_columns(table))
    assert plain["city"] == ["JFK", None]
    assert plain["size"][0] == 1.5
    assert math.isnan(plain["size"][1])
    assert plain["price"] == [1.5, 2.5]
    assert plain["count"] == [1, 2]


def test_a_nested_column_is_refused_by_name() -> None:
    with pytest.raises(SchemaMismatch, match="'tags'"):
        input_columns(pa.table({"tags": [["a"], ["b"]]}))


def asked(model: Any) -> dict[str, Any]:
    """Return what the methods of a model say to X."""
    methods = [name for name in ("predict", "predict_proba", "decision_function") if hasattr(model, name)]
    return {name: getattr(model, name)(X) for name in methods if name != "decision_function" or len(methods) < 3}


def outputs(model: Any) -> list[tuple[str, str]]:
    """Return the names and types of what a model gives, having seen that its values fit them."""
    answers = asked(model)
    columns = output_columns(model, answers)
    assert not any(column.nullable for column in columns)
    values = values_of(answers, Signature((), columns))
    assert list(values) == [column.name for column in columns]
    assert {len(one) for one in values.values()} == {len(X)}
    return [(column.name, column.type) for column in columns]


def test_a_binary_classifier_gives_the_probability_of_its_second_class_and_a_label() -> None:
    assert outputs(LogisticRegression().fit(X, Y)) == [("probability", "double"), ("label", "long")]


def test_more_classes_give_a_probability_each() -> None:
    assert outputs(LogisticRegression().fit(X, ["a", "a", "b", "b", "c", "c"])) == [
        ("probability_a", "double"),
        ("probability_b", "double"),
        ("probability_c", "double"),
        ("label", "string"),
    ]


@pytest.mark.parametrize(("labels", "kind"), [(Y == 1, "boolean"), (Y * 1.0, "double"), (Y, "long")])
def test_the_label_has_the_type_of_the_classes(labels: np.ndarray, kind: str) -> None:
    assert outputs(LogisticRegression().fit(X, labels))[-1] == ("label", kind)


def test_a_classifier_without_probabilities_gives_scores() -> None:
    assert outputs(RidgeClassifier().fit(X, Y)) == [("score", "double"), ("label", "long")]
    names = [name for name, _ in outputs(RidgeClassifier().fit(X, [0, 0, 1, 1, 2, 2]))]
    assert names == ["score_0", "score_1", "score_2", "label"]


def test_scores_of_pairs_of_classes_are_left_out() -> None:
    model = SVC(decision_function_shape="ovo").fit(np.tile(X, (2, 1)), [0, 1, 2, 3] * 3)
    assert outputs(model) == [("label", "long")]


def test_a_regressor_gives_its_prediction() -> None:
    assert outputs(LinearRegression().fit(X, Y)) == [("prediction", "double")]


def test_a_clusterer_gives_the_number_of_its_cluster() -> None:
    assert outputs(KMeans(2, n_init=1).fit(X)) == [("prediction", "long")]


def test_an_outlier_detector_gives_its_verdict_and_its_score() -> None:
    assert outputs(IsolationForest(n_estimators=2).fit(X)) == [("score", "double"), ("prediction", "long")]


def test_several_targets_are_numbered() -> None:
    targets = np.column_stack([Y, Y + 1])
    assert outputs(LinearRegression().fit(X, targets)) == [("prediction_0", "double"), ("prediction_1", "double")]
    assert outputs(KNeighborsClassifier(1).fit(X, targets)) == [("label_0", "long"), ("label_1", "long")]


def test_what_does_not_predict_is_refused() -> None:
    with pytest.raises(InvalidInput, match="DBSCAN does not predict"):
        check_fitted(DBSCAN().fit(X))


def test_what_is_not_fitted_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not fitted") as refusal:
        check_fitted(LogisticRegression())
    assert refusal.value.fix == "model.fit(X, y)"


def test_no_example_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no example"):
        example_table(None, LinearRegression())
