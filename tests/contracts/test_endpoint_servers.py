"""The contract of endpoint servers on every kind of workspace, with servers that answer nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interlock.adapters.local import endpoint_servers
from interlock.adapters.local.endpoint_servers import LocalEndpointServers
from interlock.adapters.memory.endpoint_servers import ThreadEndpointServers
from interlock.adapters.remote.endpoint_servers import RemoteEndpointServers
from interlock.ports.endpoint_servers import EndpointServers
from interlock.testing.endpoint_servers import EndpointServersContract


@contextmanager
def silent() -> Iterator[str]:
    yield "http://127.0.0.1:1"


class TestThread(EndpointServersContract):
    @pytest.fixture
    def servers(self) -> Iterator[EndpointServers]:
        servers = ThreadEndpointServers(silent)
        yield servers
        servers.close()


class TestLocal(EndpointServersContract):
    @pytest.fixture
    def servers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EndpointServers]:
        monkeypatch.setattr(endpoint_servers, "_MODULE", "tests.unit.adapters.local.idler")
        servers = LocalEndpointServers("nowhere", tmp_path / "servers")
        yield servers
        servers.stop()
        servers.close()


class TestRemote(EndpointServersContract):
    waives = {
        "test_nobody_answers_until_one_is_started": "the server that holds the workspace answers from the start",
        "test_one_that_was_stopped_answers_no_more": "whoever started it ends it",
        "test_one_that_was_announced_is_found_until_it_is_withdrawn": "there is one server, and it is known",
    }

    @pytest.fixture
    def servers(self) -> EndpointServers:
        return RemoteEndpointServers("http://127.0.0.1:8080")
