from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.core.errors import Conflict, Corrupt, InvalidInput, NotFound, Refused
from interlock.ports.model_store import ModelVersion
from interlock.ports.prediction_log import Feedback
from interlock.server.contracts.container import brings_code, write_container
from interlock.server.contracts.model_folders import RECORD, ModelFolders, find_model, read_version, served_name
from interlock.server.contracts.unlogged import Unlogged
from tests.serving_examples import NOW, SIGNATURE, fresh_stores

VERSION = ModelVersion("Flight delay", 7, NOW, (), SIGNATURE, "sklearn", "onnx", facts={"one_row_us": 5.0})
MLFLOW = """\
flavors:
  sklearn:
    pickled_model: model.skops
    serialization_format: skops
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}]'
  outputs: '[{"type": "long"}]'
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "requirements.txt").write_text("onnxruntime==1.31\n")
    (folder / "data" / "more").write_bytes(b"1")
    return folder


def test_a_container_is_a_dockerfile_and_the_folder(package: Path, tmp_path: Path) -> None:
    output = tmp_path / "image"
    wheel = tmp_path / "interlock-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"zip")
    paths = write_container(VERSION, package, output, wheel=wheel)
    assert paths == [
        "Dockerfile",
        wheel.name,
        "model/MLmodel",
        "model/data/more",
        f"model/{RECORD}",
        "model/requirements.txt",
        "requirements.txt",
    ]
    text = (output / "Dockerfile").read_text()
    assert f"COPY requirements.txt {wheel.name} ./" in text
    assert f"pip install --no-cache-dir ./{wheel.name} -r requirements.txt" in text
    assert 'ENTRYPOINT ["interlock"]\nCMD ["serve"]' in text
    assert "INTERLOCK_MODEL_DIR=/opt/ml/model" in text
    assert not brings_code(output)
    (output / "model" / "code").write_bytes(b"interlock signed 1\n")
    assert brings_code(output)
    assert (output / "requirements.txt").read_text() == "onnxruntime==1.31\n"
    assert read_version(output / "model", name="other") == VERSION
    assert served_name(output, default="other") == "Flight-delay"


def test_a_container_is_not_written_over_anything(package: Path, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="not empty"):
        write_container(VERSION, package, package)
    with pytest.raises(NotFound, match="wheel"):
        write_container(VERSION, package, tmp_path / "image", wheel=tmp_path / "none.whl")
    assert not (tmp_path / "image").exists()
    write_container(VERSION, package, tmp_path / "image")
    assert "install --no-cache-dir interlock" in (tmp_path / "image" / "Dockerfile").read_text()


def test_a_model_may_lie_some_levels_below(package: Path, tmp_path: Path) -> None:
    assert find_model(package) == package
    assert find_model(tmp_path) == package
    with pytest.raises(NotFound, match="no model in"):
        find_model(tmp_path / "nowhere")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "MLmodel").write_text("")
    with pytest.raises(NotFound, match="2 models"):
        find_model(tmp_path)


def test_what_mlflow_made_is_read_as_far_as_it_can_be_served(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(MLFLOW)
    (tmp_path / "model.skops").write_bytes(b"")
    version = read_version(tmp_path, name="delay")
    assert (version.ref, version.engine, version.signature.input_names) == ("model:delay@1", "sklearn", ("x",))
    assert version.created_at <= datetime.now(UTC)
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(InvalidInput, match="nothing here can serve"):
        read_version(tmp_path, name="delay")
    assert served_name(tmp_path, default="delay") == "delay"
    (tmp_path / RECORD).write_text("{")
    with pytest.raises(Corrupt):
        read_version(tmp_path, name="delay")


def test_a_folder_that_answers_by_another_method_is_refused(tmp_path: Path) -> None:
    folders = ModelFolders(fresh_stores().deployments)
    (tmp_path / "model.skops").write_bytes(b"")
    chosen = "  python_function:\n    predict_fn: predict_proba\n"
    (tmp_path / "MLmodel").write_text(MLFLOW.replace("flavors:\n", f"flavors:\n{chosen}"))
    with pytest.raises(Refused, match="predict_proba"):
        folders.add("delay", str(tmp_path))
    (tmp_path / "MLmodel").write_text(
        MLFLOW.replace("flavors:\n", "flavors:\n  python_function:\n    predict_fn: predict\n")
    )
    folders.add("delay", str(tmp_path))
    (tmp_path / "MLmodel").write_bytes(b"\xff")
    with pytest.raises(InvalidInput, match="nothing here can serve"):
        folders.add("delay", str(tmp_path))


def test_folders_stand_behind_endpoints(package: Path) -> None:
    (package / RECORD).write_bytes(msgspec.json.encode(VERSION))
    deployments = fresh_stores().deployments
    folders = ModelFolders(deployments)
    folders.add("delay", f"file://{package}")
    ref = deployments.get("delay").deployments[0].model
    assert (ref, folders.resolve(ref), folders.folder(VERSION)) == (VERSION.ref, VERSION, package)
    assert (folders.loaded(), folders.url("delay")) == (["delay"], f"file://{package}")
    folders.remove("delay")
    assert folders.loaded() == []
    with pytest.raises(NotFound, match="no folder here"):
        folders.resolve("model:fare@1")


def test_two_folders_of_one_model_are_told_apart(package: Path, tmp_path: Path) -> None:
    (package / RECORD).write_bytes(msgspec.json.encode(VERSION))
    copied = tmp_path / "copied"
    copied.mkdir()
    (copied / "MLmodel").write_text("")
    (copied / RECORD).write_bytes(msgspec.json.encode(VERSION))
    deployments = fresh_stores().deployments
    folders = ModelFolders(deployments)
    folders.add("a", str(package))
    folders.add("b", str(copied))
    refs = [deployments.get(name).deployments[0].model for name in ("a", "b")]
    assert [folders.folder(folders.resolve(ref)) for ref in refs] == [package, copied]


@pytest.mark.parametrize("url", ["/etc", "../..", "s3://bucket/model", "\0"])
def test_models_are_loaded_from_below_one_folder_only(package: Path, url: str) -> None:
    folders = ModelFolders(fresh_stores().deployments, within=package)
    with pytest.raises(InvalidInput, match="cannot be loaded from there"):
        folders.add("delay", url)
    with pytest.raises(NotFound):
        folders.add("delay", str(package / "data"))


def test_a_log_that_keeps_nothing_knows_of_nothing() -> None:
    log: Any = Unlogged()
    log.append([])
    log.flush()
    assert (log.find("a"), log.recent("delay"), log.counts("delay")) == ([], [], {})
    assert log.window("delay", start=NOW, end=NOW) == []
    assert json.loads(msgspec.json.encode(log.feedback([Feedback("a", 1, 0)])))["unknown"] == ["a"]
