from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock
from interlock.server.access_log import AccessLog, read_entries
from interlock.server.api_keys import KeyGate
from interlock.server.calls import encode_json
from interlock.server.dataplane import DataPlane
from interlock.server.guard import Guard
from interlock.server.observing import Observer, endpoint_of
from interlock.serving.api_keys import ApiKeys
from interlock.serving.engine import Answer
from interlock.serving.request_statistics import RequestBook
from interlock.serving.seen import SEEN
from tests.serving_examples import FIRST, NOW, ROW, Shelf, fresh_stores, hosted, loaded, oip_inputs
from tests.unit.server.asgi import call

BODY = encode_json({"inputs": oip_inputs(ROW), "parameters": {"prediction_ids": ["id-1"]}})


def test_a_request_is_counted_and_logged(tmp_path: Path) -> None:
    book, log = RequestBook(), AccessLog(str(tmp_path / "a.log"))
    observer = Observer(book, access_log=log)
    seen = observer.begin(None)
    assert SEEN.get() is seen
    assert book.workers()[0].in_flight == 1
    seen.answer = Answer(["a", "b"], ("model:delay@3",), "3", 1, {})
    seen.key = "dash"
    observer.done(
        seen,
        method="POST",
        target=b"/v1/models/delay:predict",
        route="/v1/models/{name}:predict",
        endpoint="delay",
        status=200,
        size=10,
        client="::1",
    )
    log.close()
    assert list(book.read()) == [("delay", "v1", "3", 200)]
    [entry] = read_entries(tmp_path / "a.log")
    assert (entry.rows, list(entry.ids), entry.key, entry.client) == (2, ["a", "b"], "dash", "::1")


@pytest.mark.parametrize(
    ("route", "protocol"),
    [
        ("/v2/models/{name}/infer", "oip"),
        ("/v1/models/{name}:predict", "v1"),
        ("/invocations", "mlflow"),
        ("/endpoints/{name}/invocations", "mlflow"),
        ("/score", "azureml"),
        ("/api/v1/feedback", "interlock"),
        ("/", "v1"),
        ("/whatever", "other"),
        ("", "none"),
    ],
)
def test_protocols_go_by_the_route(route: str, protocol: str) -> None:
    observer = Observer()
    for _ in range(2):
        seen = observer.begin()
        observer.done(seen, method="GET", target=b"/", route=route, endpoint="", status=200, size=0)
    assert [key[1] for key in observer.requests.read()] == [protocol]


def test_dropped_lines_are_told(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "a.log"), most_waiting=0)
    observer = Observer(access_log=log)
    observer.done(observer.begin(), method="GET", target=b"/", route="/", endpoint="", status=200, size=0)
    assert observer.requests.workers()[0].dropped_lines == 1
    log.close()


def test_callers_cannot_make_up_names_to_count() -> None:
    assert endpoint_of({"name": "delay"}, {"delay": 1, "fare": 2}) == "delay"
    assert endpoint_of({"name": "made-up"}, {"delay": 1}) == ""
    assert endpoint_of({}, {"delay": 1}) == "delay"
    assert endpoint_of({}, {"delay": 1, "fare": 2}) == ""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[tuple[DataPlane, ApiKeys, KeyGate, AccessLog]]:
    stores = memory_stores(clock=FrozenClock(NOW))
    keys = ApiKeys(stores.records, stores.journal, clock=FrozenClock(NOW))
    gate = KeyGate(keys, stores.journal, clock=FrozenClock(NOW))
    log = AccessLog(str(tmp_path / "a.log"))
    with hosted(fresh_stores(), Shelf(loaded(FIRST))) as host:
        app = DataPlane(host, admit=Guard(keys=gate).admit, observer=Observer(access_log=log))
        yield app, keys, gate, log
        app.close()


@pytest.mark.parametrize("large", [False, True])
def test_versions_ids_and_keys_reach_the_log(
    plane: tuple[DataPlane, ApiKeys, KeyGate, AccessLog], tmp_path: Path, *, large: bool
) -> None:
    app, keys, gate, log = plane
    _, secret = keys.create("dash", endpoints=["delay"], rate_per_s=100)
    gate.refresh()
    # a large request is answered in a thread, which knows for which request it works
    body = BODY + b" " * 40_000 if large else BODY
    length = ("content-length", str(len(body)))
    path = "/v2/models/delay/infer"
    reply = call(app, "POST", path, body=body, headers=[length, ("x-api-key", secret)])
    assert reply.status == 200
    assert reply.headers["ratelimit-remaining"] == "99"
    assert call(app, "POST", path, body=body, headers=[length]).status == 401
    assert call(app, "POST", "/v2/models/other/infer", body=body, headers=[length, ("x-api-key", secret)]).status == 403
    # of a process with one endpoint everything is about that one
    assert call(app, "GET", "/metrics", headers=[("x-api-key", secret)]).status == 200
    log.close()
    entries = read_entries(tmp_path / "a.log")
    assert [(one.status, one.version, list(one.ids), one.key) for one in entries[:2]] == [
        (200, "1", ["id-1"], "dash"),
        (401, "", [], ""),
    ]
