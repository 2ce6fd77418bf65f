"""MLflow's scoring protocol over a real socket, as its clients speak it: plain HTTP by the standard library."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from interlock.ports.stores import Stores
from interlock.server.serve import listen, serving
from interlock.server.serve_app import ServeApp
from tests.serving_examples import FIRST, ROW, Shelf, fresh_stores, hosted, loaded


@pytest.fixture(scope="module")
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture(scope="module")
def url(stores: Stores) -> Iterator[str]:
    with hosted(stores, Shelf(loaded(FIRST))) as host:
        app = ServeApp(host)
        with serving(app, listen("127.0.0.1", 0)) as address:
            yield address
        app.close()


def send(url: str, body: Any = None, *, media_type: str = "application/json") -> tuple[int, Any]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": media_type})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text.strip().startswith(b"{") else text.decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize("path", ["/invocations", "/endpoints/delay/invocations"])
@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}},
        {"dataframe_records": [ROW]},
        {"instances": [ROW]},
        {"instances": [list(ROW.values())]},
        {"inputs": {name: [value] for name, value in ROW.items()}},
        {"inputs": [list(ROW.values())], "params": {"event_time": "2013-01-01T00:00:00Z"}},
    ],
)
def test_every_form_is_answered(url: str, path: str, body: Any, stores: Stores) -> None:
    status, reply = send(url + path, body)
    assert status == 200
    assert (reply["predictions"], reply["outputs"]) == ([0], {"probability": [0.25], "label": [0]})
    assert stores.predictions.find(reply["prediction_ids"][0])


def test_csv_is_answered(url: str) -> None:
    status, reply = send(url + "/invocations", b"x,n,city\n0.25,1,JFK\n", media_type="text/csv")
    assert (status, reply["predictions"]) == (200, [0])


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_what_the_client_asks_first(url: str, path: str) -> None:
    assert send(url + path)[0] == 200


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        ({"dataframe_records": [{**ROW, "x": "1"}]}, "application/json", 400, "BAD_REQUEST"),
        ({"inputs": [], "instances": []}, "application/json", 400, "BAD_REQUEST"),
        (b"{", "application/json", 400, "BAD_REQUEST"),
        (b"<a/>", "text/xml", 415, "BAD_REQUEST"),
    ],
)
def test_errors_have_mlflows_shape(url: str, body: Any, media_type: str, status: int, code: str) -> None:
    found, reply = send(url + "/invocations", body, media_type=media_type)
    assert (found, reply["error_code"]) == (status, code)
    assert reply["message"]


def test_a_truth_comes_later_by_id(url: str) -> None:
    _, reply = send(url + "/invocations", {"dataframe_records": [ROW]})
    truth = [{"prediction_id": reply["prediction_ids"][0], "truth": 1, "known_at": "2026-01-01T09:00:00Z"}]
    assert send(url + "/api/v1/feedback", truth) == (200, {"accepted": 1, "duplicates": 0, "unknown": []})
