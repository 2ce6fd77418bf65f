"""Model runtimes, each on a package that the registry made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost

from interlock.adapters.catboost.runtime import CatboostRuntime
from interlock.adapters.lightgbm.runtime import LightgbmRuntime
from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.adapters.treelite.runtime import TreeliteRuntime
from interlock.adapters.xgboost.runtime import XgboostRuntime
from interlock.core.errors import InvalidInput
from interlock.ports.model_runtime import ModelRuntime, Predictor
from interlock.ports.model_store import ModelVersion
from interlock.registry.models import Models
from interlock.testing.model_runtime import ModelRuntimeContract, Package
from tests.fitted import NUMBERS, STRINGS, flight_delay, flights


def make_package(folder: Path, model: Any, *, model_file: str) -> tuple[Package, ModelVersion]:
    stores = memory_stores()
    models = Models(stores.models, stores.artifacts, folder / "cache", runtimes=[OnnxRuntime(), SklearnRuntime()])
    version = models.register("delay", model, example=flights())
    table = flights().slice(0, 40)
    columns: list[list[Any]] = [
        [float("nan") if value is None else value for value in table.column(name).to_pylist()] for name in NUMBERS
    ]
    columns += [table.column(name).to_pylist() for name in STRINGS]
    columns[-2][5] = None
    rows = table.set_column(3, "carrier", [columns[-2]])
    shares = model.predict_proba(rows)[:, 1]
    expected = {"probability": shares.tolist(), "label": (shares > 0.5).astype(int).tolist()}
    package = Package(
        models.package_folder(version), model_file, version.signature, columns, expected, settings=version.facts
    )
    return package, version


class TestOnnx(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self) -> ModelRuntime:
        return OnnxRuntime()

    @pytest.fixture
    def package(self, tmp_path: Path) -> Package:
        return make_package(tmp_path, flight_delay(), model_file="packed.onnx")[0]


class TestOnnxWithOneInputPerColumn(TestOnnx):
    @pytest.fixture
    def package(self, tmp_path: Path) -> Package:
        package = make_package(tmp_path, flight_delay(), model_file="model.onnx")[0]
        (package.folder / "packed.onnx").unlink()
        return package


class TestSklearn(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self) -> ModelRuntime:
        return SklearnRuntime()

    @pytest.fixture
    def package(self, tmp_path: Path) -> Package:
        return make_package(tmp_path, flight_delay(), model_file="model.skops")[0]

    def test_rows_that_the_model_refuses_are_bad_input(self, predictor: Predictor, package: Package) -> None:
        columns = [["not a number"], *([values[0]] for values in package.columns[1:])]
        with pytest.raises(InvalidInput):
            predictor.predict(columns, rows=1)


def make_trees(folder: Path, kind: str, *, model_file: str) -> Package:
    """Register a boosted model of numbers with gaps, and return its package for the engine of its own library."""
    rows = np.random.default_rng(3).normal(size=(300, 4))
    rows[::7, 2] = np.nan
    target = np.where(np.nan_to_num(rows[:, 2]) + rows[:, 0] > 0, 1, 0)
    model: Any
    if kind == "xgboost":
        model = xgboost.XGBClassifier(n_estimators=5, max_depth=3).fit(rows, target)
    elif kind == "lightgbm":
        model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(rows, target)
    else:
        catboost = pytest.importorskip("catboost")
        model = catboost.CatBoostClassifier(iterations=5, verbose=False, allow_writing_files=False).fit(rows, target)
    stores = memory_stores()
    runtimes: list[ModelRuntime] = [OnnxRuntime(), XgboostRuntime(), LightgbmRuntime(), CatboostRuntime()]
    models = Models(stores.models, stores.artifacts, folder / "cache", runtimes=runtimes)
    version = models.register(kind, model, example=rows)
    some = rows[:20]
    shares = model.predict_proba(some)[:, 1].astype(float)
    expected = {"probability": shares.tolist(), "label": (shares > 0.5).astype(int).tolist()}
    columns = some.T.tolist()
    return Package(
        models.package_folder(version), model_file, version.signature, columns, expected, settings=version.facts
    )


class TestOnnxTrees(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self) -> ModelRuntime:
        return OnnxRuntime()

    @pytest.fixture
    def package(self, tmp_path: Path) -> Package:
        return make_trees(tmp_path, "xgboost", model_file="model.onnx")


class TestXgboost(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self) -> ModelRuntime:
        return XgboostRuntime()

    @pytest.fixture
    def package(self, tmp_path: Path) -> Package:
        return make_trees(tmp_path, "xgboost", model_file="model.ubj")


class TestLightgbm(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self) -> ModelRuntime:
        return LightgbmRuntime()

    @pytest.fixture
    def package(self, tmp_path: Path) -> Package:
        return make_trees(tmp_path, "lightgbm", model_file="model.lgb")


class TestCatboost(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self) -> ModelRuntime:
        return CatboostRuntime()

    @pytest.fixture
    def package(self, tmp_path: Path) -> Package:
        return make_trees(tmp_path, "catboost", model_file="model.cb")


class TestTreelite(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self) -> ModelRuntime:
        return TreeliteRuntime()

    @pytest.fixture
    def package(self, tmp_path: Path) -> Package:
        import treelite

        package = make_trees(tmp_path, "lightgbm", model_file="model.tl")
        booster = lightgbm.Booster(model_file=package.folder / "model.lgb")
        data = treelite.frontend.from_lightgbm(booster).serialize_bytes()
        (package.folder / package.model_file).write_bytes(data)
        return package
