"""The application that `interlock serve` runs: the data plane and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from interlock.core.errors import InterlockError, Refused
from interlock.server.api_keys import KeyGate
from interlock.server.calls import JSON, Reply, encode_json
from interlock.server.contracts.speaking import Spoken
from interlock.server.dataplane import DATA_LIMITS, DataPlane
from interlock.server.explain import Explaining
from interlock.server.guard import Guard
from interlock.server.hosting import EndpointHost
from interlock.server.http import Receive, Rejection, Scope, Send
from interlock.server.limits import Limits
from interlock.server.observing import Observer
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
        keys: The API keys that callers may show, if there are any.
        observer: Counts and logs requests.
        spoken: The contracts of other platforms that are spoken.
        explaining: Explains answers, if they are to be explained.

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
        keys: KeyGate | None = None,
        observer: Observer | None = None,
        spoken: Spoken | None = None,
        explaining: Explaining | None = None,
    ) -> None:
        self._again = partial(
            ServeApp,
            endpoints,
            host=host,
            token=token,
            allowed_hosts=tuple(allowed_hosts),
            limits=limits,
            version=version,
            keys=keys,
            observer=observer,
            spoken=spoken,
            explaining=explaining,
        )
        origins = spoken.environment.cors_origins if spoken is not None else ()
        self._guard = Guard(
            host=host, token=token, allowed_hosts=allowed_hosts, limits=limits, keys=keys, origins=origins
        )
        self._data_plane = DataPlane(
            endpoints,
            limits=limits,
            version=version,
            admit=self._guard.admit,
            observer=observer,
            spoken=spoken,
            explaining=explaining,
        )
        self.limits = limits
        self.admit = self._guard.admit
        # what the server of the data plane asks directly
        self.answer = self._data_plane.answer
        self.refusal = self._data_plane.refusal
        self.stuck = self._data_plane.stuck
        self.begins_at_once = self._data_plane.begins_at_once

    def sibling(self) -> ServeApp:
        """Return the same application for another event loop: it shares the endpoints, and has threads of its own."""
        return self._again()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request over ASGI."""
        refusal = self.inspect(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._data_plane(scope, receive, send)
        else:
            await refusal.send(send)

    def inspect(self, scope: Scope) -> Reply | None:
        """Return the answer to a request that is not for this server, or None."""
        try:
            self._guard.inspect(scope)
        except (Rejection, Refused) as error:
            return self.error_reply(error)
        return None

    def error_reply(self, error: Rejection | InterlockError) -> Reply:
        """Return the answer to what reaches no route, in the shape that most clients parse."""
        if isinstance(error, Rejection):
            return Reply(encode_json({"error": error_text(error.error)}), error.status, (JSON, *error.headers))
        return Reply(encode_json({"error": error_text(error)}), error.http_status)

    def close(self) -> None:
        """End the threads of the data plane."""
        self._data_plane.close()
