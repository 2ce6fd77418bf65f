"""A control plane over memory stores, called without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import Clock, FrozenClock
from interlock.core.sealing import Seal
from interlock.ports.stores import Stores
from interlock.server.app import App, create_app
from tests.unit.server.asgi import Reply, call

START = datetime(2026, 1, 1, tzinfo=UTC)
Get = Callable[..., Reply]


@dataclass(frozen=True)
class Ground:
    """What `create_app` needs of a workspace."""

    stores: Stores
    uri: str = "memory:"
    clock: Clock = field(default_factory=lambda: FrozenClock(START))
    seal: Seal = field(default_factory=lambda: Seal(lambda: [bytes(32)]))


@pytest.fixture
def stores() -> Stores:
    return memory_stores(clock=FrozenClock(START))


@pytest.fixture
def make_app(stores: Stores, tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Return a maker of applications over the stores; each is closed after the test."""
    made: list[App] = []

    def make(**options: Any) -> App:
        bare = {"stations": lambda: (), "trace": None, "ui_folder": tmp_path / "dist"}
        app = create_app(Ground(stores), **{**bare, **options})
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


@pytest.fixture
def get(make_app: Callable[..., App]) -> Get:
    """Return how to GET an address of an application over the stores."""
    app = make_app()
    return lambda target, **options: call(app, "GET", target, **options)
