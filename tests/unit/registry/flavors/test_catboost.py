"""CatBoost, where it is installed: its wheel is too large for every machine that runs these tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from interlock.adapters.catboost.runtime import CatboostRuntime
from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.core.errors import InvalidInput
from interlock.registry.models import Models

catboost = pytest.importorskip("catboost")

DICE = np.random.default_rng(0)
X = DICE.normal(size=(300, 4))
X[::9, 1] = np.nan
SUM = np.nan_to_num(X[:, 0] + X[:, 1])
Y = (SUM > 0).astype(int)
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(city=DICE.choice(["JFK", "EWR"], 300), gate=np.arange(300) % 4)
OPTIONS: dict[str, Any] = {"iterations": 6, "verbose": False, "allow_writing_files": False, "thread_count": 1}


@pytest.fixture
def models(tmp_path: Path) -> Models:
    stores = memory_stores()
    return Models(stores.models, stores.artifacts, tmp_path / "cache", runtimes=[OnnxRuntime(), CatboostRuntime()])


@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        (catboost.CatBoostClassifier(**OPTIONS).fit(X, Y), ["probability", "label"]),
        (
            catboost.CatBoostClassifier(**OPTIONS).fit(X, np.array(["a", "b", "c"])[np.digitize(SUM, [-0.7, 0.7])]),
            ["probability_a", "probability_b", "probability_c", "label"],
        ),
        (catboost.CatBoostRegressor(**OPTIONS).fit(X, SUM), ["prediction"]),
    ],
    ids=["classifier", "classes", "regressor"],
)
def test_trees_of_numbers_run_as_catboosts_own_graph(models: Models, model: Any, outputs: list[str]) -> None:
    version = models.register("m", model, example=X)
    assert [column.name for column in version.signature.outputs] == outputs
    assert [one["engine"] for one in version.facts["engines"]] == ["catboost", "onnx"]
    assert version.engine == "onnx"
    assert version.facts["max_difference"] < 1e-5


def test_categories_stay_with_catboost(models: Models) -> None:
    model = catboost.CatBoostClassifier(**OPTIONS, cat_features=["city", "gate"]).fit(FRAME, Y)
    version = models.register("m", model, example=FRAME)
    assert version.engine == "catboost"
    assert [column.type for column in version.signature.inputs] == ["double"] * 4 + ["string", "long"]
    assert "categories" in version.facts["not_compiled"]


def test_what_it_makes_of_the_raw_formula_is_found_out(models: Models) -> None:
    counts = catboost.CatBoostRegressor(**OPTIONS, loss_function="Poisson").fit(X, Y)
    assert models.register("counts", counts, example=X).facts["prediction_type"] == "Exponent"
    raw = catboost.CatBoost({**OPTIONS, "loss_function": "Logloss"}).fit(X, Y)
    assert models.register("raw", raw, example=X).facts["prediction_type"] == "RawFormulaVal"


def test_labels_without_a_graph_stay_with_catboost(models: Models) -> None:
    version = models.register("m", catboost.CatBoostClassifier(**OPTIONS).fit(X, Y == 1), example=X)
    assert version.engine == "catboost"
    assert version.signature.outputs[-1].type == "boolean"
    assert "no ONNX graph" in version.facts["not_compiled"]


def test_what_is_not_fitted_is_refused(models: Models) -> None:
    with pytest.raises(InvalidInput, match="not fitted"):
        models.register("m", catboost.CatBoostClassifier(**OPTIONS), example=X)


def test_mlflow_is_told_how_to_load_it(models: Models) -> None:
    version = models.register("m", catboost.CatBoostRegressor(**OPTIONS).fit(X, SUM), example=X)
    described = yaml.safe_load((models.package_folder(version) / "MLmodel").read_text())["flavors"]["catboost"]
    assert (described["data"], described["model_type"], described["save_format"]) == (
        "model.cb",
        "CatBoostRegressor",
        "cbm",
    )
