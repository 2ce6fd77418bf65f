"""Clients talk to the spool as to the server: straight through while that is there, to the log while it is away."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.server.limits import Limits
from interlock.server.spool.app import SpoolApp
from interlock.server.spool.creating import MARKER
from interlock.server.spool.forwarder import Forwarder
from interlock.server.spool.status import SpoolStatus
from interlock.server.spool.store import Store
from interlock.server.spool.upstream import Upstream
from tests.unit.server.asgi import Reply, Wire, call, scope_of
from tests.unit.server.spooled import API, ARTIFACTS, Place, Tracking, opened, until

JSON = ("content-type", "application/json")


@dataclass
class Ground:
    """A spool before a server, called as uvicorn would call it."""

    folder: Path
    tracking: Tracking
    place: Place
    limits: Limits = Limits()
    max_bytes: int = 1 << 30
    forwards: bool = True

    def __post_init__(self) -> None:
        self.place.app = self.tracking
        self.open()

    def open(self) -> None:
        """Start the spool."""
        self.store = opened(self.folder, self.place.url, max_bytes=self.max_bytes)
        self.upstream = Upstream(self.place.url)
        self.forwarder = Forwarder(self.store, self.upstream, pauses_s=(0.01, 0.05))
        self.app = SpoolApp(self.store, self.upstream, self.forwarder, limits=self.limits, settle_s=5.0)
        if self.forwards:
            self.forwarder.start()

    def close(self) -> None:
        """Stop the spool."""
        self.app.close()
        if self.forwards:
            self.forwarder.close()
        self.upstream.close()
        self.store.close()

    def ask(self, method: str, target: str, fields: Any = None, **options: Any) -> Reply:
        """Make a request with a JSON body."""
        body = b"" if fields is None else msgspec.json.encode(fields)
        headers = [] if fields is None else [JSON]
        target = target if target.startswith("/") else f"{API}/{target}"
        return call(self.app, method, target, **{"headers": headers, "body": body, **options})

    def ok(self, method: str, target: str, fields: Any = None, **options: Any) -> Any:
        """Make a request that has to succeed, and return its answer."""
        reply = self.ask(method, target, fields, **options)
        assert reply.status == 200, reply.body
        return reply.json()

    def run(self, **fields: Any) -> dict[str, Any]:
        """Create a run."""
        made: dict[str, Any] = self.ok("POST", "runs/create", {"experiment_id": "0", "run_name": "one", **fields})[
            "run"
        ]
        return made

    def metric(self, run_id: str, step: int) -> Any:
        """Log a point."""
        point = {"run_id": run_id, "key": "m", "value": 1.5, "timestamp": step, "step": step}
        return self.ok("POST", "runs/log-metric", point)

    def goes(self) -> None:
        """Make the server go away, and the spool notice."""
        self.place.app = Gone()
        # a look that began before would still find it there
        until(lambda: self.ask("GET", "registered-models/get").status == 503 and self.upstream.away_since is not None)

    def comes(self) -> None:
        """Make the server come back, and wait until it has all that waits."""
        self.place.app = self.tracking
        until(lambda: self.upstream.away_since is None and not self.store.backlog.count)

    def steps(self, name: str = "one") -> list[int]:
        """Return the steps that the server has."""
        return [step for _, _, _, step in self.tracking.run_named(name)["data"]["metrics"]]


class Gone(Tracking):
    """What a gateway answers for a server that is away."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>bad gateway</html>"})


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A port at which the server of each test answers."""
    place = Place(Tracking())
    place.come()
    yield place
    place.go()


@pytest.fixture
def ground(tmp_path: Path, place: Place) -> Iterator[Ground]:
    ground = Ground(tmp_path / "spool", Tracking(), place)
    yield ground
    ground.close()


def problem(reply: Reply) -> tuple[int, str]:
    """Return status and MLflow's error code."""
    return reply.status, reply.json()["error_code"]


def waiting(ground: Ground) -> int:
    return ground.store.backlog.count


def test_while_the_server_is_there_everything_goes_straight(ground: Ground) -> None:
    run = ground.run()
    run_id = run["info"]["run_id"]
    assert run_id in ground.tracking.runs and run["info"]["run_name"] == "one"
    assert ground.metric(run_id, 1) == {}
    assert ground.ok("PUT", f"{ARTIFACTS}/0/{run_id}/artifacts/f", body=b"data", headers=[]) == {}
    assert ground.ok("GET", f"runs/get?run_id={run_id}")["run"]["info"]["run_id"] == run_id
    assert ground.tracking.artifacts == {f"0/{run_id}/artifacts/f": b"data"}
    assert (waiting(ground), ground.store.log.end, ground.store.files.size_bytes) == (0, 0, 0)
    assert ground.store.state.intents() == {}


def test_the_servers_errors_are_the_clients(ground: Ground) -> None:
    point = {"run_id": "unknown", "key": "m", "value": 1, "timestamp": 1}
    assert problem(ground.ask("POST", "runs/log-metric", point)) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert problem(ground.ask("POST", "runs/log-metric", {"key": "m"})) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert problem(ground.ask("GET", "nowhere")) == (404, "ENDPOINT_NOT_FOUND")
    assert waiting(ground) == 0


def test_a_run_lives_through_an_outage(ground: Ground) -> None:
    run_id = ground.run()["info"]["run_id"]
    ground.metric(run_id, 1)
    ground.goes()
    for step in range(2, 50):
        ground.metric(run_id, step)
    ground.ok("PUT", f"{ARTIFACTS}/0/{run_id}/artifacts/f", body=[b"da", b"ta"], headers=[])
    assert (
        ground.ok("POST", "runs/update", {"run_id": run_id, "status": "FINISHED"})["run_info"]["status"] == "FINISHED"
    )
    shown = ground.ok("GET", f"runs/get?run_id={run_id}")["run"]
    assert (shown["info"]["status"], shown["data"]["metrics"][0]["step"]) == ("FINISHED", 49)
    assert ground.ok("GET", f"metrics/get-history?run_id={run_id}&metric_key=m")["metrics"][0]["step"] == 2
    ground.comes()
    assert ground.steps() == list(range(1, 50))
    assert ground.tracking.run_named("one")["info"]["status"] == "FINISHED"
    assert list(ground.tracking.artifacts.values()) == [b"data"]


def test_a_run_made_in_an_outage_keeps_its_id_for_its_clients(ground: Ground) -> None:
    ground.goes()
    run = ground.ok("POST", "runs/create", {"experiment_id": "0", "tags": [{"key": "a", "value": "b"}]})["run"]
    given = run["info"]["run_id"]
    name = run["info"]["run_name"]
    assert name == f"run-{given[:8]}" and run["info"]["start_time"] > 10**12
    ground.metric(given, 1)
    ground.comes()
    (upstream,) = ground.tracking.runs
    assert upstream != given
    there = ground.tracking.run_named(name)
    assert there["data"]["tags"] == {"a": "b", MARKER: given}
    assert there["info"]["start_time"] == run["info"]["start_time"], "it began when the client was told so"
    ground.metric(given, 2)
    assert ground.steps(name) == [1, 2]
    assert ground.ok("GET", f"runs/get?run_id={given}")["run"]["info"] | {"status": "RUNNING"} == {
        **there["info"],
        "run_id": given,
        "run_uuid": given,
        "artifact_uri": there["info"]["artifact_uri"].replace(upstream, given),
    }
    ground.ok("PUT", f"{ARTIFACTS}/0/{given}/artifacts/MLmodel", body=f"run_id: {given}".encode(), headers=[])
    assert ground.tracking.artifacts == {f"0/{upstream}/artifacts/MLmodel": f"run_id: {upstream}".encode()}


def test_experiments_and_models_made_in_an_outage(ground: Ground) -> None:
    ground.goes()
    by_name = "experiments/get-by-name?experiment_name=new"
    assert problem(ground.ask("GET", by_name)) == (404, "RESOURCE_DOES_NOT_EXIST")
    experiment = ground.ok("POST", "experiments/create", {"name": "new"})["experiment_id"]
    assert ground.ok("GET", by_name)["experiment"]["experiment_id"] == experiment
    assert problem(ground.ask("POST", "experiments/create", {"name": "new"})) == (400, "RESOURCE_ALREADY_EXISTS")
    run_id = ground.run(experiment_id=experiment)["info"]["run_id"]
    model = ground.ok("POST", "logged-models", {"experiment_id": experiment, "source_run_id": run_id})["model"]["info"]
    assert model["name"] == f"model-{model['model_id'][2:10]}"
    ground.ok("PATCH", f"logged-models/{model['model_id']}/tags", {"tags": [{"key": "k", "value": "v"}]})
    ground.ok("DELETE", f"logged-models/{model['model_id']}/tags/k")
    ground.ok("POST", "runs/outputs", {"run_id": run_id, "models": [{"model_id": model["model_id"], "step": 0}]})
    assert ground.ok("GET", f"logged-models/{model['model_id']}")["model"]["info"]["source_run_id"] == run_id
    ground.comes()
    there = ground.tracking.run_named("one")
    assert there["info"]["experiment_id"] == "1" and there["outputs"] == list(ground.tracking.models)
    assert ground.ok("GET", by_name)["experiment"]["experiment_id"] == experiment
    assert ground.ok("GET", f"runs/get?run_id={run_id}")["run"]["info"]["experiment_id"] == experiment


def test_the_server_is_known_by_what_it_said_before(ground: Ground) -> None:
    until(lambda: ground.store.known.page("/version") is not None)
    ground.goes()
    reply = ground.ask("GET", "/version")
    assert (reply.status, reply.body) == (200, b"3.17.0")
    found = ground.ok("GET", "experiments/get-by-name?experiment_name=Default")
    assert found["experiment"]["experiment_id"] == "0"


@pytest.mark.parametrize(
    ("method", "target", "fields"),
    [
        ("POST", "runs/search", {"experiment_ids": ["0"]}),
        ("GET", "runs/get?run_id=never-seen", None),
        ("GET", "metrics/get-history?run_id=never-seen&metric_key=m", None),
        ("GET", f"{ARTIFACTS}?path=0/x", None),
        ("POST", "registered-models/create", {"name": "m"}),
        ("DELETE", "logged-models/m-1", None),
        ("GET", "/", None),
    ],
)
def test_what_only_the_server_can_answer_is_told(ground: Ground, method: str, target: str, fields: Any) -> None:
    ground.goes()
    reply = ground.ask(method, target, fields)
    assert problem(reply) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "is away" in reply.json()["message"] and ground.place.url in reply.json()["message"]
    assert waiting(ground) == 0


@pytest.mark.parametrize(
    ("target", "body", "headers"),
    [
        ("runs/log-metric", b"{", [JSON]),
        ("runs/log-metric", b"[]", [JSON]),
        ("runs/log-metric", b"{}", [JSON]),
        ("runs/log-metric", b'{"run_id": "r"}', [JSON]),
        ("runs/log-metric", b'{"run_id": "r", "key": "k"}', [("content-type", "text/plain")]),
        ("runs/log-metric", b'{"run_id": "r", "key": "k"}', []),
        ("runs/log-metric", b'{"run_id": "r", "key": "k"}', [JSON, ("content-encoding", "gzip")]),
        ("runs/create", b'{"run_name": "no experiment"}', [JSON]),
        ("experiments/create", b'{"name": 5}', [JSON]),
    ],
)
def test_bad_requests_are_refused_and_nothing_is_written(
    ground: Ground, target: str, body: bytes, headers: Sequence[tuple[str, str]]
) -> None:
    ground.goes()
    assert problem(ground.ask("POST", target, body=body, headers=headers)) == (400, "INVALID_PARAMETER_VALUE")
    assert (waiting(ground), ground.store.log.end) == (0, 0)


def test_strangers_are_refused(ground: Ground) -> None:
    assert ground.ask("GET", "experiments/search", host="attacker.example").status == 421
    page = [("origin", "http://attacker.example"), JSON]
    assert ground.ask("POST", "runs/create", headers=page, body=b'{"experiment_id": "0"}').status == 403
    assert ground.ask("POST", "runs/create", headers=[("x", "y" * 20_000)]).status == 431
    assert ground.tracking.runs == {}


@pytest.mark.parametrize("path", [b"/a\xff", b"/a b", b"/\x01"])
def test_addresses_that_cannot_be_sent_on_are_refused(ground: Ground, path: bytes) -> None:
    async def run() -> Reply:
        wire = Wire()
        await ground.app(
            {**scope_of("PUT", "/"), "raw_path": f"{ARTIFACTS}/0".encode() + path}, wire.receive, wire.send
        )
        return wire.reply

    assert problem(asyncio.run(run())) == (400, "INVALID_PARAMETER_VALUE")


def test_credentials_are_the_servers_matter(ground: Ground) -> None:
    ground.tracking.fault = lambda method, path, body: 401
    assert ground.ask("POST", "runs/log-metric", {"run_id": "r", "key": "m"}).status == 401
    assert ground.ask("GET", "runs/get?run_id=r").status == 401
    assert waiting(ground) == 0


def test_writes_that_arrive_together_share_the_disk(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = ground.run()["info"]["run_id"]
    ground.goes()
    synced: list[int] = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (synced.append(file), time.sleep(0.02), sync(file))[2])

    async def post(step: int) -> Reply:
        body = msgspec.json.encode({"run_id": run_id, "key": "m", "value": 1, "timestamp": step, "step": step})
        wire = Wire([body])
        await ground.app(scope_of("POST", f"{API}/runs/log-metric", [JSON]), wire.receive, wire.send)
        return wire.reply

    async def run() -> list[Reply]:
        return await asyncio.gather(*map(post, range(50)))

    assert [reply.status for reply in asyncio.run(run())] == [200] * 50
    assert len(synced) < 10
    ground.comes()
    assert ground.steps() == list(range(50))


def test_a_disk_that_fails_acknowledges_nothing(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = ground.run()["info"]["run_id"]
    ground.goes()

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fdatasync", full)
    point = {"run_id": run_id, "key": "m", "value": 1, "timestamp": 1, "step": 1}
    assert problem(ground.ask("POST", "runs/log-metric", point)) == (507, "RESOURCE_EXHAUSTED")
    assert (waiting(ground), ground.store.log.end) == (0, 0)
    monkeypatch.undo()
    assert ground.ask("POST", "runs/log-metric", {**point, "step": 2, "timestamp": 2}).status == 200
    ground.comes()
    assert ground.steps() == [2]


def test_artifacts_that_the_server_does_not_serve_are_not_found(ground: Ground) -> None:
    ground.tracking.experiments["0"]["artifact_location"] = "s3://bucket"
    ground.goes()
    given = ground.run()["info"]["run_id"]
    ground.comes()
    assert problem(ground.ask("GET", f"{ARTIFACTS}/0/{given}/artifacts/f")) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_body_may_not_be_too_large_and_may_be_cut_short(tmp_path: Path, place: Place) -> None:
    ground = Ground(tmp_path, Tracking(), place, limits=Limits(body_bytes=100))
    assert ground.ask("POST", "runs/log-batch", {"run_id": "r", "tags": ["x" * 200]}).status == 413
    upload = f"{ARTIFACTS}/0/a/f"
    assert ground.ask("PUT", upload, body=[b"x" * 90, b"y"], disconnects=True, headers=[]).status == 503
    assert ground.store.files.size_bytes == 0 and ground.tracking.artifacts == {}
    assert ground.ok("PUT", upload, body=[b"x" * 1000] * 3000, headers=[]) == {}
    assert len(ground.tracking.artifacts["0/a/f"]) == 3_000_000
    ground.close()


def test_a_full_spool_refuses_and_drops_nothing(tmp_path: Path, place: Place) -> None:
    ground = Ground(tmp_path, Tracking(), place, max_bytes=2_000)
    run_id = ground.run()["info"]["run_id"]
    ground.goes()
    taken = []
    for step in range(100):
        point = {"run_id": run_id, "key": "m", "value": 1, "timestamp": step, "step": step}
        reply = ground.ask("POST", "runs/log-metric", point)
        if reply.status != 200:
            break
        taken.append(step)
    assert problem(reply) == (507, "RESOURCE_EXHAUSTED") and "the spool is full" in reply.json()["message"]
    for headers in ([], [("content-length", "5000")]):
        upload = ground.ask("PUT", f"{ARTIFACTS}/0/a/f", body=b"x" * 5000, headers=headers)
        assert problem(upload) == (507, "RESOURCE_EXHAUSTED")
    assert ground.store.files.size_bytes == 0
    ground.comes()
    assert 3 < len(taken) < 100 and ground.steps() == taken
    ground.close()


@pytest.mark.parametrize("status", [500, 429, 503])
def test_a_write_that_the_server_fails_at_is_kept(ground: Ground, status: int) -> None:
    run_id = ground.run()["info"]["run_id"]
    left = [status]
    ground.tracking.fault = lambda _, path, __: left.pop() if left and path.endswith("log-metric") else None
    assert ground.metric(run_id, 1) == {}
    until(lambda: ground.steps() == [1])
    assert ground.metric(run_id, 2) == {}
    until(lambda: ground.steps() == [1, 2])


@pytest.mark.parametrize("path", ["runs/create", "logged-models", "experiments/create"])
def test_what_was_created_without_an_answer_is_not_created_twice(ground: Ground, path: str) -> None:
    left = [0]
    ground.tracking.fault = lambda _, called, __: left.pop() if left and called.endswith(path) else None
    fields = {"name": "new"} if path.startswith("exp") else {"experiment_id": "0", "name": "new"}
    ground.ok("POST", path, fields)
    until(lambda: not waiting(ground))
    made = (len(ground.tracking.runs), len(ground.tracking.models), len(ground.tracking.experiments))
    assert made == {"runs/create": (1, 0, 1), "logged-models": (0, 1, 1)}.get(path, (0, 0, 2))


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("path", ["runs/create", "logged-models", "experiments/create"])
def test_a_client_that_asks_again_after_a_kill_gets_the_same(
    ground: Ground, path: str, away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"name": "new", "tags": []} if path.startswith("exp") else {"experiment_id": "0", "name": "new"}
    if away:
        ground.goes()
    # a killed process notes no answer as sent
    monkeypatch.setattr(ground.store.state, "fulfil", lambda asked: None)
    first = ground.ok("POST", path, fields)
    ground.close()
    ground.open()
    ground.place.app = Gone() if away else ground.tracking
    second = ground.ok("POST", path, fields)
    if away:
        assert second == first
    ground.comes()
    made = (len(ground.tracking.runs), len(ground.tracking.models), len(ground.tracking.experiments))
    assert made == {"runs/create": (1, 0, 1), "logged-models": (0, 1, 1)}.get(path, (0, 0, 2))
    third = ground.ok("POST", path, {**fields, "name": "other"})
    assert third != second


def test_while_it_catches_up_order_is_kept_and_the_rest_goes_straight(ground: Ground) -> None:
    run_id = ground.run()["info"]["run_id"]
    ground.goes()
    ground.metric(run_id, 1)
    stuck, free = threading.Event(), threading.Event()

    def hold(_: str, path: str, __: Any) -> int | None:
        if path.endswith("log-batch"):
            stuck.set()
            return None if free.is_set() else 429
        return None

    ground.tracking.fault = hold
    ground.place.app = ground.tracking
    until(lambda: stuck.is_set() and ground.upstream.away_since is None)
    ground.metric(run_id, 2)
    assert waiting(ground) == 2, "what is about the same run waits behind what was there before"
    other = ground.run(run_name="other")["info"]["run_id"]
    ground.metric(other, 7)
    assert ground.steps("other") == [7], "another run does not wait"
    shown = ground.ok("GET", f"runs/get?run_id={run_id}")["run"]["data"]["metrics"]
    assert [one["step"] for one in shown] == [2], "a client reads what it wrote"
    threading.Timer(0.2, free.set).start()
    found = ground.ok("POST", "runs/search", {"filter": f"x `{MARKER}` = '{run_id}'"})
    assert found == {"runs": []} and ground.steps() == [1, 2], "a search for the run waited until the server had it all"


def test_a_request_does_not_wait_for_ever(tmp_path: Path, place: Place) -> None:
    ground = Ground(tmp_path, Tracking(), place, forwards=False)
    ground.app._settle_s = 0.1
    ground.goes()
    run_id = ground.run()["info"]["run_id"]
    ground.place.app = ground.tracking
    ground.upstream.mark_there()
    reply = ground.ask("POST", "model-versions/create", {"name": "m", "source": f"runs:/{run_id}/model"})
    assert problem(reply) == (503, "TEMPORARILY_UNAVAILABLE") and "catching up" in reply.json()["message"]
    assert ground.ok("GET", f"metrics/get-history?run_id={run_id}&metric_key=m") == {}
    ground.close()


def test_large_answers_are_passed_on_as_they_come(ground: Ground) -> None:
    data = bytes(range(256)) * 8_192

    class Large(Tracking):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            headers = [
                (b"content-type", b"application/octet-stream"),
                (b"x-from", b"upstream"),
                (b"connection", b"close"),
            ]
            size = (b"content-length", str(len(data)).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [*headers, size]})
            await send({"type": "http.response.body", "body": data})

    ground.place.app = Large()
    reply = ground.ask("GET", f"{ARTIFACTS}/0/a/f")
    assert (reply.status, reply.body == data, reply.ended) == (200, True, True)
    assert (reply.headers["content-length"], reply.headers["x-from"]) == (str(len(data)), "upstream")
    assert "connection" not in reply.headers


def test_large_files_are_sent_whole(ground: Ground) -> None:
    reply = ground.ask("POST", "/api/2.0/mlflow-artifacts/mpu/create/0/a/f", {"path": "f", "num_parts": 2})
    assert problem(reply) == (501, "NOT_IMPLEMENTED")
    told = "Multipart upload is not supported for the current artifact repository"
    assert reply.json()["message"].startswith(told), "by these words clients know to send it whole"


def test_traces_are_taken(ground: Ground) -> None:
    ground.goes()
    place = {"mlflow_experiment": {"experiment_id": "0"}}
    info = {"trace_id": "tr-" + "a" * 32, "trace_location": place}
    answer = ground.ok("POST", "/api/3.0/mlflow/traces", {"trace": {"trace_info": info}})
    assert answer["trace"]["trace_info"]["tags"]["mlflow.artifactLocation"].startswith("mlflow-artifacts:/0/traces/tr-")
    headers = [("content-type", "application/x-protobuf"), ("x-mlflow-experiment-id", "0")]
    reply = ground.ask("POST", "/v1/traces", body=b"\n\x00proto", headers=headers)
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, b"", "application/x-protobuf")
    assert waiting(ground) == 2


def test_it_says_how_it_stands(ground: Ground) -> None:
    ground.goes()
    ground.run()
    status = ground.ask("GET", "/interlock/spool").json(SpoolStatus)
    assert (status.running, status.upstream, status.waiting, status.refused) == (True, "away", 1, 0)
    assert status.oldest_at is not None and status.away_since is not None and "502" in status.trouble
    assert (status.to, status.folder) == (ground.place.url, str(ground.folder))
    ground.comes()
    until(lambda: ground.forwarder.forwarded == 1)
    status = ground.ask("GET", "/interlock/spool").json(SpoolStatus)
    assert (status.upstream, status.waiting, status.oldest_at, status.forwarded) == ("there", 0, None, 1)


def test_a_fault_of_its_own_says_nothing_of_itself(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Store, "check_room", breaks)
    ground.goes()
    reply = ground.ask("POST", "runs/log-metric", {"run_id": "r", "key": "m"})
    assert problem(reply) == (500, "INTERNAL_ERROR") and "secret" not in reply.body.decode()


def test_too_many_at_once_are_told_to_come_again(tmp_path: Path, place: Place) -> None:
    ground = Ground(tmp_path, Tracking(), place, limits=Limits(in_flight=0))
    assert ground.ask("GET", "/version").status == 429
    ground.close()
