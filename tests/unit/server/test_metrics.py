from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from interlock.server import metrics
from interlock.server.dataplane import DataPlane
from interlock.server.metrics import Metrics, wants_openmetrics
from interlock.serving.request_statistics import RequestBook
from interlock.serving.statistics import StatisticsBook
from tests.serving_examples import FIRST, ROW, Shelf, fresh_stores, hosted, loaded, oip_inputs
from tests.unit.server.asgi import call

MINUTE = 60_000_000


@pytest.fixture
def told() -> Metrics:
    versions, requests = StatisticsBook(), RequestBook()
    done = versions.of("delay", "model:fl%20delay@3", "live")
    done.answered(1, 20_000, MINUTE)
    done.answered(8, 5_000_000, MINUTE)
    done.failed(1, "no", kind="input", now_micros=MINUTE)
    done.loaded(2_000_000_000)
    for status, endpoint in ((200, "delay"), (422, 'odd"\\\n')):
        requests.began()
        requests.ended((endpoint, "oip", "3", status), 20_000, 100)
    return Metrics(versions, requests, version="9.9", gauges=[("interlock_lag_seconds", "How late.", lambda: 1.5)])


@pytest.mark.parametrize("openmetrics", [False, True])
def test_prometheus_own_parser_reads_it(told: Metrics, *, openmetrics: bool) -> None:
    text = told.text(openmetrics=openmetrics)
    families = {one.name: one for one in (read_openmetrics if openmetrics else read_text)(text)}
    values = {
        (sample.name, sample.labels.get("status"), sample.labels.get("kind"), sample.labels.get("le")): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert values["interlock_http_requests_total", "200", None, None] == 1
    assert values["interlock_predictions_total", None, None, None] == 9
    assert values["interlock_inferences_total", None, None, None] == 2
    assert values["interlock_inference_failures_total", None, "input", None] == 1
    assert values["interlock_inference_duration_seconds_count", None, None, None] == 2
    assert values["interlock_inference_duration_seconds_sum", None, None, None] == pytest.approx(0.00502)
    assert values["interlock_model_load_seconds_total", None, None, None] == 2
    assert values["interlock_model_batch_rows_bucket", None, None, "8.0"] == 2
    assert values["interlock_lag_seconds", None, None, None] == 1.5
    assert values["interlock_requests_in_flight", None, None, None] == 0
    odd = [s.labels["endpoint"] for s in families["interlock_http_requests"].samples if s.labels.get("status") == "422"]
    assert odd == ['odd"\\\n']
    assert {s.labels["version"] for s in families["interlock_inferences"].samples} == {"3"}
    build = "interlock_build" if openmetrics else "interlock_build_info"
    assert families[build].samples[0].labels["version"] == "9.9"


def test_buckets_add_up(told: Metrics) -> None:
    family = next(one for one in read_text(told.text()) if one.name == "interlock_inference_duration_seconds")
    buckets = [(float(s.labels["le"]), s.value) for s in family.samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == (float("inf"), 2)
    below = dict(buckets)
    assert next(value for bound, value in below.items() if bound >= 0.00004) == 1
    assert next(value for bound, value in below.items() if bound >= 0.006) == 2
    # twice as long from bound to bound
    assert all(
        1.99 < after / before < 2.01 for (before, _), (after, _) in zip(buckets[:-2], buckets[1:-1], strict=True)
    )


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", True),
        ("application/openmetrics-text; version=0.0.1", False),
    ],
)
def test_openmetrics_is_for_who_asks_for_it(accept: str, *, wanted: bool) -> None:
    assert wants_openmetrics(accept) is wanted


@pytest.fixture
def plane() -> Iterator[DataPlane]:
    with hosted(fresh_stores(), Shelf(loaded(FIRST))) as host:
        plane = DataPlane(host, version="1.2.3")
        yield plane
        plane.close()


def test_requests_show_up(plane: DataPlane) -> None:
    body = json.dumps({"inputs": oip_inputs(ROW)}).encode()
    length = [("content-length", str(len(body)))]
    assert call(plane, "POST", "/v2/models/delay/infer", body=body, headers=length).status == 200
    assert call(
        plane, "POST", "/v2/models/delay/infer", body=body[:-3], headers=[("content-length", str(len(body) - 3))]
    )
    assert call(plane, "GET", "/nowhere").status == 404
    reply = call(plane, "GET", "/metrics", headers=[("accept", "application/openmetrics-text")])
    assert reply.headers["content-type"] == metrics.OPENMETRICS
    families = {one.name: one for one in read_openmetrics(reply.body.decode())}
    counts = {
        (s.labels["endpoint"], s.labels["protocol"], s.labels["version"], s.labels["status"]): s.value
        for s in families["interlock_http_requests"].samples
    }
    assert counts["delay", "oip", "1", "200"] == 1
    assert counts["delay", "oip", "", "400"] == 1
    assert counts["", "none", "", "404"] == 1
    plain = call(plane, "GET", "/metrics")
    assert plain.headers["content-type"] == metrics.TEXT


def test_where_there_is_no_proc_nothing_is_said_of_memory() -> None:
    assert metrics._resident_bytes(2**30) is None
    assert metrics._cpu_s(2**30) is None
