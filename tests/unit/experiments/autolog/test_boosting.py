"""Real trainings of XGBoost, LightGBM and CatBoost become runs, round by round."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from interlock.experiments.tracking import Experiments
from tests.unit.experiments.autolog.conftest import Recorded

RNG = np.random.default_rng(1)
FRAME = pd.DataFrame(RNG.normal(size=(200, 3)), columns=["a", "b", "c"])
TRUTH = (FRAME.a + FRAME.b > 0).astype(int)
Autolog = Callable[..., None]


def importance(recorded: Recorded) -> list[str]:
    data = recorded.files(recorded.one)["media/table/importance/000000000.parquet"]
    names: list[str] = pq.read_table(io.BytesIO(data))["column"].to_pylist()
    return names


def test_xgboost_trains(autolog: Autolog, recorded: Recorded) -> None:
    xgboost = pytest.importorskip("xgboost")
    autolog("xgboost")
    data = xgboost.DMatrix(FRAME, label=TRUTH)
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 2},
        data,
        6,
        evals=[(data, "train")],
        evals_result=history,
        verbose_eval=False,
    )
    run = recorded.one
    assert (run.name, run.status, run.params["max_depth"], run.params["num_boost_round"]) == (
        "xgboost", "finished", 2, 6,
    )  # fmt: skip
    assert run.metrics["train-logloss"].count == 6
    assert run.metrics["train-logloss"].last == pytest.approx(history["train"]["logloss"][-1])
    assert importance(recorded)[:2] in (["a", "b"], ["b", "a"])
    again = xgboost.Booster(model_file=bytearray(recorded.files(run)["model/model.ubj"]))
    assert (again.predict(data) == booster.predict(data)).all()
    assert run.params["rows"] == 200
    assert json.loads(recorded.described(run)["signature"]["outputs"])[0]["tensor-spec"]["shape"] == [-1]


def test_xgboost_fits_as_scikit_learn_does(autolog: Autolog, recorded: Recorded) -> None:
    xgboost = pytest.importorskip("xgboost")
    autolog()
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=2)
    model.fit(FRAME, TRUTH, eval_set=[(FRAME, TRUTH)], verbose=False)
    run = recorded.one
    assert (run.name, run.params["max_depth"], run.tags["autolog"]) == ("XGBClassifier", 2, "xgboost")
    assert run.metrics["validation_0-logloss"].count == 5
    described = recorded.described(run)
    assert described["flavors"]["xgboost"]["model_class"] == "xgboost.sklearn.XGBClassifier"
    assert [column["name"] for column in json.loads(described["signature"]["inputs"])] == ["a", "b", "c"]


def test_xgboost_inside_a_search_is_part_of_that(autolog: Autolog, recorded: Recorded) -> None:
    xgboost = pytest.importorskip("xgboost")
    selection = pytest.importorskip("sklearn.model_selection")
    autolog()
    search = selection.GridSearchCV(xgboost.XGBClassifier(n_estimators=3), {"max_depth": [1, 2]}, cv=2)
    search.fit(FRAME, TRUTH)
    assert (recorded.one.name, recorded.one.tags["autolog"]) == ("GridSearchCV", "sklearn")
    assert set(recorded.one.metrics) == {"best_score", "training_score"}


def test_lightgbm_trains(autolog: Autolog, recorded: Recorded) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    autolog("lightgbm")
    data = lightgbm.Dataset(FRAME, TRUTH, free_raw_data=False)
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, data, 6, valid_sets=[data])
    run = recorded.one
    assert (run.params["objective"], run.params["num_boost_round"]) == ("binary", 6)
    assert run.metrics["training-binary_logloss"].count == 6
    assert importance(recorded)[:2] in (["a", "b"], ["b", "a"])
    again = lightgbm.Booster(model_str=recorded.files(run)["model/model.lgb"].decode())
    assert np.allclose(again.predict(FRAME), booster.predict(FRAME))
    assert json.loads(recorded.described(run)["signature"]["outputs"])[0]["tensor-spec"]["shape"] == [-1]


def test_lightgbm_fits_as_scikit_learn_does(autolog: Autolog, recorded: Recorded, experiments: Experiments) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    autolog()
    with experiments.run("mine", console=False, system_every_s=0) as run:
        lightgbm.LGBMClassifier(n_estimators=4, verbose=-1).fit(FRAME, TRUTH, eval_X=FRAME, eval_y=TRUTH)
    assert recorded.one.id == run.id
    assert recorded.one.params["n_estimators"] == 4
    assert any(key.endswith("binary_logloss") and one.count == 4 for key, one in recorded.one.metrics.items())
    assert recorded.described(recorded.one)["flavors"]["lightgbm"]["model_class"] == "lightgbm.basic.Booster"


def test_catboost_fits(autolog: Autolog, recorded: Recorded, tmp_path: Path) -> None:
    catboost = pytest.importorskip("catboost")
    autolog()
    model = catboost.CatBoostClassifier(iterations=5, depth=2, verbose=0, train_dir=str(tmp_path))
    model.fit(FRAME, TRUTH)
    run = recorded.one
    assert (run.name, run.params["depth"], run.status) == ("CatBoostClassifier", 2, "finished")
    assert run.metrics["learn-Logloss"].count == 5
    assert importance(recorded)[:2] in (["a", "b"], ["b", "a"])
    (tmp_path / "model.cb").write_bytes(recorded.files(run)["model/model.cb"])
    again = catboost.CatBoostClassifier().load_model(str(tmp_path / "model.cb"))
    assert (again.predict(FRAME) == model.predict(FRAME)).all()
