from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from interlock.workspace import Workspace, open_workspace

DICE = np.random.default_rng(5)
X = DICE.normal(size=(200, 4))
X[DICE.random(X.shape) < 0.05] = np.nan
FILLED = np.nan_to_num(X)
Y = FILLED[:, 0] * FILLED[:, 1] + FILLED[:, 2]
TWO, THREE = (Y > 0).astype(int), np.digitize(Y, [-0.7, 0.7])


NAMES = [f"{library}-{target}" for library in ("xgboost", "lightgbm") for target in ("two", "three", "value")]


@cache
def models() -> dict[str, tuple[Any, str, int]]:
    """Return fitted boosters, what their trees add up to, and how many outputs are explained."""
    import lightgbm
    import xgboost

    quiet = {"verbose": -1, "n_estimators": 10, "n_jobs": 1}
    few = {"n_estimators": 10, "n_jobs": 1}
    return {
        "xgboost-two": (xgboost.XGBClassifier(**few).fit(X, TWO), "log-odds", 1),
        "xgboost-three": (xgboost.XGBClassifier(**few).fit(X, THREE), "log-odds", 3),
        "xgboost-value": (xgboost.XGBRegressor(**few).fit(X, Y), "value", 1),
        "xgboost-counts": (xgboost.XGBRegressor(objective="count:poisson", **few).fit(X, THREE), "log of the value", 1),
        "lightgbm-two": (lightgbm.LGBMClassifier(**quiet).fit(X, TWO), "log-odds", 1),
        "lightgbm-three": (lightgbm.LGBMClassifier(**quiet).fit(X, THREE), "log-odds", 3),
        "lightgbm-value": (lightgbm.LGBMRegressor(**quiet).fit(X, Y), "value", 1),
    }


@pytest.fixture(scope="module")
def workspace() -> Any:
    with open_workspace("memory:") as workspace:
        for name, (model, _, _) in models().items():
            workspace.registry.register(name, model, example=X[:60])
        yield workspace


@pytest.mark.parametrize("name", [*NAMES, "xgboost-counts"])
def test_boosters_explain_themselves(workspace: Workspace, name: str) -> None:
    model, space, outputs = models()[name]
    columns = [column.tolist() for column in X[:9].T]
    found = workspace.explain_model(f"model:{name}@1").explain(columns, rows=9, mode="exact")
    assert found is not None
    assert (found.space, len(found.explanations[0])) == (space, outputs)
    assert "own" in found.method
    for parts in found.explanations:
        for part in parts:
            assert part.base + sum(part.contributions.values()) == pytest.approx(part.value, abs=1e-4)
    if space == "log-odds" and outputs == 1:
        shares = 1 / (1 + np.exp(-np.array([[part.value for part in parts] for parts in found.explanations])))
        np.testing.assert_allclose(shares[:, 0], model.predict_proba(X[:9])[:, 1], atol=1e-5)
    elif space == "value":
        np.testing.assert_allclose([parts[0].value for parts in found.explanations], model.predict(X[:9]), atol=1e-5)


def test_an_objective_that_nobody_knows_is_sampled() -> None:
    import xgboost

    with open_workspace("memory:") as workspace:
        model = xgboost.XGBRegressor(objective="reg:squaredlogerror", n_estimators=3, n_jobs=1).fit(X, np.abs(Y))
        workspace.registry.register("odd", model, example=X[:60])
        explain = workspace.explain_model("model:odd@1").explain
        columns = [column.tolist() for column in X[:2].T]
        assert explain(columns, rows=2, mode="exact") is None
        found = explain(columns, rows=2, permutations=2)
        assert found is not None
        assert "sampled" in found.method
