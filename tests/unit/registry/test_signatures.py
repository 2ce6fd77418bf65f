from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import DBSCAN
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.core.schema import Column
from interlock.registry.signatures import example_table, input_columns, output_columns, plain_columns

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


def test_a_binary_classifier_gives_the_probability_of_its_second_class_and_a_label() -> None:
    assert output_columns(LogisticRegression().fit(X, Y)) == (
        Column("probability", "double", nullable=False),
        Column("label", "long", nullable=False),
    )


def test_more_classes_give_a_probability_each() -> None:
    model = LogisticRegression().fit(X, ["a", "a", "b", "b", "c", "c"])
    assert [(column.name, column.type) for column in output_columns(model)] == [
        ("probability_a", "double"),
        ("probability_b", "double"),
        ("probability_c", "double"),
        ("label", "string"),
    ]


@pytest.mark.parametrize(("labels", "kind"), [(Y == 1, "boolean"), (Y * 1.0, "double"), (Y, "long")])
def test_the_label_has_the_type_of_the_classes(labels: np.ndarray, kind: str) -> None:
    assert output_columns(LogisticRegression().fit(X, labels))[-1].type == kind


def test_a_classifier_without_probabilities_gives_only_its_label() -> None:
    assert [column.name for column in output_columns(RidgeClassifier().fit(X, Y))] == ["label"]


def test_a_regressor_gives_its_prediction() -> None:
    assert [column.name for column in output_columns(LinearRegression().fit(X, Y))] == ["prediction"]


def test_what_does_not_predict_is_refused() -> None:
    with pytest.raises(InvalidInput, match="DBSCAN does not predict"):
        output_columns(DBSCAN().fit(X))


def test_what_is_not_fitted_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not fitted") as refusal:
        output_columns(LogisticRegression())
    assert refusal.value.fix == "model.fit(X, y)"


def test_several_targets_are_refused() -> None:
    model = KNeighborsClassifier(n_neighbors=1).fit(X, np.column_stack([Y, Y]))
    with pytest.raises(InvalidInput, match="2 targets"):
        output_columns(model)
