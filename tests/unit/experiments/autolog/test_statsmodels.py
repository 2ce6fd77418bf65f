"""Real fits of statsmodels become runs."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.unit.experiments.autolog.conftest import Recorded

RNG = np.random.default_rng(1)
FRAME = pd.DataFrame(RNG.normal(size=(120, 2)), columns=["a", "b"])
FRAME["y"] = 2 * FRAME.a - FRAME.b + 0.1 * RNG.normal(size=120)
Autolog = Callable[..., None]


def test_a_fit_is_a_run_with_its_figures_and_its_summary(autolog: Autolog, recorded: Recorded) -> None:
    formula = pytest.importorskip("statsmodels.formula.api")
    autolog("statsmodels")
    results = formula.ols("y ~ a + b", data=FRAME).fit()
    run = recorded.one
    assert (run.name, run.status, run.params["formula"]) == ("OLS", "finished", "y ~ a + b")
    assert run.metrics["rsquared"].last == pytest.approx(results.rsquared)
    assert run.metrics["nobs"].last == 120
    files = recorded.files(run)
    assert b"OLS Regression Results" in files["summary.txt"]
    table = pq.read_table(io.BytesIO(files["media/table/coefficients/000000000.parquet"])).to_pydict()
    assert table["name"] == ["Intercept", "a", "b"]
    assert table["params"] == pytest.approx(results.params.tolist())
    assert table["low"][1] < 2 < table["high"][1]
    again = pickle.loads(files["model/model.statsmodels"])
    assert again.params.tolist() == results.params.tolist()


def test_arrays_and_other_models(autolog: Autolog, recorded: Recorded) -> None:
    api = pytest.importorskip("statsmodels.api")
    autolog("statsmodels")
    api.OLS(FRAME.y.to_numpy(), api.add_constant(FRAME[["a", "b"]].to_numpy())).fit()
    api.GLM(FRAME.y, FRAME[["a", "b"]]).fit()
    assert [run.name for run in recorded.runs] == ["OLS", "GLM"]
    assert "deviance" in recorded.runs[1].metrics
