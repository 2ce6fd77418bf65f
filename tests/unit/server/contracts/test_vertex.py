from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from interlock.server.contracts.environments import Environment
from interlock.server.dataplane import DataPlane
from tests.serving_examples import ROW, Shelf, fresh_stores, hosted
from tests.unit.server.contracts.conftest import Ask, asking

API = "/v1/projects/p/locations/eu/endpoints/delay"
CONTAINER = "/v1/endpoints/123/deployedModels/456"


@pytest.mark.parametrize("path", [f"{API}:predict", f"{CONTAINER}:predict"])
def test_instances_are_predicted(ask: Ask, path: str) -> None:
    reply = ask("POST", path, {"instances": [ROW], "parameters": {"prediction_ids": ["mine"]}})
    found = reply.json()
    assert (reply.status, found["predictions"], found["modelVersionId"]) == (200, [0], "1")
    assert found["metadata"] == {"prediction_ids": ["mine"], "revision": 1}
    assert found["deployedModelId"] == ("456" if path.startswith(CONTAINER) else "delay")


def test_raw_requests_are_answered_raw(ask: Ask) -> None:
    for path in (f"{API}:rawPredict", f"{CONTAINER}:rawPredict", f"{CONTAINER}:predict"):
        reply = ask("POST", path, b"0.25,1,JFK\n", headers={"content-type": "text/csv", "accept": "text/csv"})
        assert (reply.status, reply.body) == (200, b"0\n")


def test_googles_client_wraps_what_is_raw(ask: Ask) -> None:
    data = base64.b64encode(json.dumps({"instances": [ROW]}).encode()).decode()
    wrapped = {"httpBody": {"contentType": "application/json", "data": data}}
    reply = ask("POST", f"{API}:rawPredict?%24alt=json", wrapped)
    assert reply.json()["contentType"] == "application/json"
    assert json.loads(base64.b64decode(reply.json()["data"]))["predictions"] == [0]
    assert ask("POST", f"{API}:rawPredict?%24alt=json", b"{").status == 400


@pytest.mark.parametrize(
    ("path", "body", "status", "name"),
    [
        (f"{API}:predict", {"instances": [{**ROW, "n": None}]}, 400, "INVALID_ARGUMENT"),
        (f"{API}:predict", b"[", 400, "INVALID_ARGUMENT"),
        (f"{API}x:predict", {"instances": [ROW]}, 404, "NOT_FOUND"),
        (f"{API}:rawPredict", {}, 400, "INVALID_ARGUMENT"),
        (f"{API}:explain", {"instances": [ROW]}, 501, "UNIMPLEMENTED"),
    ],
)
def test_errors_are_googles(ask: Ask, path: str, body: Any, status: int, name: str) -> None:
    reply = ask("POST", path, body)
    error = reply.json()["error"]
    assert (reply.status, error["code"] < 500 or status == 501) == (status, True), reply.body
    assert error["message"]
    assert status == 501 or error["status"] == name


class TestChosen:
    @pytest.fixture
    def environment(self) -> Environment:
        return Environment(platform="vertex", health_route="/ping", predict_route="/invocations")

    def test_the_platform_chooses_the_paths(self, ask: Ask) -> None:
        assert ask("GET", "/ping").json() == {}
        assert "deployedModelId" in ask("POST", "/invocations", {"instances": [ROW]}).json()
        assert ask("POST", "/v2/models/delay/infer", {}).status == 400


def test_a_path_may_be_chosen_for_both() -> None:
    from interlock.server.contracts.speaking import Spoken

    with hosted(fresh_stores(), Shelf()) as host:
        spoken = Spoken(Environment(platform="vertex", health_route="/here", predict_route="/here"))
        plane = DataPlane(host, spoken=spoken)
        assert asking(plane)("GET", "/here").status == 503
        assert asking(plane)("POST", "/here", {}).status == 503
        plane.close()
