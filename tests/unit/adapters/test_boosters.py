"""Runtimes of trees, where their contract does not reach."""

from __future__ import annotations

import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import treelite
import xgboost

from interlock.adapters.catboost.runtime import CatboostRuntime
from interlock.adapters.lightgbm.runtime import LightgbmRuntime
from interlock.adapters.treelite.runtime import TreeliteRuntime
from interlock.adapters.xgboost.runtime import XgboostRuntime
from interlock.core.errors import InvalidInput, MissingExtra
from interlock.core.schema import Column, Signature
from interlock.ports.model_runtime import ModelRuntime, Predictor

X = np.random.default_rng(0).normal(size=(100, 2))
SIGNATURE = Signature((Column("a", "double"), Column("b", "double")), (Column("prediction", "double", False),))


@pytest.mark.parametrize("runtime", [CatboostRuntime(), LightgbmRuntime(), TreeliteRuntime(), XgboostRuntime()])
def test_a_missing_library_is_named(runtime: ModelRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, runtime.engine, None)
    with pytest.raises(MissingExtra, match=runtime.engine) as error:
        runtime.load(tmp_path, signature=SIGNATURE, settings={})
    assert error.value.fix.startswith("pip install 'interlock[")


@pytest.fixture(params=["xgboost", "lightgbm", "treelite"])
def predictor(request: pytest.FixtureRequest, tmp_path: Path) -> Predictor:
    trees = xgboost.train({"nthread": 1}, xgboost.DMatrix(X, label=X[:, 0]), 2)
    if request.param == "xgboost":
        (tmp_path / "model.ubj").write_bytes(trees.save_raw("ubj"))
        return XgboostRuntime().load(tmp_path, signature=SIGNATURE, settings={})
    if request.param == "treelite":
        (tmp_path / "model.tl").write_bytes(treelite.frontend.from_xgboost(trees).serialize_bytes())
        return TreeliteRuntime().load(tmp_path, signature=SIGNATURE, settings={})
    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(X, label=X[:, 0]), 2)
    booster.save_model(tmp_path / "model.lgb")
    return LightgbmRuntime().load(tmp_path, signature=SIGNATURE, settings={})


def test_a_prediction_is_in_64_bits(predictor: Predictor) -> None:
    found = predictor.predict([[0.5, 1.0], [float("nan"), -1.0]], rows=2)["prediction"]
    assert (found.dtype, found.shape) == (np.float64, (2,))


def test_rows_that_are_no_numbers_are_bad_input(predictor: Predictor) -> None:
    with pytest.raises(InvalidInput, match="refused"):
        predictor.predict([["one"], [1.0]], rows=1)
