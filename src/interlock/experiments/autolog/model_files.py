"""Write a fitted model as an `MLmodel` folder, which Interlock's registry and MLflow read."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from interlock.core.ids import new_id
from interlock.experiments.autolog.data_facts import DataFacts, tensor
from interlock.experiments.pictures import as_array

EXAMPLE = "input_example.json"


class ModelFiles(msgspec.Struct, frozen=True):
    """A fitted model as files.

    Args:
        files: Its own files, by path within the folder.
        flavors: How libraries load it, by library; `python_function` only where MLflow may call it.
        needs: The distributions that loading it takes.
        predict: Answers the example rows, for the signature; None where that is not known.
    """

    files: Mapping[str, bytes]
    flavors: Mapping[str, Mapping[str, Any]]
    needs: tuple[str, ...]
    predict: Callable[[], Any] | None = None

    def folder(
        self, facts: DataFacts | None, *, outputs: str | None, example: DataFacts | None, run_id: str
    ) -> dict[str, bytes]:
        """Return the files of the folder by path.

        Args:
            facts: What the model was trained on, for the signature.
            outputs: What it answers, as `outputs` tells; None where that is not known.
            example: The same, if rows of it may be kept.
            run_id: The run that made it.
        """
        now = datetime.now(UTC)
        described: dict[str, Any] = {
            "artifact_path": "model",
            "flavors": self._flavors(),
            "model_uuid": new_id().lower(),
            "run_id": run_id,
            "utc_time_created": now.strftime("%Y-%m-%d %H:%M:%S.%f"),
        }
        files = dict(self.files)
        needs = [f"{name}=={version}" for name in self.needs if (version := installed(name))]
        files["requirements.txt"] = "".join(f"{line}\n" for line in needs).encode()
        files["python_env.yaml"] = _as_yaml(
            {
                "python": platform.python_version(),
                "build_dependencies": ["pip"],
                "dependencies": ["-r requirements.txt"],
            }
        )
        if facts is not None:
            described["signature"] = {
                "inputs": facts.signature_inputs(),
                "outputs": outputs,
                "params": None,
            }
        if example is not None and example.example:
            files[EXAMPLE], kind = example.example_json()
            described["saved_input_example_info"] = {"artifact_path": EXAMPLE, "type": kind} | (
                {"pandas_orient": "split"} if kind == "dataframe" else {"format": "tf-serving"}
            )
        return {"MLmodel": _as_yaml(described), **files}

    def _flavors(self) -> dict[str, Any]:
        flavors = {name: dict(flavor) for name, flavor in self.flavors.items()}
        if "python_function" in flavors:
            flavors["python_function"] |= {
                "env": {"virtualenv": "python_env.yaml"},
                "python_version": platform.python_version(),
            }
        return flavors

    def outputs(self) -> str | None:
        """Ask the model about the example rows; return what it answers in the form of an MLmodel file."""
        if self.predict is None:
            return None
        answers = as_array(self.predict())
        if answers is None:
            return None
        kind = "str" if answers.dtype.kind in "OUS" else str(answers.dtype)
        return msgspec.json.encode([tensor(kind, (-1, *answers.shape[1:]))]).decode()


def _as_yaml(value: Any) -> bytes:
    """Write plain values as JSON, which every reader of YAML reads."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2) + b"\n"


def installed(distribution: str) -> str:
    """Return the version of a distribution, or an empty string if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def written(write: Callable[[str], Any], name: str) -> bytes:
    """Return what a function that writes to a path writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(str(path))
        return path.read_bytes()
