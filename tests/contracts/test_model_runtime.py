"""Model runtimes, each on a package that the registry made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
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
