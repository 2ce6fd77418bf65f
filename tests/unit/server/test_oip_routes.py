from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from interlock.server.dataplane import DataPlane
from interlock.server.guard import Access
from interlock.server.http import Scope
from tests.serving_examples import ROW, Shelf, fresh_stores, hosted, loaded, oip_inputs
from tests.unit.server.asgi import Reply, call


class Gate:
    """Lets everybody in, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[Access] = []

    def __call__(self, scope: Scope, access: Access, *more: Any) -> None:
        self.asked.append(access)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def plane(gate: Gate) -> Iterator[DataPlane]:
    with hosted(fresh_stores(), Shelf(loaded())) as host:
        plane = DataPlane(host, admit=gate)
        yield plane
        plane.close()


def ask(plane: DataPlane, method: str, path: str, body: Any = b"", **options: Any) -> Reply:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [("content-length", str(len(sent))), *options.pop("headers", ())]
    return call(plane, method, path, body=sent, headers=headers, **options)


@pytest.mark.parametrize(
    ("method", "path", "access"),
    [
        ("GET", "/v2/health/live", "open"),
        ("GET", "/v2/models/delay/config", "data"),
        ("GET", "/v2/models/delay/versions/1/config", "data"),
        ("GET", "/v2/models/delay/versions/1/stats", "data"),
        ("GET", "/v2/logging", "data"),
        ("GET", "/v2/models/delay/trace/setting", "data"),
        ("POST", "/v2/logging", "admin"),
        ("POST", "/v2/trace/setting", "admin"),
        ("POST", "/v2/models/delay/trace/setting", "admin"),
        ("POST", "/v2/repository/models/delay/load", "admin"),
        ("POST", "/v2/repository/models/delay/unload", "admin"),
        ("GET", "/v2/systemsharedmemory/status", "data"),
        ("POST", "/v2/cudasharedmemory/unregister", "data"),
        ("POST", "/v2/systemsharedmemory/region/a/unregister", "data"),
    ],
)
def test_what_changes_the_server_is_for_those_who_run_it(
    plane: DataPlane, gate: Gate, method: str, path: str, access: str
) -> None:
    reply = ask(plane, method, path)
    assert (reply.status, gate.asked) == (200, [access]), reply.body


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "what"),
    [
        ("POST", "/v2/repository/models/delay/load", {"parameters": {"config": "{}"}}, 400, "a configuration"),
        ("POST", "/v2/repository/models/delay/load", {"parameters": {"file:1/model.onnx": "AA=="}}, 400, "files"),
        ("POST", "/v2/repository/models/delay/load", {"parameters": {"speed": 1}}, 400, "'speed'"),
        ("POST", "/v2/repository/models/delay/load", {"parameters": [1]}, 400, "parameters cannot be read"),
        ("POST", "/v2/repository/models/dely/unload", {}, 404, "'dely'"),
        ("POST", "/v2/repository/models/delay/unload", b"[", 400, "cannot be read"),
        ("POST", "/v2/logging", {"log_file": "/tmp/a"}, 400, "log_file"),
        ("POST", "/v2/models/dely/trace/setting", {}, 404, "'dely'"),
        ("GET", "/v2/models/dely/trace/setting", b"", 404, "'dely'"),
        ("GET", "/v2/models/dely/config", b"", 404, "'dely'"),
        ("GET", "/v2/models/delay/versions/9/stats", b"", 404, "'9'"),
        ("GET", "/v2/systemsharedmemory/region/a/status", b"", 404, "no shared memory region 'a'"),
        ("POST", "/v2/cudasharedmemory/region/a/register", {}, 400, "reads no memory"),
    ],
)
def test_what_is_refused_says_why(plane: DataPlane, method: str, path: str, body: Any, status: int, what: str) -> None:
    reply = ask(plane, method, path, body)
    assert reply.status == status
    assert what in reply.json()["error"]


def test_settings_are_read_and_changed(plane: DataPlane) -> None:
    found = ask(plane, "GET", "/v2/logging").json()
    assert ask(plane, "POST", "/v2/logging", {"log_info": found["log_info"]}).json() == found
    traced = ask(plane, "GET", "/v2/trace/setting").json()
    assert ask(plane, "POST", "/v2/trace/setting", {"trace_level": None}).json() == traced


def test_unload_takes_the_parameter_that_clients_send(plane: DataPlane) -> None:
    body = {"parameters": {"unload_dependents": True}}
    assert ask(plane, "POST", "/v2/repository/models/delay/unload", body).status == 200
    assert ask(plane, "GET", "/v2/models/delay/ready").status == 503
    assert ask(plane, "GET", "/v2/health/ready").status == 200
    assert ask(plane, "POST", "/v2/repository/models/delay/load", {}).status == 200
    assert ask(plane, "GET", "/v2/models/delay/ready").status == 200


def test_large_requests_are_answered_beside_the_event_loop(plane: DataPlane) -> None:
    rows = [{**ROW, "x": float(at)} for at in range(3_000)]
    found = ask(plane, "POST", "/v2/models/delay/infer", {"inputs": oip_inputs(*rows)}).json()
    assert found["outputs"][0]["data"] == [row["x"] for row in rows]
    wanted = {"inputs": oip_inputs(*rows), "parameters": {"binary_data_output": True}}
    reply = ask(plane, "POST", "/v2/models/delay/infer", wanted)
    assert reply.headers["content-type"] == "application/octet-stream"
