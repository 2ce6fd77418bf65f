from __future__ import annotations

import pytest

from tests.unit.loop.world import World


@pytest.fixture
def world() -> World:
    return World()
