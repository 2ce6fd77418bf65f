"""Answer for the endpoints of a workspace in memory: from a thread of this process, which alone can see it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from interlock.core.processes import machine, start_of
from interlock.ports.endpoint_servers import EndpointServer, EndpointServers


class ThreadEndpointServers(EndpointServers):
    """One server in a thread.

    Args:
        serve: Starts it and gives its address; ends it when the block ends.
    """

    def __init__(self, serve: Callable[[], AbstractContextManager[str]]) -> None:
        self._serve = serve
        self._server: EndpointServer | None = None
        self._others: list[EndpointServer] = []
        self._running = ExitStack()
        self._lock = threading.Lock()

    def find(self) -> EndpointServer | None:
        return self._server or next(iter(self._others), None)

    def start(self, *, keep: bool = True) -> EndpointServer:
        with self._lock:
            found = self.find()
            if found is None:
                url = self._running.enter_context(self._serve())
                pid = os.getpid()
                found = self._server = EndpointServer(
                    url=url, kind="thread", pid=pid, start=start_of(pid), machine=machine(), keep=False
                )
            return found

    def announce(self, server: EndpointServer) -> None:
        self._others.append(server)

    def withdraw(self, server: EndpointServer) -> None:
        if server in self._others:
            self._others.remove(server)

    def stop(self) -> EndpointServer | None:
        with self._lock:
            stopped, self._server = self._server, None
            self._running.close()
            return stopped

    def close(self) -> None:
        self.stop()

    def log(self, *, lines: int = 100) -> list[str]:
        return []
