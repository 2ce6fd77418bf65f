"""Studies over memory stores."""

from __future__ import annotations

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.experiments.tracking import Experiments
from interlock.ports.stores import Stores
from interlock.tuning.studies import Studies


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture
def experiments(stores: Stores) -> Experiments:
    return Experiments(stores.runs, stores.artifacts, stores.journal)


@pytest.fixture
def studies(stores: Stores, experiments: Experiments) -> Studies:
    return Studies(experiments, stores.runs)
