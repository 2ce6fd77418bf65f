"""Results of statsmodels are answered from their coefficients, or as signed Python."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from interlock.core.errors import InvalidInput, SchemaMismatch
from interlock.workspace import Workspace, open_workspace

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

pytestmark = pytest.mark.filterwarnings("ignore")

_dice = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "x": _dice.normal(size=150),
        "z": _dice.uniform(1, 5, size=150),
        "c": _dice.choice(list("abc"), 150),
        "d": _dice.choice(["u", "v"], 150),
        "k": _dice.choice([1, 2, 3], 150),
    }
)
FRAME["y"] = 2 * FRAME.x + np.log(FRAME.z) + (FRAME.c == "b") + _dice.normal(size=150) / 10
FRAME["late"] = ((FRAME.y + _dice.normal(size=150)) > 1.5).astype(int)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "w") as opened:
        yield opened


def said(workspace: Workspace, results: Any, example: Any = FRAME) -> tuple[str, list[float]]:
    version = workspace.registry.register("s", results, example=example)
    columns = [FRAME[name].tolist() for name in version.signature.input_names]
    return version.engine, workspace.load_model(version.ref).predictor.predict(columns, rows=len(FRAME))["prediction"]


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x*C(c) + np.log(z) + I(x**2)",
        "y ~ C(c)*d*x + C(k) - 1",
        "y ~ C(c, Sum) + x:z",
    ],
)
def test_formulas_are_answered_without_the_library(workspace: Workspace, formula: str) -> None:
    results = smf.ols(formula, FRAME).fit()
    engine, answer = said(workspace, results)
    assert engine == "statsmodels"
    assert answer == pytest.approx(results.predict(FRAME).to_numpy(), abs=1e-9)


@pytest.mark.parametrize(
    "make",
    [
        lambda: smf.logit("late ~ x + c", FRAME).fit(disp=0),
        lambda: smf.probit("late ~ x", FRAME).fit(disp=0),
        lambda: smf.glm("late ~ x", FRAME, family=sm.families.Binomial(sm.families.links.CLogLog())).fit(),
        lambda: smf.glm("k ~ x", FRAME, family=sm.families.Poisson()).fit(),
        lambda: smf.glm("z ~ x", FRAME, family=sm.families.Gamma(sm.families.links.Log())).fit(),
    ],
)
def test_links_are_those_of_the_model(workspace: Workspace, make: Any) -> None:
    results = make()
    engine, answer = said(workspace, results)
    assert engine == "statsmodels"
    assert answer == pytest.approx(results.predict(FRAME).to_numpy(), abs=1e-9)


def test_a_matrix_with_a_constant_needs_no_column_of_ones(workspace: Workspace) -> None:
    exog = sm.add_constant(FRAME[["x", "z"]])
    results = sm.OLS(FRAME.y, exog).fit()
    engine, answer = said(workspace, results, FRAME[["x", "z"]])
    assert engine == "statsmodels"
    assert answer == pytest.approx(results.predict(exog).to_numpy(), abs=1e-9)
    version = workspace.registry.register("s", sm.OLS(FRAME.y.values, exog.values).fit(), example=exog.values)
    assert version.signature.input_names == ("x1", "x2")


def test_what_remembers_its_data_travels_as_python(workspace: Workspace) -> None:
    results = smf.ols("y ~ center(x) + C(c)", FRAME).fit()
    engine, answer = said(workspace, results)
    assert engine == "python"
    assert answer == pytest.approx(results.predict(FRAME).to_numpy(), abs=1e-9)
    version = workspace.registry.resolve("s")
    assert (version.flavor, version.signature.input_names) == ("statsmodels", ("x", "c"))


def test_rows_without_an_answer_are_refused(workspace: Workspace) -> None:
    version = workspace.registry.register("s", smf.ols("y ~ C(c) + np.log(z)", FRAME).fit(), example=FRAME)
    predictor = workspace.load_model(version.ref).predictor
    assert not any(column.nullable for column in version.signature.inputs)
    with pytest.raises(InvalidInput, match="knows no 'q'"):
        predictor.predict([["q"], [1.0]], rows=1)
    with pytest.raises(InvalidInput, match="lacks a value"):
        predictor.predict([[None], [1.0]], rows=1)
    with pytest.raises(InvalidInput, match="no answer for row 1"):
        predictor.predict([["a", "b"], [1.0, -1.0]], rows=2)


def test_what_was_not_fitted_is_told(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput, match="is not fitted"):
        workspace.registry.register("s", smf.ols("y ~ x", FRAME), example=FRAME)
    with pytest.raises(SchemaMismatch, match="lacks the column 'x'"):
        workspace.registry.register("s", smf.ols("y ~ x", FRAME).fit(), example=FRAME[["z"]])
