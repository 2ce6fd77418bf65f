"""Say in Prometheus' text format, or in OpenMetrics, what the serving processes of this machine do and did.

Source: the Prometheus exposition format 0.0.4 and OpenMetrics 1.0. Any process tells of all of them, because each keeps
its counters where the others can read them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlock.server.answering import Answering
from interlock.server.calls import Call, Reply
from interlock.server.data_routes import DataRoute
from interlock.server.observing import Gauge
from interlock.server.oip_routes import error_shape
from interlock.serving.latency import BUCKETS, PER_OCTAVE, upper_ns
from interlock.serving.request_statistics import Key, RequestBook, RequestCount, WorkerState
from interlock.serving.statistics import BATCH_SIZES, Counted, StatisticsBook
from interlock.serving.statistics import Key as VersionKey

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_FIRST_EDGE, _LAST_EDGE = 2, BUCKETS // PER_OCTAVE
_EDGES = tuple(octave * PER_OCTAVE for octave in range(_FIRST_EDGE, _LAST_EDGE))
"""Bucket bounds shown: one an octave, from 16 µs to 34 s; all others are for quantiles."""
_EDGE_TEXTS = tuple(f"{upper_ns(edge - 1) / 1e9:.9g}" for edge in _EDGES)
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Family:
    """One metric.

    Args:
        name: Its name, without what its samples append.
        kind: `counter`, `gauge`, `histogram` or `info`.
        help: What it counts.
        samples: Suffix, labels and value of each.
    """

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[str, Labels, float | str]]


class Metrics:
    """Everything that `/metrics` tells.

    Args:
        versions: What versions did.
        requests: What requests came.
        version: Interlock's own.
        gauges: Further values of this process.
    """

    def __init__(
        self,
        versions: StatisticsBook,
        requests: RequestBook,
        *,
        version: str = "0.1.0",
        gauges: Sequence[Gauge] = (),
    ) -> None:
        self._versions = versions
        self._requests = requests
        self._version = version
        self._gauges = tuple(gauges)

    def text(self, *, openmetrics: bool = False) -> str:
        """Write every metric."""
        counted = self._versions.read()
        workers = self._requests.workers()
        families = [
            *_request_families(self._requests.read()),
            *_version_families(counted),
            *_worker_families(workers),
            *(Family(name, "gauge", text, [("", {}, read())]) for name, text, read in self._gauges),
            Family(
                "interlock_build",
                "info",
                "The version that answers.",
                [("_info", {"version": self._version, "python": platform.python_version()}, 1)],
            ),
        ]
        lines = [line for family in families for line in _lines(family, openmetrics=openmetrics)]
        return "\n".join([*lines, "# EOF"] if openmetrics else lines) + "\n"


def routes(answering: Answering, metrics: Metrics) -> Sequence[DataRoute]:
    """Return the route of `/metrics`; who may ask for predictions may read it, as names of endpoints are in it."""

    async def handler(call: Call, params: dict[str, str]) -> Reply:
        wanted = wants_openmetrics(call.header(b"accept") or "")
        text = await answering.in_thread(lambda: metrics.text(openmetrics=wanted))
        return Reply(text.encode(), headers=((b"content-type", (OPENMETRICS if wanted else TEXT).encode()),))

    return [DataRoute(method="GET", path="/metrics", handler=handler, shape=error_shape)]


def wants_openmetrics(accept: str) -> bool:
    """Say whether a scraper takes OpenMetrics, as Prometheus does by its `Accept` header."""
    return any(
        part.split(";")[0].strip() == "application/openmetrics-text" and "version=0" not in part.replace(" ", "")
        for part in accept.split(",")
    )


def _request_families(requests: Mapping[Key, RequestCount]) -> Iterator[Family]:
    counts = []
    apart: dict[tuple[str, str], RequestCount] = {}
    for (endpoint, protocol, version, status), one in sorted(requests.items()):
        labels = {"endpoint": endpoint, "protocol": protocol, "version": version, "status": str(status)}
        counts.append(("_total", labels, one.count))
        if (endpoint, protocol) in apart:
            apart[endpoint, protocol].add(one)
        else:
            apart[endpoint, protocol] = RequestCount(one.count, one.busy_ns, one.bytes, list(one.latency))
    named = [({"endpoint": endpoint, "protocol": protocol}, one) for (endpoint, protocol), one in apart.items()]
    yield Family("interlock_http_requests", "counter", "Requests that were answered.", counts)
    yield Family(
        "interlock_http_request_duration_seconds",
        "histogram",
        "From a request's head to its answer.",
        [sample for labels, one in named for sample in _histogram(labels, one.latency, one.busy_ns)],
    )
    yield Family(
        "interlock_http_response_bytes",
        "counter",
        "Bytes of answers, without their heads.",
        [("_total", labels, one.bytes) for labels, one in named],
    )


def _version_families(counted: Mapping[VersionKey, Counted]) -> Iterator[Family]:
    named = []
    for (endpoint, ref, role), one in sorted(counted.items()):
        model, _, version = ref.removeprefix("model:").rpartition("@")
        named.append(({"endpoint": endpoint, "model": model, "version": version, "role": role}, one))

    def counter(name: str, help: str, read: Callable[[Counted], float]) -> Family:
        return Family(name, "counter", help, [("_total", labels, read(one)) for labels, one in named])

    yield counter("interlock_predictions", "Rows that were answered.", lambda one: one.rows)
    yield counter("interlock_inferences", "Requests that a version answered.", lambda one: one.requests)
    yield counter("interlock_model_executions", "Calls of the model itself.", lambda one: one.executions)
    yield Family(
        "interlock_inference_failures",
        "counter",
        "Requests that a version failed, by what they failed of.",
        [("_total", {**labels, "kind": kind}, count) for labels, one in named for kind, count in one.failures.items()],
    )
    yield Family(
        "interlock_inference_duration_seconds",
        "histogram",
        "How long a version took for a request.",
        [sample for labels, one in named for sample in _histogram(labels, one.latency, one.busy_ns)],
    )
    yield Family(
        "interlock_model_batch_rows",
        "histogram",
        "Rows in one call of the model.",
        [sample for labels, one in named for sample in _batch_sizes(labels, one)],
    )
    yield counter(
        "interlock_model_queue_seconds", "Waiting to be answered with others.", lambda one: one.queue_ns / 1e9
    )
    yield counter("interlock_model_loads", "How often a version was loaded.", lambda one: one.loads)
    yield counter("interlock_model_load_seconds", "How long loading took in sum.", lambda one: one.load_ns / 1e9)


def _worker_families(workers: Sequence[WorkerState]) -> Iterator[Family]:
    def family(name: str, kind: str, help: str, read: Callable[[WorkerState], float | None]) -> Family:
        suffix = "_total" if kind == "counter" else ""
        values = [(worker.worker, read(worker)) for worker in workers]
        return Family(
            name, kind, help, [(suffix, {"worker": worker}, value) for worker, value in values if value is not None]
        )

    yield family("interlock_requests_in_flight", "gauge", "Requests being answered.", lambda one: one.in_flight)
    yield family(
        "interlock_access_log_dropped_lines", "gauge", "Lines the disk was too slow for.", lambda one: one.dropped_lines
    )
    yield family(
        "interlock_dropped_traces", "gauge", "Traces the collector was too slow for.", lambda one: one.dropped_spans
    )
    yield family(
        "interlock_process_resident_memory_bytes", "gauge", "Memory of a worker.", lambda one: _resident_bytes(one.pid)
    )
    yield family(
        "interlock_process_cpu_seconds", "counter", "CPU time of a worker, since it began.", lambda one: _cpu_s(one.pid)
    )


def _histogram(labels: Labels, latency: Sequence[int], sum_ns: int) -> Iterator[tuple[str, Labels, float | str]]:
    reached = place = 0
    for edge, text in zip(_EDGES, _EDGE_TEXTS, strict=True):
        reached += sum(latency[place:edge])
        place = edge
        yield "_bucket", {**labels, "le": text}, reached
    total = reached + sum(latency[place:])
    yield "_bucket", {**labels, "le": "+Inf"}, total
    yield "_sum", labels, sum_ns / 1e9
    yield "_count", labels, total


def _batch_sizes(labels: Labels, one: Counted) -> Iterator[tuple[str, Labels, float | str]]:
    reached = 0
    for size, count in zip(BATCH_SIZES, one.batches, strict=False):
        reached += count
        yield "_bucket", {**labels, "le": f"{size}.0"}, reached
    total = reached + one.batches[-1]
    yield "_bucket", {**labels, "le": "+Inf"}, total
    yield "_sum", labels, one.rows
    yield "_count", labels, total


def _lines(family: Family, *, openmetrics: bool) -> Iterator[str]:
    name, kind = family.name, family.kind
    if not openmetrics:
        # the older format has no infos, and names counters with their ending
        name += {"counter": "_total", "info": "_info"}.get(kind, "")
        kind = "gauge" if kind == "info" else kind
    yield f"# HELP {name} {family.help}"
    yield f"# TYPE {name} {kind}"
    for suffix, labels, value in family.samples:
        yield f"{family.name}{suffix}{_labels(labels.items())} {value}"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    text = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)
    return "{" + text + "}" if text else ""


def _resident_bytes(pid: int) -> float | None:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096.0
    except (OSError, IndexError, ValueError):
        return None


def _cpu_s(pid: int) -> float | None:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / 100
    except (OSError, IndexError, ValueError):
        return None
