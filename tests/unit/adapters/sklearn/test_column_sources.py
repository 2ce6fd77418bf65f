from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)

from interlock.adapters.sklearn.column_sources import sources

GAPS = np.array([[1.0, np.nan, 2.0], [np.nan, np.nan, 3.0], [2.0, np.nan, 4.0]])
WORDS = np.array([["a", "x"], ["b", "x"], ["c", "y"]], object)
TABLE = pa.table({"n": [1.0, 2.0, 3.0], "w": ["a", "b", "a"], "m": [1.0, None, 3.0]})


@pytest.mark.parametrize(
    ("step", "data", "expected"),
    [
        (StandardScaler(), GAPS[:, [0, 2]], [0, 1]),
        (SimpleImputer(), GAPS[:, [0, 2]], [0, 1]),
        (SimpleImputer(add_indicator=True), GAPS[:, [0, 2]], [0, 1, 0]),
        (SimpleImputer(keep_empty_features=True), GAPS, [0, 1, 2]),
        (OneHotEncoder(), WORDS, [0, 0, 0, 1, 1]),
        (OneHotEncoder(drop="first"), WORDS, [0, 0, 1]),
        (OneHotEncoder(min_frequency=2), WORDS, [0, 1, 1]),
        (OrdinalEncoder(), WORDS, [0, 1]),
        (SelectKBest(k=1), np.array([[0.0, 1], [1, 2], [0, 3]]), [1]),
        (FunctionTransformer(), GAPS, [0, 1, 2]),
        (FunctionTransformer(np.sqrt), np.ones((2, 2)), None),
        (PCA(1), np.eye(3), None),
        (PolynomialFeatures(), np.eye(3), None),
        (make_pipeline(OneHotEncoder(sparse_output=False), StandardScaler()), WORDS, [0, 0, 0, 1, 1]),
        (make_pipeline(StandardScaler(), PCA(1)), np.eye(3), None),
    ],
)
def test_features_are_followed_to_their_column(step: Any, data: Any, expected: list[int] | None) -> None:
    fitted = step.fit(data, [0, 1, 1][: len(data)])
    assert sources(fitted, data.shape[1]) == expected
    if expected is not None:
        assert np.asarray(step.transform(data).shape)[1] == len(expected)


def test_columns_that_are_empty_are_left_out() -> None:
    with pytest.warns(UserWarning, match="Skipping"):
        imputer = SimpleImputer().fit(GAPS)
        imputer.transform(GAPS)
    assert sources(imputer, 3) == [0, 2]


@pytest.mark.parametrize(
    ("parts", "remainder", "expected"),
    [
        ([("w", OneHotEncoder(), ["w"]), ("n", "passthrough", ["m", "n"])], "drop", [1, 1, 2, 0]),
        ([("w", OneHotEncoder(), ["w"])], "passthrough", [1, 1, 0, 2]),
        ([("w", "drop", ["w"]), ("n", StandardScaler(), [0, 2])], "drop", [0, 2]),
        ([("n", StandardScaler(), slice(0, 1))], "drop", [0]),
        ([("n", StandardScaler(), [True, False, True])], "drop", [0, 2]),
        ([("n", StandardScaler(), ["n"]), ("none", StandardScaler(), [])], "drop", [0]),
        ([("p", PolynomialFeatures(), ["n"])], "drop", None),
    ],
)
def test_columns_that_go_apart(parts: Any, remainder: str, expected: list[int] | None) -> None:
    frame = TABLE.to_pandas()
    fitted = ColumnTransformer(parts, remainder=remainder, sparse_threshold=0).fit(frame)
    assert sources(fitted, 3) == expected
    if expected is not None:
        assert fitted.transform(frame).shape[1] == len(expected)


def test_one_column_by_name_or_place() -> None:
    frame = TABLE.to_pandas()
    fitted = ColumnTransformer([("f", FunctionTransformer(), ["n"])]).fit(frame)
    fitted.transformers_ = [("f", fitted.transformers_[0][1], 2)]
    fitted.output_indices_ = {"f": slice(0, 1)}
    assert sources(fitted, 3) == [2]
    fitted.transformers_ = [("f", fitted.transformers_[0][1], "m")]
    assert sources(fitted, 3) == [2]


def test_targets_of_several_classes_make_several_features() -> None:
    words = np.array([["a"], ["b"], ["a"], ["b"], ["c"], ["c"]] * 5, object)
    assert sources(TargetEncoder().fit(words, [0, 1, 0, 1, 1, 0] * 5), 1) == [0]
    assert sources(TargetEncoder().fit(words, [0, 1, 2, 1, 2, 0] * 5), 1) is None
