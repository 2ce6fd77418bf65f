"""Folders that MLflow saved are taken apart, or run through it by somebody who trusts them."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from interlock.core.errors import Corrupt, InvalidInput, MissingExtra, NotFound, Refused, StepFailed
from interlock.workspace import Workspace, open_workspace

pytestmark = pytest.mark.filterwarnings("ignore")

FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 2)), columns=["a", "b"])
LATE = (FRAME.a > 0).astype(int)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "w") as opened:
        yield opened


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of folders as MLflow saves them."""
    folder = tmp_path_factory.mktemp("mlflow")
    os.environ.setdefault("MLFLOW_ENABLE_TELEMETRY", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
        import mlflow.sklearn

        class Doubling(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
            def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
                if (model_input["a"] > 100).any():
                    raise ValueError("too large")
                if (model_input["a"] < -100).any():
                    raise RuntimeError("too small")
                return model_input["a"] * 2

        model = LogisticRegression().fit(FRAME, LATE)
        pins: dict[str, Any] = {"pip_requirements": ["scikit-learn"]}
        mlflow.sklearn.save_model(model, folder / "skops", input_example=FRAME[:40], **pins)
        mlflow.sklearn.save_model(model, folder / "pickle", serialization_format="cloudpickle", **pins)
        mlflow.pyfunc.save_model(folder / "python", python_model=Doubling(), pip_requirements=["pandas"])
    return folder


def share(workspace: Workspace, ref: str) -> list[float]:
    loaded = workspace.load_model(ref)
    answer = loaded.predictor.predict([FRAME.a.tolist(), FRAME.b.tolist()], rows=len(FRAME))
    found: list[float] = answer["probability"].tolist()
    return found


def test_what_skops_wrote_is_a_model_of_our_own(workspace: Workspace, saved: Path) -> None:
    version = workspace.registry.register("m", saved / "skops")
    assert (version.flavor, version.facts["from_mlflow"]) == ("sklearn", "sklearn")
    expected = LogisticRegression().fit(FRAME, LATE).predict_proba(FRAME)[:, 1]
    assert share(workspace, version.ref) == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_pickle_is_read_for_who_trusts_it(workspace: Workspace, saved: Path) -> None:
    with pytest.raises(Refused, match="the sklearn model is a pickle") as caught:
        workspace.registry.register("m", str(saved / "pickle"), example=FRAME)
    assert 'trusted_types=["pickle"]' in caught.value.fix
    version = workspace.registry.register("m", str(saved / "pickle"), example=FRAME, trusted_types=["pickle"])
    assert "model.skops" in {file.path for file in version.files}
    assert share(workspace, version.ref)


def test_code_of_its_own_runs_through_mlflow(workspace: Workspace, saved: Path) -> None:
    with pytest.raises(Refused, match="code of its own"):
        workspace.registry.register("m", saved / "python", example=FRAME)
    version = workspace.registry.register("m", saved / "python", example=FRAME, trusted_types=["pickle"])
    assert version.engine == "mlflow"
    predictor = workspace.load_model(version.ref).predictor
    assert predictor.predict([[1.0, 2.0], [0.0, 0.0]], rows=2)["prediction"].tolist() == [2.0, 4.0]
    with pytest.raises(InvalidInput, match="refused the rows") as refusal:
        predictor.predict([[1000.0], [0.0]], rows=1)
    assert "ValueError: too large" in refusal.value.why
    with pytest.raises(StepFailed, match="the model failed"):
        predictor.predict([[-1000.0], [0.0]], rows=1)


def test_a_changed_folder_is_refused(workspace: Workspace, saved: Path) -> None:
    version = workspace.registry.register("m", saved / "python", example=FRAME, trusted_types=["pickle"])
    folder = workspace.registry.package_folder(version)
    runtime = next(one for one in workspace.runtimes if one.engine == "mlflow")
    (folder / "mlflow" / "python_model.pkl").write_bytes(b"other code")
    with pytest.raises(Refused, match=r"python_model.pkl"):
        runtime.load(folder, signature=version.signature, settings=version.facts)


def described(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text(text)
    return folder


def test_files_outside_of_the_folder_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret.skops").write_bytes(b"x")
    text = "flavors:\n  sklearn:\n    pickled_model: ../secret.skops\n    serialization_format: skops\n"
    with pytest.raises(Refused, match=r"names '../secret.skops'"):
        workspace.registry.register("m", described(tmp_path / "bad", text), example=FRAME)
    (tmp_path / "bad" / "link.skops").symlink_to(tmp_path / "secret.skops")
    described(tmp_path / "bad", text.replace("../secret", "link"))
    with pytest.raises(Refused, match=r"names 'link.skops'"):
        workspace.registry.register("m", tmp_path / "bad", example=FRAME)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("flavors: 3\n", InvalidInput, "names no flavor"),
        ("run_id: 3\n", InvalidInput, "names no flavor"),
        ("flavors:\n  sklearn: [a, b\n", InvalidInput, "cannot be read"),
        ("flavors:\n  sklearn:\n    serialization_format: skops\n", Refused, "names 'None'"),
        (
            "flavors:\n  sklearn:\n    pickled_model: none.skops\n    serialization_format: skops\n",
            InvalidInput,
            "cannot be read",
        ),
    ],
)
def test_hostile_descriptions_are_told(workspace: Workspace, tmp_path: Path, text: str, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        workspace.registry.register("m", described(tmp_path / "bad", text), example=FRAME)


def test_a_folder_without_a_model_is_told(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no model"):
        workspace.registry.register("m", tmp_path / "nowhere", example=FRAME)


def test_an_example_that_cannot_be_read_is_as_good_as_none(workspace: Workspace, saved: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(saved / "skops", copy)
    (copy / "input_example.json").write_text(json.dumps({"columns": 3}))
    with pytest.raises(InvalidInput, match="no example"):
        workspace.registry.register("m", copy)


def test_unknown_types_are_named(workspace: Workspace, saved: Path, tmp_path: Path) -> None:
    import shutil

    import skops.io

    copy = tmp_path / "copy"
    shutil.copytree(saved / "skops", copy)
    (copy / "model.skops").write_bytes(skops.io.dumps({"a": Path("x")}))
    with pytest.raises((Refused, InvalidInput, Corrupt)):
        workspace.registry.register("m", copy)


def folder_of(folder: Path, flavor: str, **fields: str) -> Path:
    lines = "".join(f"    {name}: {value}\n" for name, value in fields.items())
    return described(folder, f"flavors:\n  {flavor}:\n{lines}  python_function:\n    loader_module: mlflow.{flavor}\n")


def test_xgboosts_own_file_is_read(workspace: Workspace, tmp_path: Path) -> None:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=5).fit(FRAME, LATE)
    folder = folder_of(tmp_path / "x", "xgboost", data="model.ubj", model_class="xgboost.sklearn.XGBClassifier")
    model.save_model(folder / "model.ubj")
    version = workspace.registry.register("m", folder, example=FRAME)
    assert version.flavor == "xgboost"
    assert share(workspace, version.ref) == pytest.approx(model.predict_proba(FRAME)[:, 1].tolist(), abs=1e-5)
    described(folder, (folder / "MLmodel").read_text().replace("sklearn.XGBClassifier", "core.Booster"))
    booster = workspace.registry.register("m", folder, example=FRAME)
    assert [column.name for column in booster.signature.outputs] == ["prediction"]
    (folder / "model.ubj").write_bytes(b"not a model")
    with pytest.raises(InvalidInput, match="cannot be read"):
        workspace.registry.register("m", folder, example=FRAME)


def test_lightgbms_own_file_is_read(workspace: Workspace, tmp_path: Path) -> None:
    import cloudpickle
    import lightgbm
    import skops.io

    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(FRAME, LATE)
    folder = folder_of(tmp_path / "l", "lightgbm", data="model.lgb")
    model.booster_.save_model(folder / "model.lgb")
    version = workspace.registry.register("m", folder, example=FRAME)
    assert (version.flavor, [column.name for column in version.signature.outputs]) == ("lightgbm", ["prediction"])
    skops.io.dump(model, folder / "model.skops")
    folder_of(folder, "lightgbm", data="model.skops")
    version = workspace.registry.register("m", folder, example=FRAME)
    assert share(workspace, version.ref) == pytest.approx(model.predict_proba(FRAME)[:, 1].tolist(), abs=1e-5)
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(model))
    folder_of(folder, "lightgbm", data="model.pkl")
    with pytest.raises(Refused, match="the lightgbm model is a pickle"):
        workspace.registry.register("m", folder, example=FRAME)
    version = workspace.registry.register("m", folder, example=FRAME, trusted_types=["pickle"])
    assert version.flavor == "lightgbm"
    (folder / "model.pkl").write_bytes(b"not a pickle")
    with pytest.raises(InvalidInput, match="cannot be unpickled"):
        workspace.registry.register("m", folder, example=FRAME, trusted_types=["pickle"])
    (folder / "model.lgb").write_text("not a model")
    folder_of(folder, "lightgbm", data="model.lgb")
    with pytest.raises(InvalidInput, match="cannot be read"):
        workspace.registry.register("m", folder, example=FRAME)


def test_results_of_statsmodels_are_read_for_who_trusts_them(workspace: Workspace, tmp_path: Path) -> None:
    import pickle

    import statsmodels.api as sm

    results = sm.OLS(FRAME.a, FRAME[["b"]]).fit()
    folder = folder_of(tmp_path / "s", "statsmodels", data="model.statsmodels")
    (folder / "model.statsmodels").write_bytes(pickle.dumps(results))
    version = workspace.registry.register("m", folder, example=FRAME, trusted_types=["pickle"])
    assert (version.engine, version.facts["from_mlflow"]) == ("statsmodels", "statsmodels")


def test_an_onnx_graph_is_taken_as_it_is(workspace: Workspace, saved: Path, tmp_path: Path) -> None:
    ours = workspace.registry.register("ours", LogisticRegression().fit(FRAME.to_numpy(), LATE), example=FRAME)
    graph = next((workspace.registry.package_folder(ours) / name) for name in ["model.onnx"])
    folder = folder_of(tmp_path / "o", "onnx", data="graph.onnx")
    (folder / "graph.onnx").write_bytes(graph.read_bytes())
    version = workspace.registry.register("m", folder)
    assert (version.flavor, version.engine) == ("onnx", "onnx")


def test_what_only_mlflow_loads_needs_it(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    folder = folder_of(tmp_path / "p", "prophet", data="model.pr")
    with pytest.raises(Refused, match="the prophet model"):
        workspace.registry.register("m", folder, example=FRAME)
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", None)
    with pytest.raises(MissingExtra, match="can be loaded by MLflow only"):
        workspace.registry.register("m", folder, example=FRAME, trusted_types=["pickle"])


def test_a_python_model_that_fails_on_its_example_is_told(workspace: Workspace, saved: Path) -> None:
    with pytest.raises(StepFailed, match="fails on its example"):
        workspace.registry.register("m", saved / "python", example=FRAME * 10_000, trusted_types=["pickle"])
