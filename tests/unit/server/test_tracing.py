from __future__ import annotations

import os
import re
import sys
import time
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, MissingExtra
from interlock.server import tracing
from interlock.server.serve import listen, serving
from interlock.server.tracing import Sampler, TracedRequest, Tracing
from interlock.serving.engine import Answer
from interlock.serving.seen import Seen

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{SPAN}-01".encode()
NOT_SAMPLED = f"00-{TRACE}-{SPAN}-00".encode()


def test_a_caller_that_traces_is_followed() -> None:
    found = Sampler().sample(SAMPLED)
    assert found is not None
    assert (found[0], found[2]) == (TRACE, SPAN)
    assert re.fullmatch("[0-9a-f]{16}", found[1])
    assert Sampler().sample(NOT_SAMPLED) is None
    assert Sampler("always_on").sample(NOT_SAMPLED) is not None
    assert Sampler("always_off").sample(SAMPLED) is None
    assert Sampler("parentbased_always_off").sample(SAMPLED) is not None


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00",
        SAMPLED.upper(),
        b"ff" + SAMPLED[2:],
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        SAMPLED + b"x",
        b"x" * 10_000,
    ],
)
def test_a_header_that_is_malformed_counts_as_none(header: bytes) -> None:
    found = Sampler().sample(header)
    assert found is not None
    assert found[0] != TRACE
    assert found[2] == ""


def test_a_share_is_traced_and_the_same_traces_everywhere() -> None:
    sampler = Sampler("traceidratio", 0.25)
    assert 150 < sum(sampler.sample(None) is not None for _ in range(1_000)) < 350
    low, high = f"00-{'1' * 16}{'0' * 15}1-{SPAN}-00", f"00-{'1' * 16}{'f' * 16}-{SPAN}-01"
    assert sampler.sample(low.encode()) is not None
    assert sampler.sample(high.encode()) is None


def test_the_environment_says_which() -> None:
    named = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
    assert Sampler.of(named).sample(None) is None
    assert Sampler.of({}).sample(None) is not None
    with pytest.raises(InvalidInput, match="no sampler"):
        Sampler.of({"OTEL_TRACES_SAMPLER": "jaeger"})
    for share in ("2", "x"):
        with pytest.raises(InvalidInput, match="OTEL_TRACES_SAMPLER_ARG"):
            Sampler.of({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": share})


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry.exporter")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    with pytest.raises(MissingExtra, match="opentelemetry"):
        Tracing({})


class Collector:
    """A receiver of OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        assert scope["path"] == "/v1/traces"
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({one.key: one.value.string_value for one in group.resource.attributes})
            self.spans += [span for scoped in group.scope_spans for span in scoped.spans]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def request(sent: Tracing, traceparent: bytes | None, *, status: int = 200) -> Seen:
    began = time.perf_counter_ns()
    seen = Seen(began)
    sent.begin(seen, traceparent)
    seen.read_ns, seen.asked_ns, seen.predicted_ns, seen.logged_ns = (began + step * 1_000 for step in (10, 20, 70, 90))
    seen.answer = Answer(["a", "b"], ("model:delay@3",), "3", 1, {})
    sent.add(
        TracedRequest(
            seen,
            "POST",
            "/v2/models/delay/infer",
            "/v2/models/{name}/infer",
            "delay",
            "3",
            status,
            began + 100_000,
            1_767_225_600_000_000_000,
        )
    )
    return seen


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_collector_gets_a_span_for_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    with serving(collector, listen("127.0.0.1", 0)) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "delays")
        sent = Tracing(os.environ)
        seen = request(sent, SAMPLED)
        alone = request(sent, None, status=503)
        sent.flush()
        sent.close()
    spans = {(span.trace_id.hex(), span.name): span for span in collector.spans}
    assert len(spans) == 8
    assert seen.trace is not None
    assert alone.trace is not None
    root = spans[TRACE, "POST /v2/models/{name}/infer"]
    assert (root.span_id.hex(), root.parent_span_id.hex(), root.kind) == (seen.trace[1], SPAN, 2)
    assert root.end_time_unix_nano == 1_767_225_600_000_000_000
    assert root.end_time_unix_nano - root.start_time_unix_nano == 100_000
    assert attributes(root)["interlock.model"] == "model:delay@3"
    assert attributes(root)["http.response.status_code"] == 200
    for name, took_ns in (("check", 10_000), ("predict", 50_000), ("log", 20_000)):
        span = spans[TRACE, name]
        assert span.parent_span_id == root.span_id
        assert span.end_time_unix_nano - span.start_time_unix_nano == took_ns
    assert attributes(spans[TRACE, "predict"])["interlock.model.version"] == "3"
    other = spans[alone.trace[0], "POST /v2/models/{name}/infer"]
    assert (other.span_id.hex(), other.parent_span_id, other.status.code) == (alone.trace[1], b"", 2)
    assert collector.resources[0]["service.name"] == "delays"


def test_what_cannot_wait_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST_WAITING", 0)
    sent = Tracing({"OTEL_TRACES_SAMPLER": "always_on"})
    request(sent, None)
    assert sent.dropped == 1
    sent.close()


def test_what_is_not_sampled_is_not_told() -> None:
    sent = Tracing({"OTEL_TRACES_SAMPLER": "always_off"})
    seen = Seen(0)
    sent.begin(seen, SAMPLED)
    assert not seen.is_traced
    assert seen.trace is None
    sent.close()


def test_it_is_not_imported_unless_it_is_wanted() -> None:
    import subprocess

    code = "import sys, interlock.server.surroundings; sys.exit('opentelemetry' in sys.modules)"
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=plain).returncode == 0
