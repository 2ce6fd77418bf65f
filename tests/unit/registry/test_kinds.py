from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from interlock.core.errors import InvalidInput
from interlock.registry.flavors.listed import KINDS, kind_of
from interlock.registry.kinds import comes_from, first_that_takes, type_names


def test_an_object_is_known_by_the_names_of_its_class_and_bases() -> None:
    class Mine(dict[str, Any]):
        pass

    assert "builtins.dict" in type_names(Mine())
    assert comes_from(Mine(), "builtins")
    assert not comes_from(Mine(), "sklearn")


def test_what_no_kind_takes_is_refused_with_all_kinds() -> None:
    with pytest.raises(InvalidInput, match="a dict is not a model") as refusal:
        kind_of({})
    for kind in KINDS:
        assert kind.takes in refusal.value.why
    assert first_that_takes(KINDS, 3) is None


def test_every_kind_has_a_flavor_of_its_own_name_or_is_a_reader_of_one() -> None:
    assert all(kind.flavor and kind.takes for kind in KINDS)


def test_boosted_estimators_are_not_taken_for_scikit_learns() -> None:
    import lightgbm
    import xgboost
    from sklearn.linear_model import LinearRegression

    models = [xgboost.XGBRegressor(), lightgbm.LGBMRegressor(), LinearRegression()]
    assert [kind_of(model).flavor for model in models] == ["xgboost", "lightgbm", "sklearn"]


def test_asking_imports_nothing() -> None:
    code = (
        "import sys; from interlock.registry.flavors.listed import KINDS;"
        "from interlock.registry.kinds import first_that_takes;"
        "first_that_takes(KINDS, 3); first_that_takes(KINDS, b''); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "numpy",
        "sklearn",
        "onnx",
        "onnxruntime",
        "xgboost",
        "lightgbm",
        "catboost",
        "treelite",
        "torch",
        "pandas",
    }
    assert not heavy & set(loaded)
