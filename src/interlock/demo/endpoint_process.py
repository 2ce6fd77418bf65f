"""Run the demo's data plane in a process of its own, which ends when the demo does, however that ends."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from interlock.core.errors import Unavailable
from interlock.demo.client import EndpointClient
from interlock.server.children import end_with_parent, start_child, stop_child
from interlock.server.serve_endpoint import run_serve
from interlock.workspace import Workspace

HOST = "127.0.0.1"
READY_WITHIN_S = 30.0


@contextmanager
def serve_endpoint(workspace: Workspace, endpoint: str) -> Iterator[EndpointClient]:
    """Serve an endpoint as `interlock serve` does, and yield a client for it."""
    port = _free_port()
    process = start_child(__name__, workspace.uri, endpoint, str(port))
    client = EndpointClient(HOST, port, endpoint)
    try:
        _wait_until_ready(process, port)
        workspace.loop.on_routed(lambda _: client.reload())
        yield client
    finally:
        client.close()
        stop_child(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.02)
        finally:
            connection.close()
    raise Unavailable(
        "the endpoint did not start",
        why=f"the serving process ended with {process.poll()}"
        if process.poll() is not None
        else "it is not ready in time",
        fix="interlock doctor",
    )


def main(uri: str, endpoint: str, port: str) -> None:
    """Serve until the demo ends."""
    end_with_parent()
    run_serve(f"endpoint:{endpoint}", uri, host=HOST, port=int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
