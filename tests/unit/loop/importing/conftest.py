"""The recorded samples, unpacked."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.ports.stores import Stores

SAMPLES = Path(__file__).parents[3] / "samples"


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[[str], Path]:
    def unpack(name: str) -> Path:
        with zipfile.ZipFile(SAMPLES / f"{name}.zip") as packed:
            packed.extractall(tmp_path / name)
        return tmp_path / name

    return unpack


@pytest.fixture
def mlflow_database(unpacked: Callable[[str], Path]) -> Path:
    folder = unpacked("mlflow-3.17.2-sqlite")
    path = folder / "mlflow.db"
    connection = sqlite3.connect(path)
    connection.executescript((folder / "mlflow.sql").read_text().replace("/recorded", str(folder)))
    connection.close()
    return path


@pytest.fixture
def stores() -> Stores:
    return memory_stores()
