"""Experiments over memory stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.experiments.tracking import Experiments
from interlock.ports.stores import Stores


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture
def experiments(stores: Stores, tmp_path: Path) -> Experiments:
    """Return experiments of a project outside git, so that no diff of this repository is among the artifacts."""
    return Experiments(stores.runs, stores.artifacts, stores.journal, project=tmp_path)
