"""Gets each version of MLflow a Python of its own, with the libraries it logs where they are asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

NEWEST = "3.17.2"
VERSIONS = (NEWEST, "3.16.1", "3.15.2", "3.14.0")
TORCH = "torch==2.13.0"
LIBRARIES = (
    "catboost==1.2.10",
    "keras==3.15.1",
    "lightgbm==4.7.0",
    "lightning==2.6.6",
    "scikit-learn==1.9.1",
    "statsmodels==0.15.0",
    "tensorboard==2.21.0",
    "xgboost==3.2.0",
)
_FIND = (
    "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
)


def environment(cache: Path, version: str, *, libraries: bool) -> Path:
    """Make a virtual environment with one version of MLflow, unless it is there; return its Python.

    Cost: some minutes and 2 GB of disk with the libraries, half a minute and 1 GB without.
    """
    major, minor, _ = version.split(".")
    folder = cache / f"mlf{major}{minor}"
    python = folder / "bin" / "python"
    uv = str(Path(sys.executable).with_name("uv"))
    if not python.exists():
        subprocess.run([uv, "venv", "--quiet", "--seed", "--python", "3.11", str(folder)], check=True)
    wanted = (f"mlflow=={version}", *(LIBRARIES if libraries else ()))
    there = installed(python)
    if libraries and "torch" not in there:
        # by pip, as that heeds the user's own index: the one of torch for CPUs saves gigabytes
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", TORCH], check=True)
    if any(there.get(name) != wished for name, _, wished in (one.partition("==") for one in wanted)):
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *wanted], check=True)
    return python


def installed(python: Path) -> dict[str, str]:
    """Return the distributions of another Python and their versions."""
    done = subprocess.run([str(python), "-c", _FIND], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found
