"""Answer MLflow's endpoints that give back metric series."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import msgspec

from interlock.core.errors import NotFound
from interlock.server.http import Answer, Request
from interlock.server.mlflow.arrow_answers import history_stream, wants_arrow
from interlock.server.mlflow.key_rules import checked_run_id
from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.run_records import Int64, MetricRecord, json_number
from interlock.server.mlflow.wire import Endpoint, Ground, RawEndpoint, invalid, read, required, write

MOST_RUNS = 100
MOST_IN_BULK = 25_000
MOST_PER_RUN = 2500
_WHOLE = 2**40
"""More points than any series has, so that it comes whole."""


class _History(msgspec.Struct, kw_only=True):
    run_id: str = ""
    run_uuid: str = ""
    metric_key: str = ""
    page_token: str = ""
    max_results: Int64 | None = None


class _Bulk(msgspec.Struct, kw_only=True):
    run_id: list[str] = []
    metric_key: str | None = None
    max_results: Int64 = MOST_IN_BULK


class _Interval(msgspec.Struct, kw_only=True):
    run_ids: list[str] = []
    metric_key: str = ""
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Int64 = MOST_PER_RUN


class HistoryAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Points of a series, and where to go on."""

    metrics: list[MetricRecord] = []
    next_page_token: str = ""


@dataclass(frozen=True)
class Points:
    """Points of a series as NumPy columns: values, steps, and times in microseconds since 1970 UTC."""

    values: Any
    steps: Any
    times: Any

    def take(self, part: Any) -> Points:
        """Return some of the points: by a slice, a mask or places."""
        return Points(self.values[part], self.steps[part], self.times[part])

    @property
    def count(self) -> int:
        """How many points there are."""
        return len(self.values)


async def _history(ground: Ground, request: Request) -> Answer:
    asked = await read(request, _History)
    points, following = await ground.workers.run(_page, ground, asked)
    if wants_arrow(request):
        return await ground.workers.run(history_stream, request, points, next_page_token=following)
    records = await ground.workers.run(_records, asked.metric_key, points)
    return write(request, HistoryAnswer(records, following))


def _page(ground: Ground, asked: _History) -> tuple[Points, str]:
    run_id = checked_run_id(asked.run_id, asked.run_uuid)
    if not asked.metric_key:
        raise required("metric_key")
    if asked.max_results is not None and asked.max_results <= 0:
        raise invalid(invalid_value("max_results", asked.max_results, "It must be a positive integer."))
    start = read_token(asked.page_token)
    points = _by_time(_series(ground, run_id, asked.metric_key))
    if asked.max_results is None:
        return points.take(slice(start, None)), ""
    end = start + asked.max_results
    return points.take(slice(start, end)), write_token(end) if end < points.count else ""


def _bulk(ground: Ground, asked: _Bulk) -> HistoryAnswer:
    if not asked.run_id:
        raise invalid("GetMetricHistoryBulk request must specify at least one run_id.")
    if len(asked.run_id) > MOST_RUNS:
        raise invalid(
            f"GetMetricHistoryBulk request cannot specify more than {MOST_RUNS} run_ids."
            f" Received {len(asked.run_id)} run_ids."
        )
    if asked.metric_key is None:
        raise invalid("GetMetricHistoryBulk request must specify a metric_key.")
    if asked.max_results <= 0:
        raise invalid(invalid_value("max_results", asked.max_results, "It must be a positive integer."))
    room = min(asked.max_results, MOST_IN_BULK)
    found: list[MetricRecord] = []
    for run_id in sorted(set(asked.run_id)):
        points = _by_time(_series(ground, run_id, asked.metric_key)).take(slice(room - len(found)))
        found += _records(asked.metric_key, points, run_id)
        if len(found) == room:
            break
    return HistoryAnswer(found)


def _interval(ground: Ground, asked: _Interval) -> HistoryAnswer:
    for name in ("run_ids", "metric_key"):
        if not getattr(asked, name):
            raise required(name)
    if len(asked.run_ids) > MOST_RUNS:
        raise invalid(
            f"GetMetricHistoryBulkInterval request must specify at most {MOST_RUNS} run_ids."
            f" Received {len(asked.run_ids)} run_ids."
        )
    if not 1 <= asked.max_results <= MOST_PER_RUN:
        raise invalid(f"max_results must be between 1 and {MOST_PER_RUN}.")
    if (asked.start_step is None) != (asked.end_step is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if asked.start_step is not None and asked.end_step is not None and asked.start_step > asked.end_step:
        raise invalid(
            f"end_step must be greater than start_step. Found start_step={asked.start_step}"
            f" and end_step={asked.end_step}."
        )
    found: list[MetricRecord] = []
    for run_id in asked.run_ids:
        points = _by_step(_series(ground, run_id, asked.metric_key))
        if asked.start_step is not None:
            points = points.take((points.steps >= asked.start_step) & (points.steps <= asked.end_step))
        chosen = points.take(evenly(points.count, asked.max_results))
        found += _records(asked.metric_key, chosen, run_id)
    return HistoryAnswer(found)


def evenly(count: int, most: int) -> list[int]:
    """Return the places of about evenly spread points, the first and the last among them.

    Example:
        >>> evenly(10, 5), evenly(3, 5)
        ([0, 2, 4, 6, 9], [0, 1, 2])
    """
    if count <= most:
        return list(range(count))
    size, longer = divmod(count, most)
    # the first `longer` stretches hold one point more
    starts = [at * size + min(at, longer) for at in range(most)]
    return [*starts[:-1], count - 1]


def _series(ground: Ground, run_id: str, key: str) -> Points:
    """Return a whole series by step; that of an unknown run is empty, as for MLflow."""
    import numpy as np

    try:
        found = ground.stores.runs.sampled(run_id, key, points=_WHOLE)
    except NotFound:
        return Points(np.empty(0), np.empty(0), np.empty(0, np.int64))
    return Points(
        np.frombuffer(found.values, "<f8"), np.frombuffer(found.steps, "<f8"), np.frombuffer(found.times, "<i8")
    )


def _by_time(points: Points) -> Points:
    return in_order(points, points.times, points.steps, points.values)


def _by_step(points: Points) -> Points:
    return in_order(points, points.steps, points.times, points.values)


def in_order(points: Points, *columns: Any) -> Points:
    """Order points by columns, the first of which counts most; most series are in order, which is cheap to see."""
    import numpy as np

    follows = np.ones(max(points.count - 1, 0), bool)
    for column in reversed(columns):
        follows = (column[1:] > column[:-1]) | ((column[1:] == column[:-1]) & follows)
    return points if follows.all() else points.take(np.lexsort(columns[::-1]))


def _records(key: str, points: Points, run_id: str = "") -> list[MetricRecord]:
    import numpy as np

    values = points.values.tolist()
    if not np.isfinite(points.values).all():
        values = [json_number(value) for value in values]
    millis = (points.times // 1000).tolist()
    steps = np.floor(points.steps).astype(np.int64).tolist()
    return [
        MetricRecord(key, value, millis, step, run_id)
        for value, millis, step in zip(values, millis, steps, strict=True)
    ]


def write_token(offset: int) -> str:
    """Return what leads to the rest of a list."""
    return base64.b64encode(msgspec.json.encode({"offset": offset})).decode()


def read_token(token: str) -> int:
    """Return how much of a list came before; nothing without a token."""
    if not token:
        return 0
    try:
        offset = msgspec.json.decode(base64.b64decode(token, validate=True), type=dict[str, int]).get("offset", 0)
    except (ValueError, msgspec.DecodeError) as error:
        raise invalid(f"Invalid page token: {error}") from error
    if not 0 < offset < 2**62:
        raise invalid("Invalid page token: it leads nowhere.")
    return offset


_METRICS = "/2.0/mlflow/metrics"

ENDPOINTS: tuple[Endpoint | RawEndpoint, ...] = (
    RawEndpoint(method="GET", path=f"{_METRICS}/get-history", answer=_history),
    Endpoint(method="GET", path=f"{_METRICS}/get-history-bulk", request=_Bulk, handle=_bulk),
    Endpoint(method="GET", path=f"{_METRICS}/get-history-bulk-interval", request=_Interval, handle=_interval),
)
