"""Observe every request of the data plane: count it, write its line, tell its trace; cheap, and never in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns, time_ns

from interlock.server.access_log import AccessLog
from interlock.server.tracing import TracedRequest, Tracing, traced_path
from interlock.serving.request_statistics import DROPPED_LINES, DROPPED_SPANS, RequestBook
from interlock.serving.seen import SEEN, Seen

Gauge = tuple[str, str, Callable[[], float]]
"""Name, help, and what reads the present value."""

_PROTOCOLS = {
    "v2": "oip",
    "v1": "v1",
    "invocations": "mlflow",
    "endpoints": "mlflow",
    "ping": "mlflow",
    "health": "mlflow",
    "version": "mlflow",
    "models": "sagemaker",
    "execution-parameters": "sagemaker",
    "score": "azureml",
    "api": "interlock",
    "metrics": "interlock",
    "inference.GRPCInferenceService": "grpc",
}
_remembered: dict[str, str] = {}


class Observer:
    """What is done about each request besides answering it.

    Args:
        requests: Counts them.
        access_log: Takes their lines, if there is a log.
        tracing: Takes those that are traced, if any are.
        gauges: Further values that `/metrics` tells.

    Example:
        seen = observer.begin(headers.get(b"traceparent"))
        …
        observer.done(seen, method="POST", target=b"/v2/models/delay/infer", route="/v2/models/{name}/infer",
                      endpoint="delay", status=200, size=len(body), client="127.0.0.1")
    """

    __slots__ = ("access_log", "gauges", "requests", "tracing")

    def __init__(
        self,
        requests: RequestBook | None = None,
        *,
        access_log: AccessLog | None = None,
        tracing: Tracing | None = None,
        gauges: Sequence[Gauge] = (),
    ) -> None:
        self.requests = requests or RequestBook()
        self.access_log = access_log
        self.tracing = tracing
        self.gauges = tuple(gauges)

    def begin(self, traceparent: bytes | None = None) -> Seen:
        """Note that a request has come; what answers it finds the note in `SEEN`."""
        seen = Seen(perf_counter_ns())
        SEEN.set(seen)
        self.requests.began()
        if self.tracing is not None:
            self.tracing.begin(seen, traceparent)
        return seen

    def done(
        self,
        seen: Seen,
        *,
        method: str,
        target: bytes,
        route: str,
        endpoint: str,
        status: int,
        size: int,
        client: str = "",
    ) -> None:
        """Note that a request was answered.

        Args:
            seen: What `begin` gave.
            method: How it asked.
            target: For what, as it came over the wire.
            route: The path of the route that answered (`/v2/models/{name}/infer`); empty if none did.
            endpoint: The endpoint that it was for, if there is such a one.
            status: What it was answered.
            size: How large the answer's body is.
            client: Where it came from.
        """
        ended_ns = perf_counter_ns()
        took_ns = ended_ns - seen.began_ns
        answer = seen.answer
        version = "" if answer is None else answer.version
        protocol = _remembered.get(route) or _protocol(route)
        self.requests.ended((endpoint, protocol, version, status), took_ns, size)
        if self.access_log is not None:
            self.access_log.add(
                (
                    time_ns(),
                    took_ns,
                    size,
                    () if answer is None else answer.ids,
                    "" if seen.trace is None else seen.trace[0],
                    (method, target, status, endpoint, version, client, seen.key),
                )
            )
            if self.access_log.dropped:
                self.requests.dropped(DROPPED_LINES, self.access_log.dropped)
        if seen.is_traced and self.tracing is not None:
            path = traced_path(target)
            self.tracing.add(
                TracedRequest(seen, method, path, route or "", endpoint, version, status, ended_ns, time_ns())
            )
            if self.tracing.dropped:
                self.requests.dropped(DROPPED_SPANS, self.tracing.dropped)


def endpoint_of(params: Mapping[str, str], known: Mapping[str, object]) -> str:
    """Return which endpoint a request is for, if it is one that is there: callers may not make up names to count."""
    name = params.get("name")
    if name is not None:
        return name if name in known else ""
    return next(iter(known)) if len(known) == 1 else ""


def _protocol(route: str) -> str:
    """Return which protocol a route speaks."""
    found = _PROTOCOLS.get(route[1:].partition("/")[0], "other") if route else "none"
    if route == "/":
        found = "v1"
    _remembered[route] = found
    return found
