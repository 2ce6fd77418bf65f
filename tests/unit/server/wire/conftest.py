"""A server of the data plane over memory stores, with limits that can be reached."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from interlock.ports.stores import Stores
from interlock.server.limits import Limits
from interlock.server.listening import listen
from interlock.server.serve_app import ServeApp
from interlock.server.wire.serving import serving_wire
from tests.serving_examples import Shelf, fresh_stores, hosted, loaded

Serve = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture
def serve(stores: Stores) -> Serve:
    """Return how to serve one endpoint over memory stores."""

    @contextlib.contextmanager
    def serving(limits: Limits | None = None, *, shelf: Shelf | None = None, token: str | None = None) -> Iterator[str]:
        with hosted(stores, shelf or Shelf(loaded())) as host:
            app = ServeApp(host, limits=limits or Limits(body_bytes=20_000), token=token)
            with contextlib.closing(app), serving_wire(app, listen("127.0.0.1", 0)) as url:
                yield url

    return serving


@pytest.fixture
def url(serve: Serve) -> Iterator[str]:
    with serve() as found:
        yield found
