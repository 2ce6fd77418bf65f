from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from interlock.adapters.sklearn.explaining import SklearnExplainer
from tests.fitted import flight_delay, flights

DICE = np.random.default_rng(3)
X = DICE.normal(size=(300, 4))
Y = X[:, 0] * X[:, 1] + X[:, 2]
TWO, THREE = (Y > 0).astype(int), np.digitize(Y, [-0.7, 0.7])
ONE_SHARE, THREE_SHARES, VALUE = ["probability", "label"], [f"probability_{n}" for n in range(3)] + ["label"], ["p"]


@pytest.mark.parametrize(
    ("model", "target", "names", "space"),
    [
        (GradientBoostingClassifier(n_estimators=20), TWO, ONE_SHARE, "log-odds"),
        (GradientBoostingClassifier(n_estimators=5, max_depth=5), THREE, THREE_SHARES, "log-odds"),
        (GradientBoostingRegressor(n_estimators=20, init="zero"), Y, VALUE, "value"),
        (RandomForestClassifier(10, random_state=0), TWO, ONE_SHARE, "probability"),
        (RandomForestClassifier(10, random_state=0), THREE, THREE_SHARES, "probability"),
        (ExtraTreesRegressor(10, random_state=0), Y, VALUE, "value"),
        (DecisionTreeClassifier(max_depth=3), TWO, ONE_SHARE, "probability"),
        (DecisionTreeRegressor(), Y, VALUE, "value"),
        (HistGradientBoostingClassifier(max_iter=10), TWO, ONE_SHARE, "log-odds"),
        (HistGradientBoostingClassifier(max_iter=5), THREE, THREE_SHARES, "log-odds"),
        (HistGradientBoostingRegressor(max_iter=10), Y, VALUE, "value"),
        (LogisticRegression(), TWO, ONE_SHARE, "log-odds"),
        (LogisticRegression(), THREE, THREE_SHARES, "log-odds"),
        (LinearRegression(), Y, VALUE, "value"),
        (RidgeClassifier(), TWO, ["score", "label"], "score"),
        (make_pipeline(StandardScaler(), LinearRegression()), Y, VALUE, "value"),
    ],
)
def test_contributions_add_up_to_what_the_model_says(model: Any, target: Any, names: list[str], space: str) -> None:
    explainer = SklearnExplainer(model.fit(X, target), names, columns=4)
    assert explainer.is_exact
    found = explainer.explain(X[:7], X)
    assert found.space == space
    assert found.contributions.shape == (7, len(found.outputs), 4)
    assert found.outputs == tuple(name for name in names if name != "label")
    np.testing.assert_allclose(found.base + found.contributions.sum(axis=2), found.values, atol=1e-9)
    if space == "probability":
        np.testing.assert_allclose(found.values, model.predict_proba(X[:7])[:, -len(found.outputs) :])
    elif space == "value":
        np.testing.assert_allclose(found.values[:, 0], model.predict(X[:7]))
    else:
        np.testing.assert_allclose(found.values, model.decision_function(X[:7]).reshape(7, -1))


def test_a_linear_model_s_are_its_weights_times_how_odd_the_row_is() -> None:
    model = LinearRegression().fit(X, Y)
    found = SklearnExplainer(model, VALUE, columns=4).explain(X[:3], X)
    np.testing.assert_allclose(found.contributions[:, 0], (X[:3] - X.mean(axis=0)) * model.coef_)
    assert found.base[0] == pytest.approx(model.predict(X).mean())


@pytest.mark.parametrize(
    ("model", "target", "names"),
    [
        (GaussianNB(), TWO, ONE_SHARE),
        (make_pipeline(PolynomialFeatures(), LogisticRegression()), TWO, ONE_SHARE),
        (GradientBoostingRegressor(init=LinearRegression(), n_estimators=2), Y, VALUE),
        (HistGradientBoostingRegressor(loss="poisson", max_iter=2), Y - Y.min() + 1, VALUE),
        (DecisionTreeRegressor(), np.column_stack([Y, Y]), ["a", "b"]),
        (RandomForestClassifier(2), TWO, ["label"]),
        (
            HistGradientBoostingRegressor(max_iter=2, categorical_features=[0]),
            Y,
            VALUE,
        ),
    ],
)
def test_where_there_is_no_exact_way_it_is_said(model: Any, target: Any, names: list[str]) -> None:
    rows = X.copy()
    rows[:, 0] = np.round(np.abs(rows[:, 0]))
    assert not SklearnExplainer(model.fit(rows, target), names, columns=4).is_exact


def test_encoded_columns_come_back_as_one() -> None:
    table = flights()
    explainer = SklearnExplainer(flight_delay(), ONE_SHARE, columns=5)
    found = explainer.explain(table.slice(0, 4), table)
    assert found.contributions.shape == (4, 1, 5)
    np.testing.assert_allclose(found.base + found.contributions.sum(axis=2), found.values, atol=1e-9)
    # by construction only these two matter
    largest = np.argsort(-np.abs(found.contributions[:, 0]).mean(axis=0))[:2]
    assert {table.column_names[place] for place in largest} == {"wind", "origin"}


def test_arrow_goes_straight_to_a_model() -> None:
    import pyarrow as pa

    table = pa.table({f"x{place}": X[:, place] for place in range(4)})
    model = LinearRegression().fit(table.to_pandas(), Y)
    found = SklearnExplainer(model, VALUE, columns=4)
    assert found._features(table).shape == (300, 4)
