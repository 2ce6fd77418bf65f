"""Tell OpenTelemetry of sampled requests: a span for each and for its parts, made and sent by a thread.

Off unless it is switched on, and then nothing is imported before the first server starts. Honours
`OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*` and
`OTEL_EXPORTER_OTLP_*`. Source: W3C Trace Context; the OpenTelemetry semantic conventions for HTTP servers.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from interlock.core.background import in_background
from interlock.core.errors import InvalidInput, did_you_mean, missing_extra
from interlock.serving.seen import Seen

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SWITCH = "INTERLOCK_TRACES"
"""Set to `otel`, requests are traced."""
MOST_WAITING = 2_000
SEND_EVERY_S = 0.25
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ALL = 1 << 64
_SAMPLERS = ("always_on", "always_off", "traceidratio")


class Sampler:
    """Decides which requests are traced, as `OTEL_TRACES_SAMPLER` says.

    Args:
        name: `always_on`, `always_off` or `traceidratio`, alone or as `parentbased_…`, where a caller that traces
            decides for us.
        share: The share of requests for `traceidratio`, 0 to 1.

    Example:
        >>> Sampler("parentbased_always_off").sample(None) is None
        True
    """

    def __init__(self, name: str = "parentbased_always_on", share: float = 1.0) -> None:
        bare = name.removeprefix("parentbased_")
        if bare not in _SAMPLERS:
            known = [*_SAMPLERS, *(f"parentbased_{one}" for one in _SAMPLERS)]
            raise InvalidInput(f"OTEL_TRACES_SAMPLER: there is no sampler '{name[:80]}'", why=did_you_mean(name, known))
        self._asks_parent = bare != name
        self._bound = {"always_on": _ALL, "always_off": 0}.get(bare, round(share * _ALL))
        self._dice = random.SystemRandom()
        self._quick = random.Random(self._dice.getrandbits(128))

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Sampler:
        """Read the sampler from the environment."""
        share = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1"
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise InvalidInput("OTEL_TRACES_SAMPLER_ARG cannot be read", why=f"expected 0 to 1, got '{share[:40]}'")
        return cls(environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "parentbased_always_on", value)

    def sample(self, traceparent: bytes | None) -> tuple[str, str, str] | None:
        """Return trace id, span id and the caller's span id of a request that is to be traced, else None.

        Args:
            traceparent: The header of that name; one that is malformed counts as none.
        """
        found = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
        if found is None or not int(found[1], 16) or not int(found[2], 16):
            trace = self._quick.getrandbits(128) or 1
            if trace & (_ALL - 1) >= self._bound:
                return None
            return f"{trace:032x}", self._span(), ""
        if self._asks_parent:
            if not int(found[3], 16) & 1:
                return None
        elif int(found[1], 16) & (_ALL - 1) >= self._bound:
            return None
        return found[1].decode(), self._span(), found[2].decode()

    def _span(self) -> str:
        return f"{self._quick.getrandbits(64) or 1:016x}"


class TracedRequest(msgspec.Struct, frozen=True):
    """A request as it waits to be told of."""

    seen: Seen
    method: str
    path: str
    route: str
    endpoint: str
    version: str
    status: int
    ended_ns: int
    ended_unix_ns: int


class Tracing:
    """Sends the spans of sampled requests to an OpenTelemetry collector.

    Thread-safe. What the collector cannot keep up with is dropped and counted; a collector that is away harms nobody.

    Args:
        environ: Where the settings are read.

    Raises:
        MissingExtra: OpenTelemetry's SDK is not installed.
        InvalidInput: The settings name no sampler.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._sampler = Sampler.of(environ)
        self._ids = _Ids()
        self._provider = _provider(self._ids, environ)
        self._tracer = self._provider.get_tracer("interlock.serving")
        self._waiting: deque[TracedRequest] = deque()
        self._stopping = threading.Event()
        self._telling = threading.Lock()
        self.dropped = 0
        self._thread = in_background(self._tell_now_and_then, name="interlock-traces")

    def begin(self, seen: Seen, traceparent: bytes | None) -> None:
        """Decide whether a request is traced."""
        decided = self._sampler.sample(traceparent)
        if decided is not None:
            seen.is_traced = True
            seen.trace, seen.parent = decided[:2], decided[2]

    def add(self, request: TracedRequest) -> None:
        """Take a request that was answered; nothing waits, and nothing fails."""
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
        else:
            self._waiting.append(request)

    def flush(self) -> None:
        """Send what waits."""
        self._tell()
        self._provider.force_flush()

    def close(self) -> None:
        """Send what waits, and end the threads."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._tell()
        self._provider.shutdown()

    def _tell_now_and_then(self) -> None:
        while not self._stopping.wait(SEND_EVERY_S):
            self._tell()

    def _tell(self) -> None:
        with self._telling:
            while self._waiting:
                self._tell_of(self._waiting.popleft())

    def _tell_of(self, request: TracedRequest) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.status import Status, StatusCode

        seen = request.seen
        assert seen.trace is not None
        # what was measured on the monotonic clock, on the clock of the wall
        shift = request.ended_unix_ns - request.ended_ns
        context = None
        if seen.parent:
            parent = trace.SpanContext(
                int(seen.trace[0], 16), int(seen.parent, 16), is_remote=True, trace_flags=trace.TraceFlags(1)
            )
            context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
        self._ids.next = int(seen.trace[0], 16), int(seen.trace[1], 16)
        attributes: dict[str, Any] = {
            "http.request.method": request.method,
            "http.response.status_code": request.status,
            "http.route": request.route,
            "url.path": request.path,
        }
        if request.endpoint:
            attributes["interlock.endpoint"] = request.endpoint
        if request.version:
            attributes["interlock.model.version"] = request.version
        answer = seen.answer
        if answer is not None:
            attributes |= {"interlock.model": answer.models[0], "interlock.rows": len(answer.ids)}
        name = f"{request.method} {request.route}"
        span = self._tracer.start_span(
            name, context, kind=trace.SpanKind.SERVER, attributes=attributes, start_time=seen.began_ns + shift
        )
        if request.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        within = trace.set_span_in_context(span)
        for part, began, ended in (
            ("check", seen.read_ns, seen.asked_ns),
            ("predict", seen.asked_ns, seen.predicted_ns),
            ("log", seen.predicted_ns, seen.logged_ns),
        ):
            if began and ended:
                about = attributes if part == "predict" else {}
                kept = {key: value for key, value in about.items() if key.startswith("interlock.")}
                child = self._tracer.start_span(part, within, attributes=kept, start_time=began + shift)
                child.end(ended + shift)
        span.end(request.ended_unix_ns)


def traced_path(target: bytes) -> str:
    """Return the path of a target without its query, which may hold secrets."""
    return target.partition(b"?")[0].decode("latin-1")


def now_ns() -> tuple[int, int]:
    """Return the present on the monotonic clock and on that of the wall."""
    return time.perf_counter_ns(), time.time_ns()


class _Ids:
    """Gives the span of a request the ids that its caller was told; all others are random."""

    def __init__(self) -> None:
        self.next: tuple[int, int] | None = None
        self._span: int | None = None
        self._dice = random.Random(random.SystemRandom().getrandbits(128))

    def generate_trace_id(self) -> int:
        return self.next[0] if self.next is not None else self._dice.getrandbits(128) or 1

    def generate_span_id(self) -> int:
        if self.next is not None:
            span, self.next = self.next[1], None
            return span
        return self._dice.getrandbits(64) or 1

    def is_trace_id_random(self) -> bool:
        return True


def _provider(ids: _Ids, environ: Mapping[str, str]) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    except ImportError as error:
        raise missing_extra("opentelemetry", extra="otel", purpose="tracing requests") from error
    named = environ.get("OTEL_SERVICE_NAME", "").strip()
    resource = Resource.create({"service.name": named or "interlock"})
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, id_generator=ids, shutdown_on_exit=False)  # type: ignore[arg-type]
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
