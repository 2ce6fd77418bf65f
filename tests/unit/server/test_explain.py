from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.ports.deployment_store import Deployment
from interlock.server.calls import encode_json
from interlock.server.dataplane import DataPlane
from interlock.server.explain import Explaining
from interlock.server.hosting import EndpointHost
from interlock.serving.validation import Table
from interlock.workspace import Workspace, open_workspace
from tests.fitted import flight_delay, flights, late
from tests.unit.server.asgi import Reply, call

ROW = {"wind": 3.5, "delay": None, "distance": 4.0, "carrier": "AA", "origin": "EWR"}
OIP = {
    "inputs": [
        {"name": "wind", "shape": [1], "datatype": "FP64", "data": [3.5]},
        {"name": "delay", "shape": [1], "datatype": "FP64", "data": [None]},
        {"name": "distance", "shape": [1], "datatype": "FP64", "data": [4.0]},
        {"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["AA"]},
        {"name": "origin", "shape": [1], "datatype": "BYTES", "data": ["EWR"]},
    ]
}


def by_neighbours() -> Any:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    table = flights()
    return make_pipeline(flight_delay()[:-1], KNeighborsClassifier()).fit(table, late(table))


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with open_workspace("memory:") as workspace:
        for name, model in (("delay", flight_delay()), ("near", by_neighbours())):
            version = workspace.registry.register(name, model, example=flights().slice(0, 50))
            workspace.stores.deployments.route(name, [Deployment(version.ref, "live", 1.0)])
        yield workspace


@pytest.fixture(scope="module")
def plane(workspace: Workspace) -> Iterator[DataPlane]:
    stores = workspace.stores
    host = EndpointHost(stores.deployments, stores.journal, load=workspace.load_model, log=stores.predictions)
    host.refresh()
    explaining = Explaining(workspace, None)
    plane = DataPlane(host, explaining=explaining)
    yield plane
    plane.close()
    explaining.close()
    host.close()


def post(plane: DataPlane, path: str, body: Any) -> Reply:
    data = encode_json(body)
    return call(plane, "POST", path, body=data, headers=[("content-length", str(len(data)))])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models/delay:explain", {"instances": [ROW]}),
        ("/v2/models/delay/explain", OIP),
        ("/v2/models/delay/versions/1/explain", OIP),
    ],
)
def test_both_protocols_explain_alike(plane: DataPlane, path: str, body: Any) -> None:
    reply = post(plane, path, body)
    assert reply.status == 200
    said = reply.json()
    assert (said["model_name"], said["model_version"], said["space"]) == ("delay", "1", "log-odds")
    assert said["additivity"]["checked"] is True
    [[part]] = said["explanations"]
    assert part["base"] + sum(part["contributions"].values()) == pytest.approx(part["value"])
    assert max(part["contributions"], key=lambda name: part["contributions"][name]) == "wind"


def test_what_has_no_exact_way_is_sampled_and_fetched(plane: DataPlane) -> None:
    reply = post(plane, "/v1/models/near:explain", {"instances": [ROW]})
    assert reply.status == 202
    said = reply.json()
    assert said["state"] == "running"
    assert reply.headers["location"] == said["url"]
    while (done := call(plane, "GET", said["url"]).json())["state"] == "running":
        threading.Event().wait(0.02)
    assert done["state"] == "done"
    [[part]] = done["explanations"]
    assert part["standard_errors"]["wind"] >= 0
    # from now on it is known that there is no exact way
    again = post(plane, "/v2/models/near/explain", OIP).json()
    while (done := call(plane, "GET", again["url"]).json())["state"] == "running":
        threading.Event().wait(0.02)
    assert done["explanations"] == [[part]]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/delay:explain", {"instances": [{"wind": "x"}]}, (400, 422)),
        ("/v2/models/delay/explain", {"inputs": []}, (400, 422)),
        ("/v2/models/dely/explain", OIP, (404,)),
        ("/v2/models/delay/versions/7/explain", OIP, (404,)),
    ],
)
def test_bad_input_is_told(plane: DataPlane, path: str, body: Any, status: tuple[int, ...]) -> None:
    reply = post(plane, path, body)
    assert reply.status in status
    assert "error" in reply.json()


def test_an_explanation_that_nobody_asked_for(plane: DataPlane) -> None:
    assert call(plane, "GET", "/v2/models/near/explanations/01M7YMDW015J055ZQP30T3K56N").status == 404


def test_a_workspace_on_disk_is_explained_elsewhere(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "ws") as workspace:
        version = workspace.registry.register("delay", flight_delay(), example=flights().slice(0, 50))
        explaining = Explaining(workspace, workspace.folder / "serving")
        table = Table([[3.5], [1.0], [4.0], ["AA"], ["EWR"]], 1, has_missing=False)
        # one process will do for both
        explaining._helpers = (explaining._helpers[0],) * 2
        found = explaining.at_once(version.ref, table)
        assert found is not None
        job = explaining.later("delay", version.ref, table)
        while (done := explaining.jobs.find("delay", job.id)).state == "running":
            threading.Event().wait(0.02)
        assert done.state == "done"
        explaining.close()
