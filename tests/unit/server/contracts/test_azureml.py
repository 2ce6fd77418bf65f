from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from interlock.server.contracts.entry_script import EntryScript
from interlock.server.contracts.environments import Environment
from interlock.server.contracts.speaking import Spoken
from interlock.server.dataplane import DataPlane
from interlock.server.hosting import EndpointHost
from tests.serving_examples import ROW
from tests.unit.server.contracts.conftest import Ask, asking

VALUES = list(ROW.values())


@pytest.fixture
def environment() -> Environment:
    return Environment(platform="azureml", timeout_s=5.0, cors_origins=("example.com",))


@pytest.mark.parametrize(
    "body",
    [
        {"input_data": {"columns": list(ROW), "index": [0], "data": [VALUES]}},
        {"input_data": [VALUES]},
        {"input_data": [ROW], "params": {}},
        {"input_data": {name: [value] for name, value in ROW.items()}},
        {"input_data": {"data": [VALUES]}},
        {"data": [VALUES]},
        {"Inputs": {"data": [ROW]}},
        {"dataframe_records": [ROW]},
    ],
)
def test_rows_come_as_azures_servers_take_them(ask: Ask, body: Any) -> None:
    reply = ask("POST", "/score", body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert (reply.status, reply.json()) == (200, [0])
    assert reply.headers["x-interlock-prediction-ids"]
    assert reply.headers["x-ms-run-function-failed"] == "False"
    assert float(reply.headers["x-ms-run-fn-exec-ms"]) >= 0


def test_a_row_may_come_as_a_query_or_as_csv(ask: Ask) -> None:
    assert ask("GET", "/score?x=0.75&n=1&city=JFK").json() == [1]
    assert ask("GET", "/score?x=0.75&n=1&city=5").json() == [1]
    assert ask("GET", "/score?x=wide&n=1&city=JFK").status == 400
    assert ask("GET", "/score?x=null&n=1&city=null").json() == [0]
    assert ask("GET", "/score?x=0.75&x=1&n=1&city=JFK").status == 400
    assert ask("GET", "/score?" + "a=1&" * 50).status == 400
    assert ask("POST", "/score", b"0.75,1,JFK\n", headers={"content-type": "text/csv"}).json() == [1]


def test_nan_is_a_missing_value(ask: Ask) -> None:
    assert ask("POST", "/score", b'{"input_data": [[NaN, 1, "JFK"]]}').json() == [0]
    assert ask("POST", "/score", b'{"input_data": [[NaN, 1, "JFK"]}').status == 400


def test_probes(ask: Ask) -> None:
    assert (ask("GET", "/").body, ask("HEAD", "/").status) == (b"Healthy", 200)
    assert ask("OPTIONS", "/score").status == 200
    assert ask("PUT", "/score").status == 405
    assert ask("PUT", "/score").json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        {},
        {"input_data": 5},
        {"input_data": {"data": [VALUES], "index": 5}},
        {"input_data": [{**ROW, "x": "1"}]},
        [1],
    ],
)
def test_errors_are_in_azures_shape(ask: Ask, body: Any) -> None:
    reply = ask("POST", "/score", body)
    assert (reply.status, set(reply.json())) == (400, {"message"})
    assert reply.headers["x-request-id"]


def test_ids_are_given_back(ask: Ask) -> None:
    def ids(**headers: str) -> tuple[str | None, ...]:
        found = ask("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()}).headers
        return tuple(found.get(name) for name in ("x-request-id", "x-ms-request-id", "x-ms-client-request-id"))

    assert ids(x_request_id="r") == ("r", "r", None)
    assert ids(x_request_id="r", x_ms_client_request_id="c") == ("r", "c", "c")
    assert ids(x_request_id="r", x_ms_request_id="m") == ("r", "m", "m")
    assert ids(x_request_id="r", x_ms_request_id="m", x_ms_client_request_id="c") == ("r", "m", "c")
    assert len(ids()[0] or "") == 36
    assert ask("POST", "/score", {"data": [ROW]}, headers={"TraceId": "t"}).headers["traceid"] == "t"


@pytest.mark.parametrize("name", ["x-request-id", "x-ms-request-id", "x-ms-client-request-id"])
def test_ids_that_are_too_long_are_431(ask: Ask, name: str) -> None:
    reply = ask("POST", "/score", {"data": [ROW]}, headers={name: "r" * 101})
    assert (reply.status, name in reply.json()["message"]) == (431, True)


def test_pages_of_a_known_origin_may_call(ask: Ask) -> None:
    reply = ask("OPTIONS", "/score", headers={"origin": "https://example.com"})
    assert reply.headers["access-control-allow-origin"] == "https://example.com"
    other = ask("OPTIONS", "/score", headers={"origin": "https://other.com"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(("version", "head"), [("", "swagger"), ("?version=2", "swagger"), ("?version=3.1", "openapi")])
def test_swagger_of_each_version(ask: Ask, version: str, head: str) -> None:
    assert head in ask("GET", f"/swagger.json{version}").json()
    missing = ask("GET", "/swagger.json?version=9")
    assert (missing.status, missing.json()["message"]) == (
        404,
        "Swagger version [9] is not valid. Supported versions: [2, 3, 3.1].",
    )


def scripted(host: EndpointHost, path: Path, text: str, **options: Any) -> tuple[DataPlane, EntryScript]:
    path.write_text(text)
    script = EntryScript(path)
    environment = Environment(platform="azureml", entry_script=path, **options)
    return DataPlane(host, spoken=Spoken(environment, None, script)), script


def test_a_script_answers_in_the_models_place(host: EndpointHost, tmp_path: Path) -> None:
    text = "import json\ndef init(): pass\ndef run(data): return json.loads(data)['x'] * 2\n"
    plane, script = scripted(host, tmp_path / "score.py", text)
    assert asking(plane)("POST", "/score", {"x": 4}).json() == 8
    assert asking(plane)("GET", "/score?x=4").json() == 8
    failed = asking(plane)("POST", "/score", {"y": 4})
    assert (failed.status, failed.headers["x-ms-run-function-failed"]) == (500, "True")
    assert "scoring script" in failed.json()["message"]
    script.close()
    plane.close()


def test_a_script_that_hangs_is_not_waited_for(host: EndpointHost, tmp_path: Path) -> None:
    text = "def init(): pass\ndef run(data): return WAIT.wait(20)\n"
    plane, script = scripted(host, tmp_path / "score.py", text, timeout_s=0.05)
    waiting = threading.Event()
    script._run.__globals__["WAIT"] = waiting
    late = asking(plane)("POST", "/score", {})
    assert (late.status, "Scoring timeout after 50 ms" in late.json()["message"]) == (500, True)
    waiting.set()
    script.close()
    plane.close()
