"""One call of gRPC: let in or refused, and observed like a request over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from interlock.core.errors import InterlockError
from interlock.server.answering import Answering
from interlock.server.api_keys import Caller
from interlock.server.calls import StatusError
from interlock.server.grpc_oip.messages import SERVICE
from interlock.server.guard import Access
from interlock.server.http import Rejection, Scope
from interlock.server.observing import Observer
from interlock.server.oip import error_status, error_text

Admit = Callable[[Scope, Access, str], Caller | None]
"""Says who makes a call, of which it sees the metadata as headers, given the access and the endpoint that it wants;
raises `Rejection` where the caller may not make it."""

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The gRPC status for an HTTP status."""
_NO_DEADLINE_S = 86_400.0

_logger = logging.getLogger(__name__)


class Refusal(Exception):
    """A call that is ended with a gRPC status.

    Args:
        status: The HTTP status that says the same.
        text: What went wrong, in one line.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = _CODES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
        self.text = text

    @classmethod
    def of(cls, error: Exception, method: str) -> Refusal:
        """Return the refusal that an error leads to; what is nobody's fault but ours is logged."""
        if isinstance(error, Refusal):
            return error
        if isinstance(error, (Rejection, StatusError)):
            return cls(error.status, error_text(error.error))
        if isinstance(error, InterlockError):
            return cls(error_status(error), error_text(error))
        _logger.error("%s failed", method, exc_info=error)
        return cls(500, "the server could not answer; its log has the details")


class Ground:
    """What every call stands on.

    Args:
        answering: The endpoints, and a way to ask them.
        admit: Says who may call; everybody by default.
        observer: Counts and logs calls; they are counted for nobody by default.
    """

    def __init__(self, answering: Answering, *, admit: Admit | None = None, observer: Observer | None = None) -> None:
        self.answering = answering
        self.host = answering.host
        self.admit = admit
        self.observer = observer or Observer()


class GrpcCall:
    """One call that was made.

    Args:
        ground: What it stands on.
        name: Its method.
        context: What gRPC knows of it.
        endpoint: The endpoint that it is for, if it is for one.
    """

    def __init__(self, ground: Ground, name: str, context: Any, endpoint: str) -> None:
        self._ground = ground
        self._name = name
        self._path = f"/{SERVICE}/{name}"
        self._endpoint = endpoint
        self._client = _address(context.peer())
        self._headers = [
            (key.encode(), value if isinstance(value, bytes) else value.encode())
            for key, value in context.invocation_metadata() or ()
        ]
        self._seen = ground.observer.begin(dict(self._headers).get(b"traceparent"))
        left_s = context.time_remaining()
        self._seen.timeout_s = None if left_s is None or left_s > _NO_DEADLINE_S else left_s

    def let_in(self, access: Access) -> None:
        """Refuse the call where its caller may not make it.

        Raises:
            Rejection: The caller may not.
        """
        if self._ground.admit is None:
            return
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "headers": self._headers,
        }
        caller = self._ground.admit(scope, access, self._endpoint)
        if caller is not None:
            self._seen.key = caller.name

    def failed(self, error: Exception) -> Refusal:
        """Note that the call failed, and return what to tell the caller."""
        refusal = Refusal.of(error, self._name)
        self.done(refusal.status, 0)
        return refusal

    def done(self, status: int, size: int) -> None:
        """Note that the call was answered."""
        self._ground.observer.done(
            self._seen,
            method="POST",
            target=self._path.encode(),
            route=self._path,
            # callers may not make up names to count
            endpoint=self._endpoint if self._endpoint in self._ground.host.engines else "",
            status=status,
            size=size,
            client=self._client,
        )


def _address(peer: str) -> str:
    """Return the address in the name that gRPC gives a caller.

    Example:
        >>> _address("ipv4:127.0.0.1:50912")
        '127.0.0.1'
    """
    return unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]")
