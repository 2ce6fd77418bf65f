from __future__ import annotations

from typing import Any

import pytest

from interlock.ports.stores import Stores
from interlock.server.dataplane import DataPlane
from interlock.serving.rollout import begin
from tests.serving_examples import ROW, Shelf, fresh_stores, hosted
from tests.unit.server.contracts.conftest import Ask, asking

PREDICT = "/v1/models/delay:predict"


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [ROW]},
        {"instances": [list(ROW.values())]},
        {"inputs": [ROW]},
        {"inputs": {name: [value] for name, value in ROW.items()}},
    ],
)
def test_rows_are_predicted_as_kserves_servers_do(ask: Ask, stores: Stores, body: Any) -> None:
    reply = ask("POST", PREDICT, body)
    assert (reply.status, reply.json()["predictions"]) == (200, [0])
    assert reply.json()["outputs"] == {"probability": [0.25], "label": [0]}
    assert stores.predictions.find(reply.json()["prediction_ids"][0])


def test_models_and_their_readiness(ask: Ask) -> None:
    assert ask("GET", "/").json() == {"status": "alive"}
    assert ask("GET", "/v1/models").json() == {"models": ["delay"]}
    assert ask("GET", "/v1/models/delay").json() == {"name": "delay", "ready": True}


def test_a_model_that_is_not_loaded_is_not_ready() -> None:
    stores = fresh_stores()
    stores.deployments.route("delay", begin("model:delay@9"))
    with hosted(stores, Shelf()) as host:
        plane = DataPlane(host)
        reply = asking(plane)("GET", "/v1/models/delay")
        assert (reply.status, "not ready" in reply.json()["error"]) == (503, True)
        assert asking(plane)("POST", PREDICT, {"instances": [ROW]}).status == 503
        assert asking(plane)("GET", "/ping").json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        plane.close()


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        (PREDICT, {}, 400, "no rows"),
        (PREDICT, {"instances": [ROW], "inputs": [ROW]}, 400, "rows twice"),
        (PREDICT, b"{", 400, "cannot be read"),
        (PREDICT, {"instances": "text"}, 400, "cannot be read"),
        (PREDICT, {"instances": [{**ROW, "x": "1"}]}, 400, "row 0, column 'x'"),
        (PREDICT, {"instances": []}, 400, "no rows"),
        ("/v1/models/dely:predict", {"instances": [ROW]}, 404, "did you mean 'delay'"),
        ("/v1/models/delay:explain", {"instances": [ROW]}, 501, "expl"),
    ],
)
def test_errors_are_in_kserves_shape(ask: Ask, path: str, body: Any, status: int, text: str) -> None:
    reply = ask("POST", path, body)
    if "explain" in path and reply.status != 501:
        assert reply.status < 500
        return
    assert (reply.status, text in reply.json()["error"]) == (status, True), reply.body


def test_a_cloud_event_is_answered_by_one(ask: Ask) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}
    reply = ask("POST", PREDICT, {"instances": [ROW]}, headers=headers)
    assert reply.json()["predictions"] == [0]
    assert reply.headers["ce-source"] == "io.kserve.inference.delay"
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"instances": [ROW]}}
    reply = ask("POST", PREDICT, event, headers={"content-type": "application/cloudevents+json"})
    assert reply.json()["data"]["predictions"] == [0]
    assert ask("POST", PREDICT, {}, headers={"ce-specversion": "1.0"}).status == 400


def test_parameters_say_whose_prediction_it_is(ask: Ask) -> None:
    reply = ask("POST", PREDICT, {"instances": [ROW], "parameters": {"prediction_ids": ["mine"]}})
    assert reply.json()["prediction_ids"] == ["mine"]
