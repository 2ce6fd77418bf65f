"""The table of routes."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.core.errors import InterlockError, InvalidInput, NotFound
from interlock.server.calls import Call, Reply, StatusError
from interlock.server.data_routes import DataRoute, DataTable


async def nothing(call: Call, params: dict[str, str]) -> Reply:
    return Reply()


def shape(error: InterlockError) -> tuple[int, Any]:
    return error.http_status, {}


def table(*routes: str) -> DataTable:
    return DataTable(
        DataRoute(method=method, path=path, handler=nothing, shape=shape)
        for method, _, path in (route.partition(" ") for route in routes)
    )


@pytest.mark.parametrize(
    ("path", "route", "params"),
    [
        (b"/v2", "/v2", {}),
        (b"/v2/", "/v2", {}),
        (b"/v2?a=b", "/v2", {}),
        (b"/v2/models/stats", "/v2/models/stats", {}),
        (b"/v2/models/delay", "/v2/models/{name}", {"name": "delay"}),
        (b"/v2/models/a%2Fb%20c", "/v2/models/{name}", {"name": "a/b c"}),
        (b"/v1/models/delay:predict", "/v1/models/{name}:predict", {"name": "delay"}),
        (b"/v1/models/a:predict:predict", "/v1/models/{name}:predict", {"name": "a:predict"}),
        (b"/v1/models/delay", "/v1/models/{name}", {"name": "delay"}),
    ],
)
def test_a_path_leads_to_its_route(path: bytes, route: str, params: dict[str, str]) -> None:
    routes = ["/v2", "/v2/models/{name}", "/v2/models/stats", "/v1/models/{name}", "/v1/models/{name}:predict"]
    found = table(*(f"GET {one}" for one in routes))
    for _ in range(2):  # the second time it is remembered
        assert (found.find(path).route("GET").path, found.find(path).params) == (route, params)


@pytest.mark.parametrize(
    "path", [b"/", b"/v3", b"/v2/models/a/b", b"/v1/models/:predict/x", b"/\xff", b"/" + b"a" * 500]
)
def test_a_path_that_leads_nowhere(path: bytes) -> None:
    with pytest.raises(NotFound, match="there is nothing at"):
        table("GET /v2/models/{name}").find(path)


def test_an_end_alone_is_no_name() -> None:
    with pytest.raises(NotFound):
        table("POST /v1/models/{name}:predict").find(b"/v1/models/:predict")


def test_methods() -> None:
    found = table("GET /v2", "POST /v2").find(b"/v2")
    assert (found.route("HEAD").method, found.route("POST").method) == ("GET", "POST")
    assert found.shape is shape
    with pytest.raises(StatusError) as caught:
        found.route("DELETE")
    assert (caught.value.status, caught.value.headers) == (405, ((b"allow", b"GET, HEAD, POST"),))


def test_a_route_given_twice_is_a_mistake() -> None:
    with pytest.raises(InvalidInput, match="given twice"):
        table("GET /v2", "GET /v2")


def test_what_is_remembered_has_an_end() -> None:
    found = table("GET /{name}")
    for number in range(3_000):
        assert found.find(b"/%d" % number).params == {"name": str(number)}
    assert len(found._remembered) <= 1_024
