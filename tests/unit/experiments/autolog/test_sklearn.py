"""Real fits of scikit-learn become runs."""

from __future__ import annotations

import io
import json
import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interlock.experiments.autolog import sklearn as module
from interlock.experiments.tracking import Experiments
from tests.unit.experiments.autolog.conftest import Recorded

RNG = np.random.default_rng(1)
FRAME = pd.DataFrame(RNG.normal(size=(120, 2)), columns=["a", "b"])
TRUTH = (FRAME.a > 0).astype(int)
Autolog = Callable[..., None]


def test_a_fit_is_a_run_with_its_params_its_data_and_its_model(autolog: Autolog, recorded: Recorded) -> None:
    autolog("sklearn", experiment="mine")
    model = LogisticRegression(C=0.5).fit(FRAME, TRUTH)
    run = recorded.one
    assert (run.name, run.experiment, run.status) == ("LogisticRegression", "mine", "finished")
    assert (run.params["C"], run.params["estimator_class"], run.params["max_iter"]) == (0.5, "LogisticRegression", 100)
    assert run.metrics["training_score"].last == pytest.approx(model.score(FRAME, TRUTH))
    [use] = run.datasets
    assert (use.name, use.context, json.loads(use.profile)) == ("train", "training", {"rows": 120, "targets": 1})
    assert [column["name"] for column in json.loads(use.schema)["columns"]] == ["a", "b"]
    assert run.tags["data.train"].startswith(f"b3:{use.digest}")
    described = recorded.described(run)
    assert json.loads(described["signature"]["inputs"])[0] == {"type": "double", "name": "a", "required": True}
    assert json.loads(described["signature"]["outputs"])[0]["tensor-spec"] == {"dtype": "int64", "shape": [-1]}
    example = json.loads(recorded.files(run)["model/input_example.json"])
    assert example["columns"] == ["a", "b"]
    assert example["data"] == FRAME.head(5).to_numpy().tolist()


def test_the_model_is_read_back_and_answers_the_same(autolog: Autolog, recorded: Recorded) -> None:
    sio = pytest.importorskip("skops.io")
    autolog("sklearn")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TRUTH)
    again = sio.loads(recorded.files(recorded.one)["model/model.skops"], trusted=[])
    assert (again.predict_proba(FRAME) == model.predict_proba(FRAME)).all()


def test_without_skops_it_is_a_pickle(autolog: Autolog, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.importlib.import_module

    def without(name: str) -> Any:
        if name == "skops.io":
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(module.importlib, "import_module", without)
    autolog("sklearn")
    LinearRegression().fit(FRAME, TRUTH)
    assert "model/model.pkl" in recorded.files(recorded.one)
    assert recorded.described(recorded.one)["flavors"]["sklearn"]["serialization_format"] == "pickle"


def test_the_same_data_has_the_same_digest(autolog: Autolog, recorded: Recorded) -> None:
    autolog("sklearn", models=False)
    for rows in (FRAME, FRAME.copy(), FRAME.to_numpy(), FRAME.iloc[::-1]):
        LinearRegression().fit(rows, TRUTH)
    digests = [run.tags["data.train"] for run in recorded.runs]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert "model/MLmodel" not in recorded.files(recorded.runs[0])


def test_only_the_outermost_fit_is_a_run(autolog: Autolog, recorded: Recorded) -> None:
    autolog("sklearn")
    BaggingClassifier(make_pipeline(StandardScaler(), LogisticRegression()), n_estimators=3).fit(FRAME, TRUTH)
    StandardScaler().fit(FRAME)
    assert recorded.one.params["estimator__logisticregression__C"] == 1.0
    assert recorded.one.params["estimator"] == "Pipeline"


def test_a_search_is_one_run_with_all_it_tried(autolog: Autolog, recorded: Recorded) -> None:
    autolog("sklearn")
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3).fit(FRAME, TRUTH)
    run = recorded.one
    assert run.params["best_C"] == search.best_params_["C"]
    assert run.metrics["best_score"].last == pytest.approx(search.best_score_)
    table = pq.read_table(io.BytesIO(recorded.files(run)["media/table/search/000000000.parquet"]))
    assert table["param_C"].to_pylist() == [0.1, 1.0]


def test_a_cross_validation_is_one_run(autolog: Autolog, recorded: Recorded) -> None:
    autolog("sklearn")
    scores = cross_val_score(LogisticRegression(C=2.0), FRAME, TRUTH, cv=4)
    run = recorded.one
    assert (run.name, run.params["C"]) == ("cross-validation of LogisticRegression", 2.0)
    assert run.metrics["fold_test_score"].count == 4
    assert run.metrics["mean_test_score"].last == pytest.approx(scores.mean())
    cross_val_predict(LogisticRegression(), FRAME, TRUTH, cv=3)
    learning_curve(LogisticRegression(), FRAME, TRUTH, cv=3, train_sizes=[0.5, 1.0])
    assert len(recorded.runs) == 1


def test_fits_within_a_run_are_that_run_and_children_of_it(
    autolog: Autolog, recorded: Recorded, experiments: Experiments
) -> None:
    autolog("sklearn")
    with experiments.run("mine", console=False, system_every_s=0) as run:
        LogisticRegression(C=1.0).fit(FRAME, TRUTH)
        LogisticRegression(C=2.0).fit(FRAME, TRUTH)
    first, second = recorded.runs
    assert (first.id, first.params["C"], first.experiment) == (run.id, 1.0, "mine")
    assert (second.parent, second.params["C"], second.experiment) == (run.id, 2.0, "mine")
    alone = experiments.run("alone", console=False, system_every_s=0)
    LogisticRegression().fit(FRAME, TRUTH)
    LogisticRegression().fit(FRAME, TRUTH)
    alone.end()
    assert [found.parent for found in recorded.runs[2:]] == [None, alone.id]


def test_a_fit_that_fails_is_a_failed_run_and_fails_as_ever(autolog: Autolog, recorded: Recorded) -> None:
    autolog("sklearn")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LogisticRegression().fit(FRAME, TRUTH[:7])
    assert recorded.one.status == "failed"
    assert "inconsistent" in (recorded.one.error or "")


class Odd(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that makes everything difficult but its fit."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        raise RuntimeError("no params")

    def fit(self, X: Any, y: Any = None) -> Odd:  # noqa: N803
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        raise RuntimeError("no predictions")

    def __reduce__(self) -> Any:
        raise RuntimeError("no pickle")


def test_what_fails_in_recording_does_not_reach_the_training(
    autolog: Autolog, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    autolog("sklearn")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert Odd().fit(object(), object()).fitted_
    assert [run.status for run in recorded.runs] == ["finished", "finished"]
    assert caplog.text.count("RuntimeError: no params") == 1, "said once"


def test_a_store_that_fails_does_not_reach_the_training(
    autolog: Autolog, monkeypatch: pytest.MonkeyPatch, experiments: Experiments, caplog: pytest.LogCaptureFixture
) -> None:
    autolog("sklearn")

    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("nothing works")

    monkeypatch.setattr(experiments._around.spool, "begin", broken)
    assert LogisticRegression().fit(FRAME, TRUTH).coef_.shape == (1, 2)
    assert "nothing works" in caplog.text


def test_fits_of_threads_are_runs_of_their_own_unless_a_fit_started_them(autolog: Autolog, recorded: Recorded) -> None:
    autolog("sklearn", models=False)

    class Threaded(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Threaded:  # noqa: N803
            work(lambda: LogisticRegression().fit(X, y))
            return self

    def work(fit: Callable[[], Any]) -> None:
        thread = threading.Thread(target=fit)
        thread.start()
        thread.join()

    Threaded().fit(FRAME, TRUTH)
    assert [run.name for run in recorded.runs] == ["Threaded"]
    work(lambda: LogisticRegression().fit(FRAME, TRUTH))
    assert [run.name for run in recorded.runs] == ["Threaded", "LogisticRegression"]


def test_classes_made_later_are_recorded_and_switching_off_leaves_nothing(autolog: Autolog, recorded: Recorded) -> None:
    from interlock.experiments.autolog.switching import switch_off

    before = (vars(LogisticRegression)["fit"], vars(BaseEstimator).get("__init_subclass__"), cross_validate)
    autolog("sklearn", models=False)

    class Later(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: Any, y: Any = None) -> Later:  # noqa: N803
            return self

    Later().fit(FRAME, TRUTH)
    assert [run.name for run in recorded.runs] == ["Later"]
    autolog("sklearn", models=False)
    Later().fit(FRAME, TRUTH)
    assert len(recorded.runs) == 2, "twice switched on is recorded once"
    switch_off()
    Later().fit(FRAME, TRUTH)
    LogisticRegression().fit(FRAME, TRUTH)
    assert len(recorded.runs) == 2
    assert (vars(LogisticRegression)["fit"], vars(BaseEstimator).get("__init_subclass__"), cross_validate) == before


def test_sparse_and_weighted_and_keyword_fits(autolog: Autolog, recorded: Recorded) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    autolog("sklearn")
    rows = sparse.csr_matrix(FRAME.to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LogisticRegression().fit(X=rows, y=TRUTH, sample_weight=np.ones(120))
        LogisticRegression().fit(rows.copy(), TRUTH)
    first, second = recorded.runs
    assert first.tags["data.train"] == second.tags["data.train"]
    assert json.loads(first.datasets[0].schema) == {"shape": [[2], "float64"]}


class Mute(BaseEstimator):  # type: ignore[misc]
    """Fits, and answers nothing."""

    def fit(self, rows: Any, truth: Any) -> Mute:
        self.fitted_ = True
        return self

    def predict(self, rows: Any) -> Any:
        raise RuntimeError("not now")


def test_a_model_that_cannot_answer_is_kept_all_the_same(autolog: Autolog, recorded: Recorded) -> None:
    autolog("sklearn")
    Mute().fit(FRAME, TRUTH)
    signature = recorded.described(recorded.one)["signature"]
    assert (bool(signature["inputs"]), signature["outputs"]) == (True, None)
