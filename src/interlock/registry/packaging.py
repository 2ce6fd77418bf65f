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
_EXAMPLE_ROWS, _EXAMPLE_TENSORS = 20, 2

_TRIES = 5
"""How often a folder is put in place while others replace an altered one, too."""


def package_files(
    *,
    files: Mapping[str, bytes],
    flavors: Mapping[str, Any],
    libraries: Sequence[str],
    signature: Signature,
    example: Mapping[str, Any],
    created_at: datetime,
    run: str | None,
) -> dict[str, bytes]:
    """Return the files of an `MLmodel` folder by path.

    Args:
        files: The model itself and its compiled forms.
        flavors: What MLflow needs to load them.
        libraries: Distributions that are needed to load them.
        signature: What it takes and gives.
        example: Example rows by column; the first few are kept.
        created_at: When it was packaged.
        run: Id of the run that trained it.
    """
    requirements = [f"{name}=={found}" for name in dict.fromkeys(libraries) if (found := installed(name))]
    whole = {
        **files,
        EXAMPLE: _example_json(example, signature),
        "requirements.txt": "".join(f"{line}\n" for line in requirements).encode(),
        "python_env.yaml": yaml_text(
            {
                "python": platform.python_version(),
                "build_dependencies": ["pip"],
                "dependencies": ["-r requirements.txt"],
            }
        ).encode(),
    }
    described = _mlmodel(flavors, signature, created_at=created_at, run=run, size=sum(map(len, whole.values())))
    return {"MLmodel": yaml_text(described).encode(), **whole}


def _mlmodel(
    flavors: Mapping[str, Any], signature: Signature, *, created_at: datetime, run: str | None, size: int
) -> dict[str, Any]:
    """Return what the `MLmodel` file says. Source: MLflow's model format, sections flavors and signature."""
    described = {"pandas_orient": "split", "type": "dataframe"}
    if signature.is_tensor:
        described = {"format": "tf-serving", "type": "ndarray"}
    return {
        "artifact_path": "model",
        "flavors": {name: dict(flavor) for name, flavor in flavors.items()},
        "model_size_bytes": size,
        "model_uuid": digest_of_value([created_at.isoformat(), size])[3:35],
        **({"run_id": run} if run else {}),
        "saved_input_example_info": {"artifact_path": EXAMPLE, **described},
        "signature": {
            "inputs": _schema_json(signature.inputs),
            "outputs": _schema_json(signature.outputs),
            "params": None,
        },
        "utc_time_created": created_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


_DTYPES = {
    "BOOL": "bool",
    "BYTES": "object",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BF16": "float32",
}


def _schema_json(columns: tuple[Column, ...]) -> str:
    """Return columns as MLflow's schema; where some are tensors the others are written as tensors of one column."""
    if not any(column.shape for column in columns):
        return json.dumps(
            [{"type": column.type, "name": column.name, "required": not column.nullable} for column in columns]
        )
    plain = {"double": "float64", "long": "int64", "boolean": "bool"}
    return json.dumps(
        [
            {
                "type": "tensor",
                "tensor-spec": {
                    "dtype": _DTYPES.get(column.datatype, column.datatype.lower()) or plain.get(column.type, "object"),
                    "shape": list(column.shape or (-1,)),
                },
                "name": column.name,
            }
            for column in columns
        ]
    )


def _example_json(example: Mapping[str, Any], signature: Signature) -> bytes:
    if signature.is_tensor:
        shown = {name: values[:_EXAMPLE_TENSORS] for name, values in example.items()}
        return json.dumps({"inputs": {name: plain_list(values) for name, values in shown.items()}}).encode()
    rows = list(zip(*example.values(), strict=True))[:_EXAMPLE_ROWS]
    data = [[plain_value(value) for value in row] for row in rows]
    return json.dumps({"columns": list(example), "data": data}).encode()


def plain_list(values: Any) -> Any:
    """Return a column, or a tensor of any depth, as JSON can hold it."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    return [plain_list(value) for value in values] if isinstance(values, list) else plain_value(values)


def plain_value(value: Any) -> Any:
    """Return a value as JSON can hold it: a missing one as None, times and bytes as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def installed(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


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
        _put_in_place(making, folder, files)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _put_in_place(making: Path, folder: Path, files: Sequence[PackageFile]) -> None:
    """Rename a whole folder into its place, unless another process was faster: its folder is as good as ours."""
    for attempt in range(_TRIES):
        if _is_whole(folder, files):
            return
        try:
            if folder.exists():
                shutil.rmtree(folder, ignore_errors=True)
            making.replace(folder)
            return
        except OSError:
            if attempt == _TRIES - 1:
                raise


def _is_whole(folder: Path, files: Sequence[PackageFile]) -> bool:
    try:
        return all(digest_of((folder / file.path).read_bytes()) == file.digest for file in files)
    except OSError:
        return False
