"""The OpenAPI document describes exactly the routes there are, and refers to nothing that is not in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from interlock.ports.operations import PREFIX, operations
from interlock.ports.stores import store_ports
from interlock.server.app import App
from interlock.server.openapi import document
from tests.unit.server.conftest import Get


def test_it_is_served_as_json(get: Get) -> None:
    reply = get("/openapi.json")
    assert reply.json()["openapi"] == "3.1.0"
    assert reply.json() == json.loads(json.dumps(document()))


def test_every_api_route_is_in_it(make_app: Callable[..., App]) -> None:
    signed = {"/api/v1/upload-parts/{upload}/{part}", "/api/v1/uploads/{path*}", "/api/v1/presigned/{digest}"}
    undescribed = {PREFIX + "/{store}/{operation}", *signed}
    routed = {route.path for route in make_app().router.routes if route.path.startswith("/api/v1/")} - undescribed
    derived = {f"{PREFIX}/{name}/{one}" for name, port in store_ports().items() for one in operations(port)}
    assert set(document()["paths"]) == routed | derived


def test_references_resolve() -> None:
    text = json.dumps(document())
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert referred <= set(document()["components"]["schemas"])


def test_operations_have_their_own_ids_summaries_and_problems() -> None:
    described = [one for methods in document()["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in described}) == len(described)
    for one in described:
        assert one["summary"].endswith("."), one["operationId"]
        assert set(one["responses"]) == {"200", "default"}


def test_path_and_query_parameters_are_described() -> None:
    series = document()["paths"]["/api/v1/runs/{run_id}/metrics/{key}"]["get"]
    assert [(one["name"], one["in"], one["required"]) for one in series["parameters"]] == [
        ("run_id", "path", True), ("key", "path", True), ("points", "query", False), ("by", "query", False)
    ]  # fmt: skip
    lineage = document()["paths"]["/api/v1/lineage"]["get"]
    assert {one["name"]: one["required"] for one in lineage["parameters"]} == {
        "ref": True, "depth": False, "limit": False
    }  # fmt: skip
    assert next(one for one in lineage["parameters"] if one["name"] == "depth")["schema"]["maximum"] == 32


def test_streams_are_described_as_streams() -> None:
    paths = document()["paths"]
    assert "application/octet-stream" in paths[f"{PREFIX}/artifacts/put_stream"]["post"]["requestBody"]["content"]
    assert "application/octet-stream" in paths[f"{PREFIX}/artifacts/stream"]["post"]["responses"]["200"]["content"]
