"""Pipelines of scikit-learn that end in another library's trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.registry.joined_graphs import final_booster
from interlock.registry.models import Models

DICE = np.random.default_rng(0)
FRAME = pd.DataFrame(DICE.normal(size=(300, 3)), columns=["a", "b", "c"])
FRAME.loc[::7, "a"] = np.nan
FRAME["city"] = DICE.choice(["JFK", "EWR", "LGA"], 300)
Y = ((FRAME["b"] + (FRAME["city"] == "JFK")) > 0.3).astype(int)
ONE_HOT = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
DROPPED = OneHotEncoder(drop="first", handle_unknown="ignore", sparse_output=False)
"""Not written by Interlock itself."""

ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
XGB: dict[str, Any] = {"n_estimators": 5, "max_depth": 3, "n_jobs": 1}
LGB: dict[str, Any] = {"n_estimators": 5, "num_leaves": 6, "n_jobs": 1, "verbose": -1}


def pipeline(encoder: Any, final: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer([("numbers", numbers, ["a", "b", "c"]), ("strings", encoder, ["city"])])
    return make_pipeline(columns, final)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    stores = memory_stores()
    return Models(stores.models, stores.artifacts, tmp_path / "cache", runtimes=[OnnxRuntime(), SklearnRuntime()])


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize(
    "model",
    [
        pipeline(ONE_HOT, xgboost.XGBClassifier(**XGB)),
        pipeline(ORDINAL, xgboost.XGBRegressor(**XGB)),
        pipeline(ONE_HOT, lightgbm.LGBMClassifier(**LGB)),
        pipeline(DROPPED, xgboost.XGBClassifier(**XGB)),
    ],
    ids=["xgb-classifier", "xgb-regressor", "lgb-classifier", "by-the-converter"],
)
def test_steps_and_trees_become_one_graph(models: Models, model: Any) -> None:
    version = models.register("m", model.fit(FRAME, Y), example=FRAME)
    assert version.flavor == "sklearn"
    assert version.engine == "onnx", version.facts
    assert version.facts["max_difference"] < 1e-6
    assert all(column.nullable for column in version.signature.inputs)
    folder = models.package_folder(version)
    graph = onnx.load(folder / "packed.onnx").graph
    assert "TreeEnsemble" in {node.op_type for node in graph.node}
    assert [port.name for port in graph.output] == [column.name for column in version.signature.outputs]
    library = "lightgbm==" if "LGBM" in models.card(version) else "xgboost"
    assert library in (folder / "requirements.txt").read_text()


def test_the_whole_pipeline_is_served_by_scikit_learn_where_there_is_no_graph(models: Models) -> None:
    model = pipeline(ORDINAL, xgboost.XGBClassifier(**XGB, missing=-1.0)).fit(FRAME, Y)
    version = models.register("m", model, example=FRAME)
    assert version.engine == "sklearn"
    assert "stands for a missing value" in version.facts["not_compiled"]
    runtime = SklearnRuntime()
    predictor = runtime.load(models.package_folder(version), signature=version.signature, settings=version.facts)
    columns = [FRAME[name][:5].tolist() for name in FRAME.columns]
    found = predictor.predict(columns, rows=5)["probability"]
    assert found == pytest.approx(model.predict_proba(FRAME[:5])[:, 1], abs=1e-6)


def test_only_a_last_step_of_these_libraries_is_a_booster() -> None:
    final = xgboost.XGBRegressor()
    assert final_booster(make_pipeline(StandardScaler(), final)) is final
    assert final_booster(make_pipeline(StandardScaler(), SimpleImputer())) is None
    assert final_booster(final) is None
