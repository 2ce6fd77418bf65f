from __future__ import annotations

from interlock.adapters.remote.endpoint_servers import RemoteEndpointServers
from interlock.ports.endpoint_servers import EndpointServer


def test_the_server_that_holds_the_workspace_answers() -> None:
    servers = RemoteEndpointServers("http://127.0.0.1:8080/", token="secret")
    server = EndpointServer(url="http://127.0.0.1:8080", kind="remote", token="secret")
    assert servers.find() == servers.start() == server
    servers.announce(server)
    servers.withdraw(server)
    servers.close()
    assert servers.stop() is None and servers.log() == [] and servers.find() == server
