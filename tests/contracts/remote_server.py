"""Serve memory stores over a real HTTP server on loopback, and swap fresh ones in for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from interlock.adapters.remote.stores import remote_stores
from interlock.ports.stores import Stores
from interlock.server.guard import Guard
from interlock.server.router import Router
from interlock.server.serve import listen, serving
from interlock.server.stores_api import StoresApi
from interlock.server.workers import Workers


class RemoteServer:
    """One server and one client, for as many tests as wanted.

    Args:
        fresh: Makes empty stores to serve.
    """

    def __init__(self, fresh: Callable[[], Stores]) -> None:
        self._fresh = fresh
        self._served = fresh()
        self.client: Stores

    def __getattr__(self, name: str) -> Any:
        return getattr(self._served, name)

    @contextmanager
    def running(self) -> Iterator[RemoteServer]:
        """Serve for the length of a block."""
        workers = Workers()
        # the dispatcher looks a store up by name at every call, so it sees the stores of the moment
        router = Router(StoresApi(self, workers).routes(), guard=Guard())  # type: ignore[arg-type]
        with serving(router, listen("127.0.0.1", 0)) as url:
            self.client = remote_stores(url)
            yield self
        workers.close()

    @contextmanager
    def open(self) -> Iterator[Stores]:
        """Swap fresh stores in, and give the client."""
        self._served = self._fresh()
        yield self.client
