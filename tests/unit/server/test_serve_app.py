from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from interlock.server.serve_app import ServeApp
from tests.serving_examples import FIRST, ROW, Shelf, fresh_stores, hosted, loaded, oip_inputs
from tests.unit.server.asgi import call

BODY = json.dumps({"inputs": oip_inputs(ROW)}).encode()
LENGTH = ("content-length", str(len(BODY)))
INFER = "/v2/models/delay/infer"


@pytest.fixture
def make() -> Iterator[Any]:
    made: list[ServeApp] = []
    with hosted(fresh_stores(), Shelf(loaded(FIRST))) as host:

        def make(**options: Any) -> ServeApp:
            made.append(ServeApp(host, **options))
            return made[-1]

        yield make
        for app in made:
            app.close()


def test_predictions_are_answered(make: Any) -> None:
    assert call(make(), "POST", INFER, body=BODY, headers=[LENGTH]).status == 200


def test_a_token_is_wanted_where_there_is_one(make: Any) -> None:
    app = make(token="s3cret")
    reply = call(app, "POST", INFER, body=BODY, headers=[LENGTH])
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert "token" in reply.json()["error"]
    shown = ("authorization", "Bearer s3cret")
    assert call(app, "POST", INFER, body=BODY, headers=[LENGTH, shown]).status == 200


@pytest.mark.parametrize("path", ["/ping", "/health", "/v2/health/live", "/v2/health/ready"])
def test_probes_need_no_token(make: Any, path: str) -> None:
    assert call(make(token="s3cret"), "GET", path).status == 200


def test_another_host_and_another_origin_are_refused(make: Any) -> None:
    app = make()
    reply = call(app, "GET", "/ping", host="evil.example")
    assert (reply.status, "another host" in reply.json()["error"]) == (421, True)
    reply = call(app, "GET", "/ping", headers=[("origin", "http://evil.example")])
    assert (reply.status, "origin" in reply.json()["error"]) == (403, True)
    assert call(make(allowed_hosts=["models.example"]), "GET", "/ping", host="models.example").status == 200


def test_serving_imports_no_heavy_library() -> None:
    code = "import sys, interlock.server.serve_app, interlock.server.serve, interlock.serving.loading\n"
    code += "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sklearn", "pandas", "scipy", "pyarrow", "duckdb", "skl2onnx", "onnx", "optuna"} & set(loaded)
