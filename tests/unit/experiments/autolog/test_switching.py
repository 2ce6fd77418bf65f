"""The switch knows its libraries and its options, and what it cannot patch works as ever."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.experiments.autolog.switching import FRAMEWORKS, switch_off

Autolog = Callable[..., None]


def test_unknown_libraries_and_options_are_refused(autolog: Autolog) -> None:
    with pytest.raises(InvalidInput, match="'sklaern'") as refusal:
        autolog("sklaern")
    assert "did you mean 'sklearn'" in refusal.value.why
    with pytest.raises(InvalidInput, match="no option 'model'"):
        autolog("sklearn", model=True)
    with pytest.raises(InvalidInput, match="'nothing'"):
        switch_off("nothing")


def test_every_library_has_a_name_modules_and_a_patch() -> None:
    assert set(FRAMEWORKS) == {
        *("sklearn", "xgboost", "lightgbm", "catboost", "pytorch", "lightning", "keras", "statsmodels")
    }
    assert all(one.MODULES and callable(one.patch) for one in FRAMEWORKS.values())


def test_a_library_of_another_shape_is_said_and_left_alone(
    autolog: Autolog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    odd: Any = ModuleType("xgboost")
    odd.train = lambda: 3
    monkeypatch.setitem(sys.modules, "xgboost", odd)
    with caplog.at_level(logging.WARNING):
        autolog("xgboost")
    assert odd.train() == 3
    assert "a part of a xgboost training is not recorded" in caplog.text


def test_switching_on_imports_no_library() -> None:
    code = (
        "import sys, interlock; interlock.autolog(); "
        "print({'sklearn', 'xgboost', 'torch', 'keras', 'pandas', 'lightgbm', 'statsmodels'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_is_imported_later_is_recorded(tmp_path: Any) -> None:
    code = """
import interlock
interlock.autolog(experiment="later")
import numpy as np
from sklearn.linear_model import LinearRegression
LinearRegression().fit(np.eye(4), np.arange(4.0))
with interlock.open() as workspace:
    for run in workspace.stores.runs.runs():
        print(run.experiment, run.name, run.status)
"""
    environment = {"INTERLOCK_URI": str(tmp_path / "ws"), "HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("later LinearRegression finished\n", "")
