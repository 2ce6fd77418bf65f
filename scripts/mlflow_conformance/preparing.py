"""Gets what a run needs and nothing of which is ours: MLflow's test tree, and a Python with MLflow in it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

MLFLOW = "3.17.2"
REPOSITORY = "https://github.com/mlflow/mlflow"
PACKAGES = (
    f"mlflow=={MLFLOW}",
    "pytest==9.2.0",
    "httpx==0.28.1",
    "jupyter-client==8.10.0",
    "lightgbm==4.7.0",
    "litellm==1.106.2",
    "matplotlib==3.11.2",
    "openai==2.54.0",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
    "plotly==7.1.0",
    "polars==2.1.0",
    "psutil==7.2.2",
    "pytest-asyncio==1.5.0",
    "pytest-timeout==2.4.0",
    "scikit-learn==1.9.1",
    "shap==0.51.0",
    "statsmodels==0.15.0",
    "xgboost==3.2.0",
)


def clone(cache: Path) -> Path:
    """Clone MLflow's tests, and no more of it, at the version of MLflow that is run."""
    folder = cache / f"mlflow-{MLFLOW}"
    if not (folder / "tests").is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        shallow = ["--depth", "1", "--filter", "blob:none", "--sparse", "--branch", f"v{MLFLOW}"]
        subprocess.run(["git", "clone", *shallow, REPOSITORY, str(folder)], check=True)
        subprocess.run(["git", "-C", str(folder), "sparse-checkout", "set", "tests"], check=True)
    return folder


def virtual_environment(cache: Path) -> Path:
    """Make a virtual environment with MLflow and what its tests need."""
    folder = cache / f"venv-{MLFLOW}"
    python = folder / "bin" / "python"
    uv = str(Path(sys.executable).with_name("uv"))
    if not python.exists():
        subprocess.run([uv, "venv", "--python", "3.11", str(folder)], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *PACKAGES], check=True)
    return python


def ask(python: Path, expression: str) -> str:
    """Return what an expression prints in another Python."""
    done = subprocess.run([str(python), "-c", expression], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def has(python: Path, modules: tuple[str, ...]) -> bool:
    """Say whether another Python has these modules."""
    find = f"import {importlib.util.__name__} as u; print(all(u.find_spec(m) for m in {modules!r}))"
    return ask(python, find) == "True"


def versions(python: Path, tests: Path) -> dict[str, str]:
    """Return the versions that a run is about."""
    tree = "unknown"
    stated = tests / "mlflow" / "version.py"
    if stated.exists():
        tree = stated.read_text().partition('VERSION = "')[2].partition('"')[0]
    elif tests.name.startswith("mlflow-") and tests.name[7:8].isdigit():
        tree = tests.name.removeprefix("mlflow-")
    return {
        "mlflow": ask(python, "from mlflow.version import VERSION; print(VERSION)"),
        "tests": tree,
        "python": ask(python, "import platform; print(platform.python_version())"),
    }
