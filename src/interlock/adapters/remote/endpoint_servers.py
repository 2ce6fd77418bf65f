"""Have the server that holds a workspace answer for its endpoints too."""

from __future__ import annotations

from interlock.ports.endpoint_servers import EndpointServer, EndpointServers


class RemoteEndpointServers(EndpointServers):
    """The one server there is; whoever started it ends it, and reads what it wrote.

    Args:
        base_url: Where it answers.
        token: What to show it, where it wants a token.
    """

    def __init__(self, base_url: str, *, token: str | None = None) -> None:
        self._server = EndpointServer(url=base_url.rstrip("/"), kind="remote", token=token)

    def find(self) -> EndpointServer | None:
        return self._server

    def start(self, *, keep: bool = True) -> EndpointServer:
        return self._server

    def announce(self, server: EndpointServer) -> None:
        return

    def withdraw(self, server: EndpointServer) -> None:
        return

    def stop(self) -> EndpointServer | None:
        return None

    def close(self) -> None:
        return

    def log(self, *, lines: int = 100) -> list[str]:
        return []
