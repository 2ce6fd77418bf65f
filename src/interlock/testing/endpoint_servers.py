"""What everything that says who answers for endpoints must do."""

from __future__ import annotations

import os
import threading

import msgspec
import pytest

from interlock.core.processes import machine, start_of
from interlock.ports.endpoint_servers import EndpointServer, EndpointServers
from interlock.testing.contract import Contract


class EndpointServersContract(Contract):
    """Provide the fixture `servers`, where nobody answers yet; what it starts need not answer anything."""

    @pytest.fixture
    def servers(self) -> EndpointServers:
        """Return who answers for the endpoints of a workspace that nobody serves yet."""
        raise AssertionError(f"{type(self).__name__} must define the fixture 'servers'")

    def test_nobody_answers_until_one_is_started(self, servers: EndpointServers) -> None:
        assert servers.find() is None
        assert servers.start() == servers.find()

    def test_one_that_answers_is_not_started_again(self, servers: EndpointServers) -> None:
        assert servers.start() == servers.start() == servers.start(keep=False)

    def test_of_several_that_start_at_once_one_does(self, servers: EndpointServers) -> None:
        found: list[EndpointServer] = []
        threads = [threading.Thread(target=lambda: found.append(servers.start())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4 and len(set(found)) == 1

    def test_one_that_was_stopped_answers_no_more(self, servers: EndpointServers) -> None:
        server = servers.start()
        assert servers.stop() == server
        assert servers.find() is None and servers.stop() is None

    def test_one_that_was_announced_is_found_until_it_is_withdrawn(self, servers: EndpointServers) -> None:
        pid = os.getpid()
        server = EndpointServer(
            url="http://127.0.0.1:1", kind="up", token="secret", pid=pid, start=start_of(pid), machine=machine()
        )
        servers.announce(server)
        assert servers.find() == servers.start() == server
        assert servers.stop() is None, "who started it otherwise ends it"
        servers.withdraw(msgspec.structs.replace(server, pid=pid + 1))
        assert servers.find() == server
        servers.withdraw(server)
        servers.withdraw(server)
        assert servers.find() is None

    def test_closing_twice_is_harmless(self, servers: EndpointServers) -> None:
        servers.start(keep=False)
        servers.close()
        servers.close()

    def test_a_log_has_lines_at_most(self, servers: EndpointServers) -> None:
        assert servers.log() == []
        servers.start()
        assert len(servers.log(lines=1)) <= 1
