"""The same traces into `interlock up` and `mlflow server`, both on SQLite on loopback, in one run.

What is sent is what MLflow's client sends for a trace of five spans: the spans by OTLP, then the trace itself. After
that pages of 100 are searched for, and traces are read whole. What is compared is the server's CPU time per request,
children included; the sender is one kept-alive connection.

Usage:
    python benchmarks/mlflow_traces.py [--peer PYTHON] [--traces 1500]
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow_tracking import Serving, free_port, interlock_server, mlflow_server, peer_python, started
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SPANS = 5
SEARCHES = {
    "newest 100": "",
    "by a tag": "tags.team = 'red'",
    "by status and time": "status = 'OK' AND timestamp_ms >= 1700000000000",
    "by the text of spans": "span.name = 'ask' AND trace.text LIKE '%question 7%'",
}
REPEATS = 12
START_MS = 1_700_000_000_000


class Sender:
    """One connection to a server, and what the server's CPU did meanwhile."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._wire = http.client.HTTPConnection(urlsplit(serving.url).netloc, timeout=60)

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        """Return the answer, which has to be a good one."""
        self._wire.request(method, path, body, headers)
        answer = self._wire.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {content[:300]!r}")
        return content

    def post(self, path: str, value: Any) -> bytes:
        """Send JSON."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate"}
        return self.ask("POST", path, json.dumps(value).encode(), headers)

    def cpu_s(self) -> float:
        """Return the CPU seconds of the server so far."""
        return self._serving.cpu_s()


def spans_of(trace_id: str, number: int) -> bytes:
    """Return the OTLP request of one trace."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for at in range(SPANS):
        span = scope.spans.add(trace_id=bytes.fromhex(trace_id[3:]), span_id=(at + 1).to_bytes(8, "big"))
        span.name = "answer" if at == 0 else "ask"
        if at:
            span.parent_span_id = (1).to_bytes(8, "big")
        span.start_time_unix_nano = (START_MS + number) * 1_000_000
        span.end_time_unix_nano = span.start_time_unix_nano + 5_000_000
        for key, text in (
            ("mlflow.spanType", "LLM" if at else "CHAIN"),
            ("mlflow.spanInputs", f"question {number} " * 10),
            ("mlflow.spanOutputs", f"answer {number} " * 20),
            ("model", "small"),
        ):
            span.attributes.add(key=key).value.string_value = text
    return request.SerializeToString()


def trace_of(trace_id: str, number: int, experiment: str) -> dict[str, Any]:
    """Return what is said of a whole trace."""
    info = {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((START_MS + number) // 1000)),
        "execution_duration": "0.005s",
        "state": "OK" if number % 10 else "ERROR",
        "request_preview": f"question {number}",
        "trace_metadata": {"mlflow.trace.sizeStats": json.dumps({"num_spans": SPANS}), "mlflow.user": "me"},
        "tags": {"mlflow.traceName": "answer", "team": "red" if number % 2 else "blue"},
    }
    return {"trace": {"trace_info": info}}


def measure(serving: Serving, count: int) -> dict[str, tuple[float, float, int]]:
    """Return by task the server's CPU and the wall milliseconds of one request, and the bytes of its answer."""
    sender = Sender(serving)
    made = json.loads(sender.post("/api/2.0/mlflow/experiments/create", {"name": "traces"}))
    experiment = made["experiment_id"]
    dice = random.Random(0)
    ids = [f"tr-{dice.getrandbits(128):032x}" for _ in range(count)]
    headers = {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment}
    sent = [(spans_of(one, n), trace_of(one, n, experiment)) for n, one in enumerate(ids)]
    figures: dict[str, tuple[float, float, int]] = {}

    def timed(title: str, calls: list[Any]) -> None:
        calls[0]()
        before, began = sender.cpu_s(), time.perf_counter()
        size = 0
        for call in calls[1:]:
            size = len(call())
        wall = time.perf_counter() - began
        figures[title] = ((sender.cpu_s() - before) / len(calls[1:]) * 1e3, wall / len(calls[1:]) * 1e3, size)

    def record(spans: bytes, trace: dict[str, Any]) -> bytes:
        sender.ask("POST", "/v1/traces", spans, headers)
        return sender.post("/api/3.0/mlflow/traces", trace)

    timed("a trace of 5 spans sent", [lambda pair=pair: record(*pair) for pair in sent])
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    for title, where in SEARCHES.items():
        asked = {"locations": [place], "max_results": 100, **({"filter": where} if where else {})}
        timed(f"search: {title}", [lambda asked=asked: sender.post("/api/3.0/mlflow/traces/search", asked)] * REPEATS)
    some = [f"/api/3.0/mlflow/traces/get?trace_id={one}" for one in ids[:200]]
    timed("a trace read whole", [lambda path=path: sender.ask("GET", path, None, {}) for path in some])
    return figures


def main() -> None:
    """Measure both servers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer")
    parser.add_argument("--traces", type=int, default=1500)
    given = parser.parse_args()
    peer = peer_python(given.peer)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("mlflow", "interlock"):
            place = Path(folder) / name
            place.mkdir()
            port = free_port()
            command = mlflow_server(peer, place, port) if name == "mlflow" else interlock_server(place, port)
            with started(command, f"http://127.0.0.1:{port}", place / "log.txt") as serving:
                found[name] = measure(serving, given.traces)
    heads = ("mlflow CPU ms", 14), ("ours", 8), ("ratio", 8), ("mlflow ms", 11), ("ours", 8), ("bytes", 9), ("ours", 8)
    print(f"{'per request':<34}" + "".join(f"{head:>{width}}" for head, width in heads))
    for title in found["mlflow"]:
        (cpu, wall, size), (our_cpu, our_wall, our_size) = found["mlflow"][title], found["interlock"][title]
        print(
            f"{title:<34}{cpu:>14.2f}{our_cpu:>8.2f}{cpu / max(our_cpu, 0.01):>7.1f}×{wall:>11.1f}{our_wall:>8.1f}"
            f"{size:>9}{our_size:>8}"
        )


if __name__ == "__main__":
    main()
