from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from interlock.ports.stores import Stores
from interlock.server.contracts.environments import NOWHERE, Environment
from interlock.server.contracts.speaking import Spoken
from interlock.server.dataplane import DataPlane
from interlock.server.hosting import EndpointHost
from tests.serving_examples import FIRST, SECOND, Shelf, fresh_stores, hosted, loaded
from tests.unit.server.asgi import Reply, call


class Ask(Protocol):
    """Makes one request; what is not bytes is sent as JSON, and every answer is checked to be no 500."""

    def __call__(self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Reply: ...


def asking(plane: DataPlane) -> Ask:
    def ask(method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Reply:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        named = [("content-length", str(len(data))), *(headers or {}).items()]
        return call(plane, method, path, body=data, headers=named)

    return ask


@pytest.fixture
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture
def host(stores: Stores) -> Iterator[EndpointHost]:
    with hosted(stores, Shelf(loaded(FIRST), loaded(SECOND, shift=0.5))) as host:
        yield host


@pytest.fixture
def environment() -> Environment:
    """Where the process runs; tests of a platform give another."""
    return NOWHERE


@pytest.fixture
def plane(host: EndpointHost, environment: Environment) -> Iterator[DataPlane]:
    plane = DataPlane(host, version="1.2.3", spoken=Spoken(environment))
    yield plane
    plane.close()


@pytest.fixture
def ask(plane: DataPlane) -> Ask:
    return asking(plane)
