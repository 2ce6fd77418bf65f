"""Experiments over memory stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.experiments import open_runs
from interlock.experiments.tracking import Experiments
from interlock.ports.stores import Stores


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """See that a test ends its runs: what one leaves open is the current run of the next."""
    yield
    left = [*open_runs._open.values(), *open_runs._waiting.values()]
    for run in left:
        run.end()
    assert [run.ref for run in left] == []


@pytest.fixture
def experiments(stores: Stores, tmp_path: Path) -> Experiments:
    """Return experiments of a project outside git, so that no diff of this repository is among the artifacts."""
    return Experiments(stores.runs, stores.artifacts, stores.journal, project=tmp_path)
