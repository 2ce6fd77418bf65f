"""The application that `interlock serve` runs: the data plane and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from interlock.core.errors import Refused
from interlock.server.calls import JSON, Reply, encode_json
from interlock.server.dataplane import DATA_LIMITS, DataPlane
from interlock.server.guard import Guard
from interlock.server.hosting import EndpointHost
from interlock.server.http import Receive, Rejection, Scope, Send
from interlock.server.limits import Limits
from interlock.server.oip import error_text


class ServeApp:
    """The data plane behind its guard, as an ASGI application.

    Args:
        endpoints: The endpoints that are served; they are started and closed by the caller.
        host: The address that is listened on.
        token: What callers must show, if anything.
        allowed_hosts: Further names under which the server is reached.
        limits: What a request may bring.
        version: What `/version` says.

    Example:
        with EndpointHost(stores.deployments, stores.journal, load=load, log=log, endpoints=["delay"]) as endpoints:
            serve(ServeApp(endpoints), listen("127.0.0.1", 8080))
    """

    def __init__(
        self,
        endpoints: EndpointHost,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
        allowed_hosts: Iterable[str] = (),
        limits: Limits = DATA_LIMITS,
        version: str = "0.1.0",
    ) -> None:
        self._guard = Guard(host=host, token=token, allowed_hosts=allowed_hosts, limits=limits)
        self._data_plane = DataPlane(endpoints, limits=limits, version=version, admit=self._guard.admit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            try:
                self._guard.inspect(scope)
            except Rejection as rejection:
                body = encode_json({"error": error_text(rejection.error)})
                await Reply(body, rejection.status, (JSON, *rejection.headers)).send(send)
                return
            except Refused as error:
                await Reply(encode_json({"error": error_text(error)}), error.http_status).send(send)
                return
        await self._data_plane(scope, receive, send)

    def close(self) -> None:
        """End the threads of the data plane."""
        self._data_plane.close()
