from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.onnx.runtime import OnnxRuntime
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.core.clock import FrozenClock
from interlock.ports.stores import Stores
from interlock.registry.models import Models

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def stores() -> Stores:
    return memory_stores(clock=FrozenClock(NOW))


@pytest.fixture
def models(stores: Stores, tmp_path: Path) -> Models:
    return Models(
        stores.models,
        stores.artifacts,
        tmp_path / "cache",
        runtimes=[OnnxRuntime(), SklearnRuntime()],
        clock=FrozenClock(NOW),
    )
