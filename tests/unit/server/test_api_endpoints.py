"""What the page of an endpoint reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from interlock.core.schema import Column, Signature
from interlock.ports.deployment_store import Deployment
from interlock.ports.model_store import ModelVersion
from interlock.ports.prediction_log import Prediction
from interlock.ports.stores import Stores
from interlock.server.app import App
from interlock.serving.statistics import StatisticsBook
from tests.unit.server.asgi import call

MICROS = 1_767_225_600_000_000


@pytest.fixture
def routed(stores: Stores) -> Stores:
    """An endpoint with a version that keeps an example."""
    example = stores.artifacts.put(b'{"x": [1.5, 2.5]}')
    stores.models.add_version(
        ModelVersion(
            model="delay",
            version=0,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            files=(),
            signature=Signature((Column("x", "double"),), (Column("p", "double"),)),
            flavor="sklearn",
            engine="onnx",
            example=example.digest,
        )
    )
    stores.deployments.route("delay", [Deployment("model:delay@1", "live", 1.0)])
    return stores


def test_a_row_of_the_example_stands_with_the_endpoint(routed: Stores, make_app: Callable[..., App]) -> None:
    assert call(make_app(), "GET", "/api/v1/endpoints/delay").json()["example"] == {"x": 1.5}


def test_the_newest_predictions_come_first(routed: Stores, make_app: Callable[..., App]) -> None:
    routed.predictions.append(
        [
            Prediction(f"p{at}", "delay", "model:delay@1", "live", MICROS + at, MICROS + at, (float(at),), {"p": 0.5})
            for at in range(5)
        ]
    )
    rows = call(make_app(), "GET", "/api/v1/endpoints/delay/recent?limit=2").json()
    assert [row["id"] for row in rows] == ["p4", "p3"]
    assert rows[0]["inputs"] == {"x": 4.0}


def test_traffic_is_told_by_minute_and_by_version(routed: Stores, make_app: Callable[..., App]) -> None:
    book = StatisticsBook()
    now = int(datetime.now(UTC).timestamp() * 1e6)
    live = book.of("delay", "model:delay@1", "live")
    for took_ms in (1, 1, 1, 50):
        live.answered(2, took_ms * 1_000_000, now)
    live.failed(1_000, "the rows do not fit", kind="input", now_micros=now)
    book.of("delay", "model:delay@2", "shadow").answered(9, 1_000_000, now)
    book.of("other", "model:other@1", "live").answered(9, 1_000_000, now)
    around = SimpleNamespace(statistics=book, keys=None)
    app = make_app(around=around, answers_at=lambda: "http://127.0.0.1:1")
    traffic = call(app, "GET", "/api/v1/endpoints/delay/traffic").json()
    assert traffic["url"] == "http://127.0.0.1:1"
    assert len(traffic["minutes"]) == 60
    assert sum(minute["requests"] for minute in traffic["minutes"]) == 4
    assert sum(minute["failures"] for minute in traffic["minutes"]) == 1
    assert [(one["model"], one["rows"]) for one in traffic["versions"]] == [("model:delay@1", 8), ("model:delay@2", 9)]
    assert traffic["versions"][0]["problem"] == "the rows do not fit"
    assert traffic["versions"][0]["p50_ms"] == pytest.approx(1, rel=0.2)
    assert traffic["versions"][0]["p99_ms"] == pytest.approx(50, rel=0.2)


def test_an_endpoint_that_nobody_asked_has_no_traffic(routed: Stores, make_app: Callable[..., App]) -> None:
    traffic = call(make_app(), "GET", "/api/v1/endpoints/delay/traffic").json()
    assert traffic == {"minutes": [], "versions": [], "url": None}
    assert call(make_app(), "GET", "/api/v1/endpoints/other/traffic").status == 404
