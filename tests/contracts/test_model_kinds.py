"""Runtimes of Python functions, graphs, linear models and MLflow folders, each on a package that the registry made."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from interlock.adapters.statsmodels.runtime import LinearRuntime
from interlock.ports.model_runtime import ModelRuntime
from interlock.registry.flavors.graphs import ensemble
from interlock.testing.model_runtime import ModelRuntimeContract, Package
from interlock.workspace import Workspace, open_workspace

FRAME = pd.DataFrame({"x": np.linspace(-1, 1, 40), "n": range(40)})
COLUMNS: list[list[Any]] = [[0.5, float("nan"), 1.0], [1, 2, 3]]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "w") as opened:
        yield opened


def runtime_of(workspace: Workspace, engine: str) -> ModelRuntime:
    return next(one for one in workspace.runtimes if one.engine == engine)


def scored(row: dict[str, Any]) -> Any:
    known = row["x"] == row["x"]
    return {"score": row["x"] * 2 if known else -1.0, "count": row["n"] + 1, "known": known, "text": f"n{row['n']}"}


def packaged(workspace: Workspace, model: Any, *, model_file: str, **options: Any) -> Package:
    """Register a model, and ask its package rows of which one lacks a value."""
    version = workspace.registry.register("m", model, example=FRAME, **options)
    columns = [COLUMNS[["x", "n"].index(name)] for name in version.signature.input_names]
    return Package(
        workspace.registry.package_folder(version), model_file, version.signature, columns, {}, settings=version.facts
    )


class TestPython(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self, workspace: Workspace) -> ModelRuntime:
        return runtime_of(workspace, "python")

    @pytest.fixture
    def package(self, workspace: Workspace) -> Package:
        package = packaged(workspace, scored, model_file="model.signed")
        package.expected.update({"score": [1.0, -1.0, 2.0], "count": [2, 3, 4]})
        return package


class TestGraph(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self, workspace: Workspace) -> ModelRuntime:
        return runtime_of(workspace, "graph")

    @pytest.fixture
    def package(self, workspace: Workspace) -> Package:
        workspace.registry.register("member", scored, example=FRAME)

        def told(answers: list[dict[str, list[Any]]]) -> dict[str, Any]:
            return {"score": answers[0]["score"], "text": answers[1]["text"]}

        package = packaged(workspace, ensemble("member", "member", combine=told), model_file="graph.json")
        package.expected.update({"score": [1.0, -1.0, 2.0]})
        return package


class TestLinear(ModelRuntimeContract):
    @pytest.fixture
    def runtime(self) -> ModelRuntime:
        return LinearRuntime()

    @pytest.fixture
    def package(self, workspace: Workspace) -> Package:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import statsmodels.formula.api as smf

            results = smf.ols("y ~ x + I(n ** 2)", FRAME.assign(y=1 + 2 * FRAME.x + 3 * FRAME.n**2)).fit()
        package = packaged(workspace, results, model_file="linear.json")
        columns = [[0.5, 0.0, 1.0] if name == "x" else [1, 2, 3] for name in package.signature.input_names]
        expected = {"prediction": [5.0, 13.0, 30.0]}
        return Package(package.folder, package.model_file, package.signature, columns, expected)


class TestMlflow(ModelRuntimeContract):
    pytestmark = pytest.mark.filterwarnings("ignore")

    @pytest.fixture
    def runtime(self, workspace: Workspace) -> ModelRuntime:
        return runtime_of(workspace, "mlflow")

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("mlflow") / "saved"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlflow.pyfunc

            class Filling(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
                def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
                    return model_input["x"].fillna(0.0) + model_input["n"]

            mlflow.pyfunc.save_model(folder, python_model=Filling(), pip_requirements=["pandas"])
        return folder

    @pytest.fixture
    def package(self, workspace: Workspace, folder: Path) -> Package:
        package = packaged(workspace, folder, model_file="folder.signed", trusted_types=["pickle"])
        package.expected.update({"prediction": [1.5, 2.0, 4.0]})
        return package
