"""Write a model as an MLflow `MLmodel` folder, and bring a stored folder back to disk whole."""

from __future__ import annotations

import json
import math
import platform
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

from interlock.core.errors import Corrupt
from interlock.core.hashing import digest_of, digest_of_value
from interlock.core.schema import Column, Signature
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.model_store import PackageFile
from interlock.registry.yaml_writing import yaml_text

MODEL_SKOPS = "model.skops"
MODEL_ONNX = "model.onnx"
EXAMPLE = "input_example.json"
_EXAMPLE_ROWS = 20


def package_files(
    *,
    skops: bytes,
    onnx: Mapping[str, bytes],
    signature: Signature,
    example: Mapping[str, list[Any]],
    created_at: datetime,
    run: str | None,
    untrusted: Sequence[str],
) -> dict[str, bytes]:
    """Return the files of an `MLmodel` folder by path.

    Args:
        skops: The estimator, written by skops.
        onnx: The files of its compiled form, if it has one.
        signature: What it takes and gives.
        example: Example rows by column; the first few are kept.
        created_at: When it was packaged.
        run: Id of the run that trained it.
        untrusted: Types in the skops file that a reader must trust by name.
    """
    libraries = ["scikit-learn", "skops", "numpy"] + (["onnxruntime"] if onnx else [])
    requirements = [f"{name}=={installed}" for name in libraries if (installed := _installed(name))]
    files = {
        MODEL_SKOPS: skops,
        EXAMPLE: _split_json(example),
        "requirements.txt": "".join(f"{line}\n" for line in requirements).encode(),
        "python_env.yaml": yaml_text(
            {
                "python": platform.python_version(),
                "build_dependencies": ["pip"],
                "dependencies": ["-r requirements.txt"],
            }
        ).encode(),
    }
    files |= onnx
    described = _mlmodel(
        signature, created_at=created_at, run=run, untrusted=untrusted, has_onnx=bool(onnx), size=_size(files)
    )
    return {"MLmodel": yaml_text(described).encode(), **files}


def _mlmodel(
    signature: Signature, *, created_at: datetime, run: str | None, untrusted: Sequence[str], has_onnx: bool, size: int
) -> dict[str, Any]:
    """Return what the `MLmodel` file says. Source: MLflow's model format, sections flavors and signature."""
    flavors: dict[str, Any] = {
        "python_function": {
            "env": {"virtualenv": "python_env.yaml"},
            "loader_module": "mlflow.sklearn",
            "model_path": MODEL_SKOPS,
            "predict_fn": "predict",
            "python_version": platform.python_version(),
        },
        "sklearn": {
            "code": None,
            "pickled_model": MODEL_SKOPS,
            "serialization_format": "skops",
            "skops_trusted_types": list(untrusted),
            "sklearn_version": _installed("scikit-learn"),
        },
    }
    if has_onnx:
        flavors["onnx"] = {
            "code": None,
            "data": MODEL_ONNX,
            "onnx_version": _installed("onnx"),
            "providers": ["CPUExecutionProvider"],
        }
    return {
        "artifact_path": "model",
        "flavors": flavors,
        "model_size_bytes": size,
        "model_uuid": digest_of_value([created_at.isoformat(), size])[3:35],
        **({"run_id": run} if run else {}),
        "saved_input_example_info": {"artifact_path": EXAMPLE, "pandas_orient": "split", "type": "dataframe"},
        "signature": {
            "inputs": _schema_json(signature.inputs),
            "outputs": _schema_json(signature.outputs),
            "params": None,
        },
        "utc_time_created": created_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _schema_json(columns: tuple[Column, ...]) -> str:
    return json.dumps(
        [{"type": column.type, "name": column.name, "required": not column.nullable} for column in columns]
    )


def _split_json(example: Mapping[str, list[Any]]) -> bytes:
    rows = list(zip(*example.values(), strict=True))[:_EXAMPLE_ROWS]
    data = [[plain_value(value) for value in row] for row in rows]
    return json.dumps({"columns": list(example), "data": data}).encode()


def plain_value(value: Any) -> Any:
    """Return a value as JSON can hold it: a missing one as None, times and bytes as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.hex() if isinstance(value, bytes) else value.isoformat()


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _size(files: Mapping[str, bytes]) -> int:
    return sum(len(data) for data in files.values())


def write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files into a folder that exists."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def materialise(files: Sequence[PackageFile], artifacts: ArtifactStore, cache: Path) -> Path:
    """Return a folder that holds exactly these files, made at need, each verified against its digest.

    The folder is named by its content and appears whole (a temporary folder, renamed), so several processes may
    ask at once. A copy that was altered on disk is replaced.

    Raises:
        Corrupt: A path points out of the folder, or the store holds wrong bytes.
        NotFound: The store lacks a file.
    """
    for file in files:
        parts = PurePosixPath(file.path)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts:
            raise Corrupt(f"the package names a file '{file.path}'", why="a path within the folder is expected")
    folder = cache / digest_of_value(sorted((file.path, file.digest) for file in files))[3:35]
    if _is_whole(folder, files):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=cache))
    try:
        write_folder({file.path: artifacts.get(file.digest) for file in files}, making)
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
        making.replace(folder)
    except OSError:
        # another process was faster; its folder is as good as ours
        if not _is_whole(folder, files):
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _is_whole(folder: Path, files: Sequence[PackageFile]) -> bool:
    try:
        return all(digest_of((folder / file.path).read_bytes()) == file.digest for file in files)
    except OSError:
        return False
