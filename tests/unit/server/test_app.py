"""The assembled control plane: what is open, what wants the token, and where predictions go."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from interlock.server.app import DATA_PATHS, PROBES, App
from interlock.server.http import json_response
from interlock.server.limits import Limits
from tests.unit.server.asgi import call

BEARER = [("authorization", "Bearer secret")]


async def data_plane(scope: Any, receive: Any, send: Any) -> None:
    await json_response({"asked": scope["path"]}).send(send)


def test_health_is_open(make_app: Callable[..., App]) -> None:
    assert call(make_app(token="secret"), "GET", "/healthz").json() == {"status": "ok"}


OPEN = {
    "/frames/still",
    "/frames/moving",
    "/healthz",
    "/openapi.json",
    "/version",
    "/{*}",
    "/api/v1/upload-parts/{upload}/{part}",
    "/api/v1/uploads/{path*}",
    "/api/v1/presigned/{digest}",
}
"""What answers without a token: probes, the pages themselves, and addresses that are their own proof."""


def test_every_api_route_wants_the_token(make_app: Callable[..., App]) -> None:
    app = make_app(token="secret")
    for route in app.router.routes:
        target = re.sub(r"[{}*]", "", route.path)
        headers = [("content-type", route.media_types[0])] if route.media_types else []
        if route.path in OPEN:
            assert route.access == "open"
            continue
        assert route.access == "api", route.path
        assert call(app, route.method, target, headers=headers).status == 401, route.path
        if not target.endswith("/events"):
            assert call(app, route.method, target, headers=[*headers, *BEARER]).status != 401, route.path
    assert {route.path for route in app.router.routes if route.access == "open"} == OPEN


def test_predictions_go_to_the_data_plane(make_app: Callable[..., App]) -> None:
    app = make_app(data_plane=data_plane)
    for path in ("/v2/models/delay/infer", "/invocations", "/endpoints/delay/invocations", "/api/v1/feedback", *PROBES):
        assert call(app, "POST", path).json() == {"asked": path}


def test_the_data_plane_wants_the_token_and_probes_do_not(make_app: Callable[..., App]) -> None:
    app = make_app(data_plane=data_plane, token="secret")
    for path in (path.format(name="delay") for path in DATA_PATHS):
        assert call(app, "POST", path).status == 401
        assert call(app, "POST", path, headers=BEARER).status == 200
    for path in PROBES:
        assert call(app, "GET", path).status == 200


def test_the_page_of_an_endpoint_is_not_the_endpoint(make_app: Callable[..., App]) -> None:
    app = make_app(data_plane=data_plane)
    assert call(app, "GET", "/endpoints/delay", headers=[("accept", "text/html")]).status == 503, "no build, but the UI"
    assert call(app, "GET", "/endpoints", headers=[("accept", "text/html")]).status == 503


def test_without_a_data_plane_there_is_nothing_there(make_app: Callable[..., App]) -> None:
    assert call(make_app(), "POST", "/v2/models/delay/infer").problem.code == "IL404"


def test_names_and_limits_are_passed_on(make_app: Callable[..., App]) -> None:
    app = make_app(allowed_hosts=["ml.example.com"], limits=Limits(head_bytes=200))
    assert call(app, "GET", "/healthz", host="ml.example.com").status == 200
    assert call(app, "GET", "/healthz", host="other.example.com").status == 421
    assert call(app, "GET", "/healthz?" + "x" * 300).status == 431


@pytest.mark.parametrize("headers", [[("origin", "http://evil.example")], [("origin", "null")]])
def test_pages_of_others_can_neither_call_nor_predict(make_app: Callable[..., App], headers: Any) -> None:
    app = make_app(data_plane=data_plane)
    for path in ("/api/v1/loop", "/invocations", "/api/v1/stores/journal/append"):
        assert call(app, "POST", path, headers=headers).problem.code == "IL403"
