from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import threading
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from interlock.core.errors import StorageFull
from interlock.ports.prediction_log import Prediction
from interlock.ports.stores import Stores
from interlock.server.dataplane import DataPlane
from interlock.server.hosting import EndpointHost
from interlock.server.limits import Limits
from interlock.serving.rollout import begin, begin_canary
from tests.serving_examples import (
    FIRST,
    ROW,
    SECOND,
    SIGNATURE,
    Adding,
    Shelf,
    fresh_stores,
    hosted,
    loaded,
    oip_inputs,
)
from tests.unit.server.asgi import Reply, Wire, call, scope_of

INFER = "/v2/models/delay/infer"
INVOKE = "/endpoints/delay/invocations"
ONE_ROW = json.dumps({"inputs": oip_inputs(ROW)}).encode()
RECORDS = json.dumps({"dataframe_records": [ROW]}).encode()


@pytest.fixture
def stores() -> Stores:
    return fresh_stores()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(loaded(FIRST), loaded(SECOND, shift=0.5))


@pytest.fixture
def host(stores: Stores, shelf: Shelf) -> Iterator[EndpointHost]:
    with hosted(stores, shelf) as host:
        yield host


@pytest.fixture
def plane(host: EndpointHost) -> Iterator[DataPlane]:
    plane = DataPlane(host, version="1.2.3")
    yield plane
    plane.close()


def post(plane: DataPlane, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> Reply:
    return call(plane, "POST", path, body=body, headers=[("content-length", str(len(body))), *headers])


def error_of(reply: Reply) -> str:
    """Return the text of an Open Inference error; any other shape fails the test."""
    assert reply.status >= 400
    found = reply.json()
    assert set(found) == {"error"}
    assert "Traceback" not in found["error"]
    return str(found["error"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2", {"name": "interlock", "version": "1.2.3"}),
        ("/v2/", {"name": "interlock"}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/delay", {"name": "delay", "versions": ["1"]}),
        ("/v2/models/delay/versions/1", {"name": "delay"}),
        ("/v2/models/delay/ready", {"name": "delay", "ready": True}),
        ("/v2/models/delay/versions/1/ready", {"name": "delay", "ready": True}),
    ],
)
def test_what_the_protocol_asks_is_answered(plane: DataPlane, path: str, expected: dict[str, Any]) -> None:
    reply = call(plane, "GET", path)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert expected.items() <= reply.json().items()


@pytest.mark.parametrize("path", ["/v2/models/stats", "/v2/models/delay/stats", "/v2/models/delay/versions/1/stats"])
def test_statistics(plane: DataPlane, path: str) -> None:
    post(plane, INFER, ONE_ROW)
    (row,) = call(plane, "GET", path).json()["model_stats"]
    assert (row["name"], row["version"], row["inference_count"]) == ("delay", "1", 1)


@pytest.mark.parametrize(("path", "body"), [("/ping", b"\n"), ("/health", b"\n"), ("/version", b"1.2.3")])
def test_what_mlflows_server_answers(plane: DataPlane, path: str, body: bytes) -> None:
    reply = call(plane, "GET", path)
    assert (reply.status, reply.body) == (200, body)


def test_head_has_no_body(plane: DataPlane) -> None:
    reply = call(plane, "HEAD", "/ping")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "1")


def test_an_infer_request_is_answered_and_logged(plane: DataPlane, stores: Stores) -> None:
    body = json.dumps({"inputs": oip_inputs(ROW), "parameters": {"prediction_ids": "flight-1"}}).encode()
    reply = post(plane, INFER, body).json()
    assert reply["outputs"][0]["data"] == [0.25]
    assert reply["parameters"]["prediction_ids"] == ["flight-1"]
    assert len(stores.predictions.find("flight-1")) == 1


def test_a_version_may_be_asked_for(plane: DataPlane, host: EndpointHost, stores: Stores) -> None:
    stores.deployments.route("delay", begin_canary(begin(FIRST), SECOND, share=0.01))
    host.refresh()
    reply = post(plane, "/v2/models/delay/versions/2/infer", ONE_ROW)
    assert reply.json()["outputs"][0]["data"] == [0.75]
    assert post(plane, "/v2/models/delay/versions/9/infer", ONE_ROW).status == 404


def test_raw_tensors_come_back_raw(plane: DataPlane) -> None:
    body = json.dumps({"inputs": oip_inputs(ROW), "parameters": {"binary_data_output": True}}).encode()
    reply = post(plane, INFER, body)
    assert reply.headers["content-type"] == "application/octet-stream"
    length = int(reply.headers["inference-header-content-length"])
    assert json.loads(reply.body[:length])["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert len(reply.body) == length + 16


def test_an_endpoint_whose_name_has_a_slash(stores: Stores, shelf: Shelf) -> None:
    with hosted(stores, shelf, endpoint="team/delay") as host:
        plane = DataPlane(host)
        assert call(plane, "GET", "/v2/models/team%2Fdelay").json()["name"] == "team/delay"
        assert call(plane, "GET", "/v2/models/team/delay").status == 404
        plane.close()


def test_invocations_by_name_and_for_the_only_endpoint(plane: DataPlane, stores: Stores, host: EndpointHost) -> None:
    for path in (INVOKE, "/invocations"):
        reply = post(plane, path, RECORDS, [("content-type", "application/json; charset=utf-8")])
        assert reply.json()["predictions"] == [0]
    stores.deployments.route("fare", begin(SECOND))
    host.refresh()
    reply = post(plane, "/invocations", RECORDS)
    assert (reply.status, reply.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_csv_is_taken(plane: DataPlane) -> None:
    reply = post(plane, INVOKE, b"x,n,city\n0.25,1,JFK\n", [("content-type", "text/csv")])
    assert reply.json()["predictions"] == [0]


def test_feedback_is_taken_in_both_places(plane: DataPlane) -> None:
    body = json.dumps({"inputs": oip_inputs(ROW), "parameters": {"prediction_ids": "a"}}).encode()
    post(plane, INFER, body)
    truths = json.dumps([{"prediction_id": "a", "truth": 1}, {"prediction_id": "b", "truth": 0}]).encode()
    assert post(plane, "/v2/models/delay/feedback", truths).json() == {
        "accepted": 1,
        "duplicates": 0,
        "unknown": ["b"],
    }
    assert post(plane, "/api/v1/feedback", truths).json()["duplicates"] == 1
    assert post(plane, "/api/v1/feedback", b"{").json()["code"] == "IL400"
    assert "no endpoint" in error_of(post(plane, "/v2/models/fare/feedback", truths))


def test_the_index_takes_an_empty_body_and_a_wish(plane: DataPlane) -> None:
    for body in (b"", b"{}", b'{"ready": true}'):
        assert post(plane, "/v2/repository/index", body).json() == [
            {"name": "delay", "version": "1", "state": "READY", "reason": ""}
        ]
    assert post(plane, "/v2/repository/index", b"[").status == 400


def test_load_follows_the_routing_and_unload_lets_go(plane: DataPlane, stores: Stores) -> None:
    stores.deployments.route("delay", begin(SECOND))
    assert post(plane, "/v2/repository/models/delay/load").status == 200
    assert post(plane, INFER, ONE_ROW).json()["model_version"] == "2"
    stores.deployments.route("delay", begin("model:delay@9"))
    assert "model:delay@9" in error_of(post(plane, "/v2/repository/models/delay/load"))
    assert post(plane, INFER, ONE_ROW).json()["model_version"] == "2"
    assert post(plane, "/v2/repository/models/delay/unload").status == 200
    assert post(plane, INFER, ONE_ROW).status == 503
    stores.deployments.route("delay", begin(FIRST))
    assert post(plane, "/v2/repository/models/delay/load").status == 200
    assert post(plane, INFER, ONE_ROW).json()["model_version"] == "1"


def test_what_is_not_ready_says_so(stores: Stores) -> None:
    with hosted(stores, Shelf()) as host:
        plane = DataPlane(host)
        assert call(plane, "GET", "/v2/health/live").status == 200
        assert call(plane, "GET", "/v2/health/ready").status == 503
        assert call(plane, "GET", "/v2/models/delay/ready").status == 503
        assert call(plane, "GET", "/ping").json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert "not ready" in error_of(post(plane, INFER, ONE_ROW))
        plane.close()


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "cannot be read"),
        (b"[" * 100_000, 400, "cannot be read"),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": ' + b"[" * 100_000, 413, "nested"),
        (json.dumps({"inputs": []}).encode(), 400, "column 'x'"),
        (json.dumps({"inputs": oip_inputs({**ROW, "x": "0.25"})}).encode(), 400, "row 0, column 'x'"),
        (json.dumps({"inputs": oip_inputs({**ROW, "n": None})}).encode(), 400, "row 0, column 'n'"),
        (json.dumps({"inputs": oip_inputs({**ROW, "city": "nowhere"})}).encode(), 400, "refused"),
        (json.dumps({"inputs": oip_inputs(ROW), "outputs": [{"name": "z"}]}).encode(), 400, "no output 'z'"),
        (json.dumps({"inputs": oip_inputs(ROW), "parameters": {"event_time": "x"}}).encode(), 400, "event time"),
    ],
)
def test_bad_input_is_told_in_the_protocols_shape_and_never_logged(
    plane: DataPlane, stores: Stores, body: bytes, status: int, text: str
) -> None:
    reply = post(plane, INFER, body)
    assert (reply.status, text in error_of(reply)) == (status, True), reply.body
    assert stores.predictions.recent("delay") == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v3", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models/dely", 404),
        ("POST", "/v2/models/dely/infer", 404),
        ("GET", INFER, 405),
        ("DELETE", "/v2", 405),
        ("GET", "/v2/models/delay/versions/9", 404),
        ("GET", "/v2/models/delay/versions/9/ready", 404),
        ("GET", "/v2/models/delay/%FF", 404),
    ],
)
def test_what_is_not_there_is_told_in_the_protocols_shape(
    plane: DataPlane, method: str, path: str, status: int
) -> None:
    reply = call(plane, method, path)
    assert reply.status == status
    assert error_of(reply)


def test_a_wrong_method_names_the_right_one(plane: DataPlane) -> None:
    assert call(plane, "GET", INVOKE).headers["allow"] == "POST"


def test_invocations_answer_errors_in_mlflows_shape(plane: DataPlane) -> None:
    reply = post(plane, INVOKE, json.dumps({"dataframe_records": [{**ROW, "x": "a"}]}).encode())
    assert reply.status == 400
    assert set(reply.json()) == {"error_code", "message"}
    assert "row 0, column 'x'" in reply.json()["message"]
    assert post(plane, INVOKE, RECORDS, [("content-type", "application/xml")]).status == 415


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_compressed_requests_are_read(plane: DataPlane, encoding: str, compress: Any) -> None:
    assert post(plane, INFER, compress(ONE_ROW), [("content-encoding", encoding)]).status == 200


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", ONE_ROW, 415),
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(ONE_ROW)[:-12], 400),
        ("gzip", gzip.compress(b" " * 50_000_000), 413),
    ],
)
def test_compressed_requests_that_lie_are_refused(plane: DataPlane, encoding: str, body: bytes, status: int) -> None:
    reply = post(plane, INFER, body, [("content-encoding", encoding)])
    assert (reply.status, bool(error_of(reply))) == (status, True)


@pytest.mark.parametrize(
    ("accepted", "encoding", "decompress"),
    [("gzip, deflate", "gzip", gzip.decompress), ("deflate", "deflate", zlib.decompress)],
)
def test_large_replies_are_compressed_for_those_who_take_it(
    plane: DataPlane, accepted: str, encoding: str, decompress: Any
) -> None:
    body = json.dumps({"inputs": oip_inputs(*[ROW] * 200)}).encode()
    reply = post(plane, INFER, body, [("accept-encoding", accepted)])
    assert reply.headers["content-encoding"] == encoding
    assert reply.headers["content-length"] == str(len(reply.body))
    assert len(json.loads(decompress(reply.body))["outputs"][0]["data"]) == 200
    assert "content-encoding" not in post(plane, INFER, body, [("accept-encoding", "br")]).headers
    assert "content-encoding" not in post(plane, INFER, ONE_ROW, [("accept-encoding", accepted)]).headers


def test_a_large_request_and_a_slow_model_are_answered_in_a_thread(stores: Stores) -> None:
    with hosted(stores, Shelf(loaded(FIRST, is_quick=False))) as host:
        plane = DataPlane(host)
        assert post(plane, INFER, ONE_ROW).status == 200
        assert post(plane, INFER, json.dumps({"inputs": oip_inputs(*[ROW] * 2_000)}).encode()).status == 200
        plane.close()


def test_bodies_come_in_pieces_and_have_a_limit(host: EndpointHost) -> None:
    plane = DataPlane(host, limits=Limits(body_bytes=1_000))
    pieces = [ONE_ROW[:100], ONE_ROW[100:]]
    chunked = [("transfer-encoding", "chunked")]
    assert call(plane, "POST", INFER, body=pieces, headers=chunked).status == 200
    assert "too large" in error_of(call(plane, "POST", INFER, body=[b"x" * 600] * 3, headers=chunked))
    announced = [("content-length", "1001")]
    assert call(plane, "POST", INFER, body=b"", headers=announced).status == 413
    plane.close()


def test_a_client_that_goes_away_or_falls_silent_is_let_go(host: EndpointHost) -> None:
    plane = DataPlane(host, limits=Limits(silence_s=0.01))
    headers = [("content-length", "100")]
    assert call(plane, "POST", INFER, body=b"{", headers=headers, disconnects=True).status == 503

    async def silent() -> Reply:
        wire = Wire([])
        await plane(scope_of("POST", INFER, headers), wire.receive, wire.send)
        return wire.reply

    reply = asyncio.run(silent())
    assert (reply.status, "did not arrive" in error_of(reply)) == (504, True)
    plane.close()


def test_a_request_that_is_cancelled_stays_cancelled(plane: DataPlane) -> None:
    async def cancelled() -> None:
        wire = Wire([])
        task = asyncio.create_task(plane(scope_of("POST", INFER, [("content-length", "9")]), wire.receive, wire.send))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())


def test_beyond_the_cap_requests_are_told_to_come_back(host: EndpointHost) -> None:
    plane = DataPlane(host, limits=Limits(in_flight=1))

    async def crowded() -> tuple[Reply, Reply]:
        waiting, late = Wire([]), Wire([ONE_ROW])
        headers = [("content-length", str(len(ONE_ROW)))]
        first = asyncio.create_task(plane(scope_of("POST", INFER, headers), waiting.receive, waiting.send))
        await asyncio.sleep(0)
        await plane(scope_of("POST", INFER, headers), late.receive, late.send)
        waiting.gone.set()
        await first
        return waiting.reply, late.reply

    first, late = asyncio.run(crowded())
    assert (late.status, late.headers["retry-after"]) == (429, "1")
    assert "busy" in error_of(late)
    assert first.status == 503
    plane.close()


def test_a_full_disk_is_told_and_nothing_is_acknowledged(
    plane: DataPlane, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(predictions: Sequence[Prediction]) -> None:
        raise StorageFull("the disk is full")

    monkeypatch.setattr(stores.predictions, "append", full)
    reply = post(plane, INFER, ONE_ROW)
    assert (reply.status, error_of(reply)) == (507, "the disk is full")


def test_an_unforeseen_error_is_logged_and_not_shown(
    plane: DataPlane, stores: Stores, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(stores.predictions, "append", broken)
    reply = post(plane, INFER, ONE_ROW)
    assert reply.status == 500
    assert "secret" not in error_of(reply)
    assert "a secret" in caplog.text


def test_what_is_not_http_is_left_alone(plane: DataPlane) -> None:
    wire = Wire([])
    asyncio.run(plane({"type": "lifespan"}, wire.receive, wire.send))
    assert wire.sent == []


def test_a_caller_may_want_its_answer_sooner(stores: Stores) -> None:
    let = threading.Event()

    class Slow(Adding):
        def predict(self, columns: Sequence[Any], *, rows: int) -> dict[str, Any]:
            assert let.wait(20)
            return super().predict(columns, rows=rows)

    model = loaded(predictor=Slow(SIGNATURE, 0.0), is_quick=False)
    with hosted(stores, Shelf(model)) as host, contextlib.closing(DataPlane(host)) as plane:
        late = post(plane, INFER, ONE_ROW, headers=[("x-interlock-timeout-ms", "10")])
        assert (late.status, "took too long" in error_of(late)) == (504, True)
        said = {**json.loads(ONE_ROW), "parameters": {"timeout": 10_000}}
        assert post(plane, INFER, json.dumps(said).encode()).status == 504
        assert plane.stuck(0.0) >= 1
        let.set()
        assert post(plane, INFER, ONE_ROW, headers=[("x-interlock-timeout-ms", "no")]).status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", INFER, None), ("POST", "/v3", 404), ("DELETE", INFER, 405), ("GET", "/v2/health/live", None)],
)
def test_what_is_refused_is_known_from_its_head(plane: DataPlane, method: str, path: str, status: int | None) -> None:
    found = plane.refusal({"method": method, "raw_path": path.encode(), "headers": [], "path": path})
    assert (None if found is None else found.status) == status
    assert plane.begins_at_once({"method": method, "raw_path": path.encode()}) is (method == "POST" and path == INFER)
