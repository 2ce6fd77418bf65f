"""XGBoost and LightGBM, registered as people have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
import yaml

from interlock.adapters.lightgbm.runtime import LightgbmRuntime
from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.adapters.treelite.runtime import TreeliteRuntime
from interlock.adapters.xgboost.runtime import XgboostRuntime
from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.ports.model_store import ModelVersion
from interlock.ports.stores import Stores
from interlock.registry.models import Models

X = np.random.default_rng(0).normal(size=(400, 4))
X[::9, 1] = np.nan
SUM = np.nan_to_num(X[:, 0] + X[:, 1])
Y = (SUM > 0).astype(int)
Y3 = np.digitize(SUM, [-0.7, 0.7])
FRAME = pd.DataFrame(X, columns=["a", "b c", "d", "e"])
XGB: dict[str, Any] = {"n_estimators": 6, "max_depth": 3, "n_jobs": 1}
LGB: dict[str, Any] = {"n_estimators": 6, "num_leaves": 6, "verbose": -1, "n_jobs": 1}
RUNTIMES = (OnnxRuntime(), XgboostRuntime(), LightgbmRuntime(), TreeliteRuntime(), SklearnRuntime())


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture
def models(stores: Stores, tmp_path: Path) -> Models:
    return Models(stores.models, stores.artifacts, tmp_path / "cache", runtimes=RUNTIMES)


def names(version: ModelVersion) -> list[str]:
    return [column.name for column in version.signature.outputs]


CASES: dict[str, tuple[Callable[[], Any], Any, list[str]]] = {
    "xgb-classifier": (lambda: xgboost.XGBClassifier(**XGB).fit(X, Y), X, ["probability", "label"]),
    "xgb-classes": (
        lambda: xgboost.XGBClassifier(**XGB).fit(FRAME, Y3),
        FRAME,
        ["probability_0", "probability_1", "probability_2", "label"],
    ),
    "xgb-regressor": (lambda: xgboost.XGBRegressor(**XGB).fit(X, SUM), X, ["prediction"]),
    "xgb-counts": (lambda: xgboost.XGBRegressor(**XGB, objective="count:poisson").fit(X, Y3), X, ["prediction"]),
    "xgb-ranker": (lambda: xgboost.XGBRanker(**XGB).fit(X, Y, group=[200, 200]), X, ["prediction"]),
    "xgb-booster": (
        lambda: xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(FRAME, label=Y), 4),
        FRAME,
        ["prediction"],
    ),
    "xgb-booster-classes": (
        lambda: xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(X, label=Y3), 3),
        X,
        ["prediction_0", "prediction_1", "prediction_2"],
    ),
    "lgb-classifier": (lambda: lightgbm.LGBMClassifier(**LGB).fit(X, Y), X, ["probability", "label"]),
    "lgb-names": (
        lambda: lightgbm.LGBMClassifier(**LGB).fit(FRAME, np.array(["no", "so", "yes"])[Y3]),
        FRAME,
        ["probability_no", "probability_so", "probability_yes", "label"],
    ),
    "lgb-regressor": (lambda: lightgbm.LGBMRegressor(**LGB).fit(X, SUM), X, ["prediction"]),
    "lgb-booster": (
        lambda: lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(X, label=Y), 4),
        X,
        ["prediction"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_model_is_compiled_to_a_graph_that_agrees(models: Models, case: str) -> None:
    make, example, outputs = CASES[case]
    version = models.register("m", make(), example=example)
    assert version.flavor == ("xgboost" if case.startswith("xgb") else "lightgbm")
    assert names(version) == outputs
    assert version.engine == "onnx", version.facts
    assert version.facts["max_difference"] < 1e-6
    assert all(column.nullable for column in version.signature.inputs)
    native, compiled = version.facts["engines"]
    assert native["engine"] == version.flavor
    assert version.facts["one_row_us"] == compiled["one_row_us"]


def test_the_rounds_after_the_best_are_left_out(models: Models) -> None:
    model = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=2, n_jobs=1)
    model.fit(X[:200], Y[:200], eval_set=[(X[200:], 1 - Y[200:])], verbose=False)
    assert model.get_booster().num_boosted_rounds() > model.best_iteration + 1
    version = models.register("early", model, example=X)
    booster = xgboost.Booster(model_file=models.package_folder(version) / "model.ubj")
    assert booster.num_boosted_rounds() == model.best_iteration + 1


def test_a_number_that_stands_for_a_gap_is_known_to_xgboost_only(models: Models) -> None:
    model = xgboost.XGBClassifier(**XGB, missing=-1.0).fit(np.where(np.isnan(X), -1.0, X), Y)
    version = models.register("marked", model, example=np.where(np.isnan(X), -1.0, X))
    assert version.engine == "xgboost"
    assert version.facts["missing"] == -1.0
    assert "stands for a missing value" in version.facts["not_compiled"]


def test_zeros_that_are_gaps_to_lightgbm_stay_with_it(models: Models) -> None:
    rows = np.where(np.random.default_rng(1).random(X.shape) < 0.4, 0, X)
    model = lightgbm.LGBMClassifier(**LGB, zero_as_missing=True).fit(rows, Y)
    version = models.register("zeros", model, example=rows)
    assert version.engine == "lightgbm"
    assert "differs" in version.facts["not_compiled"]


def test_what_has_no_graph_is_left_to_treelite(models: Models) -> None:
    model = xgboost.XGBRegressor(**XGB).fit(X, np.column_stack([SUM, -SUM]))
    version = models.register("two", model, example=X)
    assert names(version) == ["prediction_0", "prediction_1"]
    assert [one["engine"] for one in version.facts["engines"]] == ["xgboost", "treelite"]


def test_splits_by_category_are_left_to_treelite(models: Models) -> None:
    rows = X.copy()
    rows[:, 3] = np.arange(len(rows)) % 5
    model = lightgbm.LGBMRegressor(**LGB, min_data_per_group=1, cat_smooth=0.0)
    model.fit(rows, SUM + (rows[:, 3] == 2) * 5, categorical_feature=[3])
    version = models.register("kinds", model, example=rows)
    assert "onnx" not in [one["engine"] for one in version.facts["engines"]]


def test_a_tree_that_is_one_leaf_is_written_too(models: Models) -> None:
    model = xgboost.XGBRegressor(n_estimators=2, min_child_weight=1e9, base_score=0.0).fit(X, SUM + 3)
    version = models.register("flat", model, example=X)
    assert [one["engine"] for one in version.facts["engines"]] == ["xgboost", "onnx"]


def test_the_many_rows_go_to_whoever_is_quicker(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"XgboostPredictor": (50.0, 100.0), "OnnxPredictor": (5.0, 1000.0)}
    monkeypatch.setattr(
        "interlock.registry.verifying.times", lambda predictor, answers: times[type(predictor).__name__]
    )
    version = models.register("m", xgboost.XGBClassifier(**XGB).fit(X, Y), example=X)
    assert version.engine == "onnx"
    assert version.facts["many"]["engine"] == "xgboost"
    assert version.facts["many"]["settings"] == {"classes": [0, 1]}
    assert 1 < version.facts["many"]["from_rows"] <= 512
    assert (version.facts["one_row_us"], version.facts["rows512_us"]) == (5.0, 100.0)
    assert {"model.ubj", "model.onnx"} <= {file.path for file in version.files}
    assert "XGBoost answers more, 100 µs for 512" in models.card(version)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (xgboost.XGBClassifier(), "XGBClassifier is not fitted"),
        (lightgbm.LGBMRegressor(), "LGBMRegressor is not fitted"),
    ],
)
def test_what_is_not_fitted_is_refused(models: Models, stores: Stores, model: Any, match: str) -> None:
    with pytest.raises(InvalidInput, match=match) as refusal:
        models.register("m", model, example=X)
    assert refusal.value.fix == "model.fit(X, y)"
    assert stores.models.find("m") is None


def test_columns_of_text_are_refused_by_name(models: Models) -> None:
    model = xgboost.XGBRegressor(**XGB).fit(X, SUM)
    with pytest.raises(SchemaMismatch, match="'city'") as refusal:
        models.register("m", model, example={"a": [1.0], "b": [1.0], "c": [1.0], "city": ["JFK"]})
    assert "OrdinalEncoder" in refusal.value.fix


def test_categories_of_pandas_are_refused(models: Models) -> None:
    frame = FRAME.assign(city=pd.Categorical(np.array(["JFK", "EWR"])[Y]))
    model = lightgbm.LGBMRegressor(**LGB).fit(frame.rename(columns={"b c": "b"}), SUM)
    with pytest.raises(InvalidInput, match="categories of pandas"):
        models.register("m", model, example=frame)


def test_a_column_that_the_model_knows_must_be_in_the_example(models: Models) -> None:
    with pytest.raises(SchemaMismatch, match="lacks the column 'b c'"):
        models.register("m", xgboost.XGBRegressor(**XGB).fit(FRAME, SUM), example=FRAME.drop(columns=["b c"]))


@pytest.mark.parametrize(
    ("model", "flavor"),
    [
        (xgboost.XGBClassifier(**XGB).fit(X, Y), "xgboost"),
        (xgboost.train({"nthread": 1}, xgboost.DMatrix(X, label=Y), 2), "xgboost"),
        (lightgbm.LGBMClassifier(**LGB).fit(X, Y), "lightgbm"),
    ],
    ids=["xgboost", "xgboost-booster", "lightgbm"],
)
def test_mlflow_itself_loads_the_package(models: Models, model: Any, flavor: str) -> None:
    import importlib

    folder = models.package_folder(models.register("m", model, example=X))
    described = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]
    assert described["python_function"]["loader_module"] == f"mlflow.{flavor}"
    loaded = importlib.import_module(f"mlflow.{flavor}").load_model(str(folder))
    assert type(loaded).__module__.partition(".")[0] == flavor
    asked: Any = xgboost.DMatrix(X) if isinstance(loaded, xgboost.Booster) else X
    expected = model.predict_proba(X)[:, 1] if flavor == "lightgbm" else model.predict(asked)
    assert loaded.predict(asked) == pytest.approx(expected, abs=1e-6)
