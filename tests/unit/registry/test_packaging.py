from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from interlock.adapters.memory.artifact_store import MemoryArtifactStore
from interlock.core.errors import Corrupt, NotFound
from interlock.core.hashing import digest_of
from interlock.core.schema import Column, Signature
from interlock.ports.model_store import PackageFile
from interlock.registry.mlflow_flavors import onnx_flavor, sklearn_flavors
from interlock.registry.packaging import materialise, package_files, plain_value

SIGNATURE = Signature(
    (Column("x", "double"), Column("city", "string", nullable=False)), (Column("probability", "double", False),)
)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def files(onnx: dict[str, bytes] | None = None, run: str | None = "01RUN") -> dict[str, bytes]:
    return package_files(
        files={"model.skops": b"skops", **(onnx or {})},
        flavors=sklearn_flavors(["numpy.dtype"]) | (onnx_flavor() if onnx else {}),
        libraries=["scikit-learn", "skops", "numpy", *(["onnxruntime", "numpy"] if onnx else []), "not-installed"],
        signature=SIGNATURE,
        example={"x": [1.5, float("nan")], "city": ["JFK", "EWR"]},
        created_at=NOW,
        run=run,
    )


def stored(artifacts: MemoryArtifactStore, contents: dict[str, bytes]) -> list[PackageFile]:
    return [PackageFile(path, artifacts.put(data).digest, len(data)) for path, data in contents.items()]


def test_the_mlmodel_file_says_what_mlflow_reads() -> None:
    described = yaml.safe_load(files({"model.onnx": b"onnx"})["MLmodel"])
    assert described["flavors"]["sklearn"]["serialization_format"] == "skops"
    assert described["flavors"]["sklearn"]["pickled_model"] == "model.skops"
    assert described["flavors"]["sklearn"]["skops_trusted_types"] == ["numpy.dtype"]
    assert described["flavors"]["python_function"]["loader_module"] == "mlflow.sklearn"
    assert described["flavors"]["onnx"]["data"] == "model.onnx"
    assert described["run_id"] == "01RUN"
    assert json.loads(described["signature"]["inputs"]) == [
        {"type": "double", "name": "x", "required": False},
        {"type": "string", "name": "city", "required": True},
    ]
    assert described["utc_time_created"] == "2026-01-01 12:00:00.000000"
    assert len(described["model_uuid"]) == 32


def test_without_a_compiled_form_there_is_no_onnx_flavor() -> None:
    contents = files(run=None)
    described = yaml.safe_load(contents["MLmodel"])
    assert set(described["flavors"]) == {"python_function", "sklearn"}
    assert "run_id" not in described
    assert set(contents) == {"MLmodel", "model.skops", "input_example.json", "requirements.txt", "python_env.yaml"}


def test_the_example_is_in_split_form_with_gaps_as_null() -> None:
    assert json.loads(files()["input_example.json"]) == {
        "columns": ["x", "city"],
        "data": [[1.5, "JFK"], [None, "EWR"]],
    }


def test_requirements_pin_what_is_installed() -> None:
    lines = files({"model.onnx": b""})["requirements.txt"].decode().splitlines()
    assert [line.partition("==")[0] for line in lines] == ["scikit-learn", "skops", "numpy", "onnxruntime"]
    assert yaml.safe_load(files()["python_env.yaml"])["dependencies"] == ["-r requirements.txt"]


def test_the_same_model_is_packaged_into_the_same_bytes() -> None:
    assert files() == files()


def test_tensors_are_described_as_such() -> None:
    import numpy as np

    inputs = (Column("image", "double", False, shape=(-1, 2, 2), datatype="FP32"),)
    outputs = (Column("scores", "double", False, shape=(-1, 3), datatype="FP64"), Column("label", "long", False))
    contents = package_files(
        files={},
        flavors={},
        libraries=[],
        signature=Signature(inputs, outputs),
        example={"image": np.ones((3, 2, 2), np.float32)},
        created_at=NOW,
        run=None,
    )
    described = yaml.safe_load(contents["MLmodel"])
    assert json.loads(described["signature"]["inputs"]) == [
        {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2, 2]}, "name": "image"}
    ]
    assert [one["tensor-spec"]["dtype"] for one in json.loads(described["signature"]["outputs"])] == [
        "float64",
        "int64",
    ]
    assert described["saved_input_example_info"]["type"] == "ndarray"
    assert json.loads(contents["input_example.json"]) == {"inputs": {"image": [[[1.0, 1.0], [1.0, 1.0]]] * 2}}


def test_values_are_made_plain() -> None:
    assert [plain_value(value) for value in (None, True, 1, "a", b"\x01", float("inf"), NOW)] == [
        None,
        True,
        1,
        "a",
        "01",
        None,
        "2026-01-01T12:00:00+00:00",
    ]


def test_a_package_comes_back_whole(tmp_path: Path) -> None:
    artifacts = MemoryArtifactStore()
    contents = {"MLmodel": b"x", "data/part.bin": b"y" * 1000}
    folder = materialise(stored(artifacts, contents), artifacts, tmp_path / "cache")
    assert {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    } == contents


def test_a_folder_that_is_there_is_used_again(tmp_path: Path) -> None:
    artifacts = MemoryArtifactStore()
    package = stored(artifacts, {"MLmodel": b"x"})
    folder = materialise(package, artifacts, tmp_path)
    artifacts.delete(package[0].digest)
    assert materialise(package, artifacts, tmp_path) == folder


def test_a_folder_that_was_altered_is_replaced(tmp_path: Path) -> None:
    artifacts = MemoryArtifactStore()
    package = stored(artifacts, {"MLmodel": b"x"})
    folder = materialise(package, artifacts, tmp_path)
    (folder / "MLmodel").write_bytes(b"evil")
    assert (materialise(package, artifacts, tmp_path) / "MLmodel").read_bytes() == b"x"


def test_several_may_ask_at_once(tmp_path: Path) -> None:
    artifacts = MemoryArtifactStore()
    package = stored(artifacts, {"MLmodel": b"x", "model.skops": b"y" * 100_000})
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: materialise(package, artifacts, tmp_path), range(32)))
    assert len(folders) == 1
    assert [path.name for path in tmp_path.iterdir()] == [folders.pop().name]


def test_a_missing_file_leaves_nothing_behind(tmp_path: Path) -> None:
    package = [PackageFile("MLmodel", digest_of(b"never stored"), 12)]
    with pytest.raises(NotFound):
        materialise(package, MemoryArtifactStore(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b", ""])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    artifacts = MemoryArtifactStore()
    package = [PackageFile(path, artifacts.put(b"x").digest, 1)]
    with pytest.raises(Corrupt):
        materialise(package, artifacts, tmp_path)
