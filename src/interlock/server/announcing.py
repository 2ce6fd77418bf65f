"""Let deployments find the server that runs in this process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from interlock.core.processes import machine, start_of
from interlock.ports.endpoint_servers import EndpointServer, EndpointServers, ServerKind


@contextlib.contextmanager
def announced(servers: EndpointServers, url: str, *, kind: ServerKind, token: str | None) -> Iterator[EndpointServer]:
    """Announce the server of this process for the length of a block.

    Args:
        servers: Where servers of the workspace are known.
        url: Where this one answers.
        kind: Which command started it.
        token: What callers must show it.
    """
    pid = os.getpid()
    server = EndpointServer(url=url, kind=kind, token=token, pid=pid, start=start_of(pid), machine=machine())
    servers.announce(server)
    try:
        yield server
    finally:
        servers.withdraw(server)
