"""What starting costs, counted in modules: exact, and never flaky."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib

import pytest

import interlock
from tests.house.source import ROOT

HEAVY = {
    *("numpy", "pandas", "pyarrow", "duckdb", "scipy", "sklearn", "onnx", "onnxruntime", "skl2onnx", "optuna"),
    *("psycopg", "sqlite3", "uvicorn", "uvloop", "polars", "rich", "cyclopts", "email", "asyncio", "http"),
}
NOT_IN_SERVING = {"sklearn", "scipy", "pandas", "optuna", "skl2onnx", "onnx", "polars", "duckdb", "matplotlib"}
REPORT = "; import sys, json; sys.stderr.write(json.dumps(sorted(sys.modules)))"


def loaded(code: str) -> set[str]:
    """Run some code in a new interpreter; return the modules in memory at its end."""
    # under coverage every interpreter measures itself, with modules of its own
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-c", code + REPORT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=plain)
    return set(json.loads(done.stderr))


def tops(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def test_importing_the_package_is_light() -> None:
    names = loaded("import interlock")
    assert len(names) <= 80
    assert tops(names) & HEAVY == set()


def test_help_is_light() -> None:
    names = loaded("from interlock.cli.main import main; main(['--help'])")
    assert len(names) <= 150
    assert tops(names) & HEAVY == set()


def test_the_data_plane_starts_without_training_libraries() -> None:
    names = loaded("import interlock.cli.serve")
    assert tops(names) & NOT_IN_SERVING == set()


def test_the_platform_starts_without_training_libraries() -> None:
    names = loaded("import interlock.cli.up")
    assert tops(names) & NOT_IN_SERVING == set()


def test_the_face_is_exact() -> None:
    assert len(interlock.__all__) <= 18
    assert interlock.__all__ == sorted(interlock.__all__)
    assert set(interlock.__all__) == {*interlock._FACE, "__version__"}
    assert set(interlock.__all__) <= set(dir(interlock))


@pytest.mark.parametrize("name", interlock.__all__)
def test_every_name_of_the_face_exists(name: str) -> None:
    value = getattr(interlock, name)
    assert value is not None
    assert getattr(interlock, name) is value


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert interlock.__version__ == project["version"]


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="it has Column, Endpoint, FeatureView"):
        _ = interlock.nothing
