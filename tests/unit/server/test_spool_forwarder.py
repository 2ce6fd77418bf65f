"""What waits reaches the server once and in order, whatever fails on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.server.spool.creating import MARKER, marked
from interlock.server.spool.records import Write, call_of, encode_write, read_object, subjects
from interlock.server.spool.upstream import Upstream
from tests.unit.server.spooled import API, ARTIFACTS, Place, Tracking, forwarding, opened, until

RUN, OTHER, MODEL, EXPERIMENT = "a" * 32, "b" * 32, "m-" + "c" * 32, "1" * 32


@dataclass
class Ground:
    """A spool's folder, a server, and what puts writes into the one and brings them to the other."""

    folder: Path
    place: Place
    tracking: Tracking = field(default_factory=Tracking)

    def __post_init__(self) -> None:
        self.place.app = self.tracking
        self.store = opened(self.folder, self.place.url)
        self.upstream = Upstream(self.place.url)

    def put(
        self, method: str, path: str, *, makes: str = "", file: bytes = b"", attempted: bool = False, **fields: Any
    ) -> None:
        """Spool a write."""
        target = path if path.startswith("/") else f"{API}/{path}"
        call = call_of(method, target)
        assert call is not None
        body = b"" if file else msgspec.json.encode(fields)
        about = subjects(call, {} if file else read_object(body))
        headers = {} if file else {"content-type": "application/json"}
        write = Write(call.name, method, target, headers, body, 1_000, about.about, about.needs, makes)
        if file:
            with self.store.files.writing() as new:
                new.write(file)
                new.keep()
            write = msgspec.structs.replace(write, file=new.name, file_bytes=new.size_bytes)
        write = msgspec.structs.replace(write, attempted=attempted)
        self.store.backlog.add(write)
        self.store.log.append([encode_write(write)])
        self.store.accept(write)
        self.store.log.release()

    def run(self, given: str = RUN, *, name: str = "one", experiment: str = "0", **options: Any) -> None:
        """Spool the creation of a run."""
        fields = marked({"experiment_id": experiment, "run_name": name}, given)
        self.put("POST", "runs/create", makes=given, **fields, **options)

    def metric(self, step: int, given: str = RUN, *, key: str = "m") -> None:
        """Spool a point."""
        self.put("POST", "runs/log-metric", run_id=given, key=key, value=step / 2, timestamp=step, step=step)

    def forward(self, **options: Any) -> None:
        """Forward until nothing waits."""
        with forwarding(self.store, self.upstream, **options):
            until(lambda: not self.store.backlog.count)

    def restart(self) -> None:
        """Let another process have the folder, as after a crash."""
        self.store.close()
        self.store = opened(self.folder, self.place.url)

    def steps(self, name: str = "one") -> list[int]:
        """Return the steps of the metric that a run has at the server."""
        return [step for _, _, _, step in self.tracking.run_named(name)["data"]["metrics"]]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A port at which the server of each test answers."""
    place = Place(Tracking())
    place.come()
    yield place
    place.go()


@pytest.fixture
def ground(tmp_path: Path, place: Place) -> Iterator[Ground]:
    ground = Ground(tmp_path, place)
    yield ground
    ground.store.close()
    ground.upstream.close()


def test_a_run_arrives_whole_and_in_its_order(ground: Ground) -> None:
    ground.run()
    for step in range(3):
        ground.metric(step)
    ground.put("POST", "runs/log-parameter", run_id=RUN, key="p", value="v")
    ground.put("PUT", f"{ARTIFACTS}/0/{RUN}/artifacts/a/f.bin", file=b"data")
    ground.put("POST", "runs/set-tag", run_id=RUN, key="t", value="1")
    ground.put("POST", "runs/delete-tag", run_id=RUN, key="t")
    ground.put("POST", "runs/update", run_id=RUN, status="FINISHED", end_time=9)
    ground.forward()
    run = ground.tracking.run_named("one")
    upstream = run["info"]["run_id"]
    assert ground.steps() == [0, 1, 2]
    assert (run["data"]["params"], run["data"]["tags"]) == ({"p": "v"}, {MARKER: RUN})
    assert (run["info"]["status"], run["info"]["end_time"]) == ("FINISHED", 9)
    assert ground.tracking.artifacts == {f"0/{upstream}/artifacts/a/f.bin": b"data"}
    assert [path.removeprefix(API) for method, path, _ in ground.tracking.calls if method == "POST"] == [
        "/runs/search",
        "/runs/create",
        "/runs/log-batch",
        "/runs/log-batch",
        "/runs/delete-tag",
        "/runs/update",
    ]
    assert ground.store.state.made()[0].upstream == upstream
    assert (ground.store.files.size_bytes, list((ground.folder / "files").iterdir())) == (0, [])


def test_ids_in_later_writes_are_the_servers(ground: Ground) -> None:
    ground.run()
    tags = [{"key": "mlflow.parentRunId", "value": RUN}]
    ground.put("POST", "runs/create", makes=OTHER, experiment_id="0", run_name="child", tags=tags)
    ground.put("POST", "logged-models", makes=MODEL, experiment_id="0", name="clf", source_run_id=RUN)
    ground.put("POST", "runs/outputs", run_id=RUN, models=[{"model_id": MODEL, "step": 0}])
    ground.put("PATCH", f"logged-models/{MODEL}", status="LOGGED_MODEL_READY")
    text = f"model_id: {MODEL}\nrun_id: {RUN}\n".encode()
    ground.put("PUT", f"{ARTIFACTS}/0/models/{MODEL}/artifacts/MLmodel", file=text)
    ground.forward()
    parent, child = ground.tracking.run_named("one"), ground.tracking.run_named("child")
    (model,) = ground.tracking.models.values()
    run_id, model_id = parent["info"]["run_id"], model["info"]["model_id"]
    assert child["data"]["tags"]["mlflow.parentRunId"] == run_id
    assert (model["info"]["source_run_id"], model["info"]["status"]) == (run_id, "LOGGED_MODEL_READY")
    assert parent["outputs"] == [model_id]
    assert ground.tracking.artifacts[f"0/models/{model_id}/artifacts/MLmodel"] == (
        f"model_id: {model_id}\nrun_id: {run_id}\n".encode()
    )


@pytest.mark.parametrize("taken", [False, True])
def test_an_experiment_is_created_or_found_by_its_name(ground: Ground, taken: bool) -> None:
    if taken:
        place = {"experiment_id": "5", "name": "a & b", "artifact_location": "mlflow-artifacts:/elsewhere"}
        ground.tracking.experiments["5"] = place
    ground.put("POST", "experiments/create", makes=EXPERIMENT, name="a & b")
    ground.run(experiment=EXPERIMENT)
    ground.put("PUT", f"{ARTIFACTS}/{EXPERIMENT}/{RUN}/artifacts/f", file=b"x")
    ground.forward()
    run = ground.tracking.run_named("one")
    assert run["info"]["experiment_id"] == ("5" if taken else "1")
    root = "elsewhere" if taken else "1"
    assert list(ground.tracking.artifacts) == [f"{root}/{run['info']['run_id']}/artifacts/f"]


def breaks_once(path: str, *, status: int) -> Callable[[str, str, Any], int | None]:
    """Fail at the first call to an address: with a status, or, if that is 0, after it had its effect."""
    left = [status]
    return lambda _, called, __: left.pop() if left and called.endswith(path) else None


@pytest.mark.parametrize("status", [0, 500, 503, 429, 401, 302])
@pytest.mark.parametrize("path", ["runs/create", "runs/log-batch", "runs/outputs", "logged-models", "/params"])
def test_an_answer_that_does_not_come_changes_nothing(ground: Ground, path: str, status: int) -> None:
    ground.run()
    ground.metric(1)
    ground.put("POST", "logged-models", makes=MODEL, **marked({"experiment_id": "0", "name": "clf"}, MODEL))
    ground.put("POST", f"logged-models/{MODEL}/params", params=[{"key": "a", "value": "1"}])
    ground.put("POST", "runs/outputs", run_id=RUN, models=[{"model_id": MODEL, "step": 0}])
    ground.metric(2)
    ground.tracking.fault = breaks_once(path, status=status)
    ground.forward()
    (model,) = ground.tracking.models.values()
    assert ground.steps() == [1, 2]
    assert ground.tracking.run_named("one")["outputs"] == [model["info"]["model_id"]]
    assert model["data"]["params"] == [{"key": "a", "value": "1"}]
    assert len(ground.store.refusals) == 0


@pytest.mark.parametrize("after", range(6))
def test_a_crash_between_sending_and_noting_changes_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    ground.put("POST", "experiments/create", makes=EXPERIMENT, name="new")
    ground.run(experiment=EXPERIMENT)
    ground.metric(1)
    ground.put("POST", "logged-models", makes=MODEL, **marked({"experiment_id": EXPERIMENT, "name": "clf"}, MODEL))
    ground.put("POST", f"logged-models/{MODEL}/params", params=[{"key": "a", "value": "1"}])
    ground.put("POST", "runs/outputs", run_id=RUN, models=[{"model_id": MODEL, "step": 0}])
    noted: list[int] = []
    advance = ground.store.state.advance

    def dies(done: int, **more: Any) -> None:
        if len(noted) == after:
            noted.append(-1)
        if -1 in noted:
            raise RuntimeError("killed")
        noted.append(done)
        advance(done, **more)

    monkeypatch.setattr(ground.store.state, "advance", dies)
    with forwarding(ground.store, ground.upstream):
        until(lambda: -1 in noted)
    monkeypatch.undo()
    ground.restart()
    assert ground.store.backlog.count == 6 - after
    ground.forward()
    (model,) = ground.tracking.models.values()
    assert [one["name"] for one in ground.tracking.experiments.values()] == ["Default", "new"]
    assert (ground.steps(), ground.tracking.run_named("one")["outputs"]) == ([1], [model["info"]["model_id"]])
    assert model["data"]["params"] == [{"key": "a", "value": "1"}]
    assert len(ground.store.refusals) == 0


def test_a_run_that_was_sent_straight_before_is_taken_up(ground: Ground) -> None:
    ground.run(OTHER, name="first of this process")
    ground.forward()
    sent = ground.tracking._new_run(marked({"experiment_id": "0", "run_name": "one"}, RUN))
    ground.run(attempted=True)
    ground.metric(1)
    ground.run("d" * 32, name="plain")
    ground.forward()
    assert ground.tracking.run_named("one")["info"]["run_id"] == sent["info"]["run_id"]
    assert ground.steps() == [1]


def test_what_is_refused_is_set_aside_and_the_rest_goes_on(ground: Ground) -> None:
    ground.run()
    for step in range(4):
        ground.metric(step, key="bad key" if step == 2 else "m")
    ground.put("POST", "runs/log-parameter", run_id=RUN, key="p", value="1")
    ground.put("POST", "runs/log-parameter", run_id=RUN, key="p", value="2")
    ground.metric(9)
    ground.put("POST", "runs/delete-tag", run_id=RUN, key="never set")
    ground.put("POST", "runs/log-batch", run_id="unknown", metrics=[])
    ground.forward()
    assert ground.steps() == [0, 1, 3, 9]
    assert ground.tracking.run_named("one")["data"]["params"] == {"p": "1"}
    refused = ground.store.refusals.all()
    assert [(one.call, one.status) for one in refused] == [
        ("log-metric", 400),
        ("log-parameter", 400),
        ("log-batch", 404),
    ]
    assert "INVALID_PARAMETER_VALUE" in refused[0].answer
    assert json.loads(refused[0].write.body)["step"] == 2


def test_what_needs_something_that_was_refused_is_refused_with_it(ground: Ground) -> None:
    ground.run(experiment="99")
    ground.metric(1)
    ground.put("PUT", f"{ARTIFACTS}/99/{RUN}/artifacts/f", file=b"kept")
    ground.put("POST", "logged-models", makes=MODEL, experiment_id="0", name="clf", source_run_id=RUN)
    ground.run(OTHER, name="other")
    ground.metric(1, OTHER)
    ground.forward()
    assert ground.steps("other") == [1]
    refused = ground.store.refusals.all()
    assert [(one.call, one.status) for one in refused] == [
        ("create-run", 404),
        ("log-metric", 0),
        ("put-artifact", 0),
        ("create-model", 0),
    ]
    assert "had refused to create" in refused[1].answer
    with ground.store.files.open(refused[2].write.file) as body:
        assert body.read() == b"kept"
    ground.tracking.experiments["99"] = {**ground.tracking.experiments["0"], "experiment_id": "99"}
    ground.store.close()
    ground.store = opened(ground.folder, ground.place.url, retry_refused=True)
    ground.forward()
    assert (ground.steps(), len(ground.store.refusals), len(ground.tracking.models)) == ([1], 0, 1)
    assert list(ground.tracking.artifacts.values()) == [b"kept"]


def test_artifacts_that_the_server_does_not_serve_are_set_aside(ground: Ground) -> None:
    ground.tracking.experiments["0"]["artifact_location"] = "s3://bucket"
    ground.run()
    ground.put("PUT", f"{ARTIFACTS}/0/{RUN}/artifacts/f", file=b"kept")
    ground.forward()
    (refused,) = ground.store.refusals.all()
    assert "does not serve" in refused.answer


@pytest.mark.parametrize("status", [0, 500])
@pytest.mark.parametrize("path", ["runs/log-batch", "runs/update"])
def test_a_write_that_breaks_the_server_does_not_block_the_rest_for_ever(
    ground: Ground, path: str, status: int
) -> None:
    def fault(_: str, called: str, body: Any) -> int | None:
        return status if "poison" in str(body) else None

    ground.run()
    ground.metric(1)
    poison = {"tags": [{"key": "poison", "value": "1"}]} if path.endswith("batch") else {"status": "poison"}
    ground.put("POST", path, run_id=RUN, **poison)
    ground.metric(2)
    ground.run(OTHER, name="other")
    ground.tracking.fault = fault
    ground.forward(patience_s=0.0)
    assert ground.steps() == [1, 2] and ground.tracking.run_named("other")
    (refused,) = ground.store.refusals.all()
    assert "times and more" in refused.answer and refused.call in ("log-batch", "update-run")


def test_a_server_whose_database_is_down_is_waited_for(ground: Ground) -> None:
    down = [True]
    ground.tracking.fault = lambda method, path, body: 500 if down[0] else None
    ground.run()
    ground.metric(1)
    with forwarding(ground.store, ground.upstream, patience_s=0.0):
        until(lambda: len(ground.tracking.calls) > 20)
        assert len(ground.store.refusals) == 0 and "500" in ground.upstream.trouble
        down[0] = False
        until(lambda: not ground.store.backlog.count)
    assert ground.steps() == [1]


def test_a_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    ground = Ground(tmp_path, Place(Tracking()))
    ground.run()
    with forwarding(ground.store, ground.upstream) as forwarder:
        until(lambda: ground.upstream.away_since is not None)
        ground.metric(1)
        ground.place.come()
        until(lambda: not ground.store.backlog.count)
        assert ground.upstream.away_since is None
        assert forwarder.forwarded == 2, "it counts before anyone can see that nothing waits"
        ground.metric(2)
        forwarder.wake()
        until(lambda: not ground.store.backlog.count)
    assert ground.steps() == [1, 2]
    ground.store.close()
    ground.upstream.close()
    ground.place.go()


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>log in</html>"), (200, b'{"strange": 1}'), (200, b"not json")]
)
def test_what_is_no_tracking_server_gets_nothing(tmp_path: Path, place: Place, status: int, body: bytes) -> None:
    class Portal(Tracking):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.calls.append((scope["method"], scope["path"], b""))
            kind = b"text/html" if body.startswith(b"<") else b"application/json"
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
            await send({"type": "http.response.body", "body": body})

    ground = Ground(tmp_path, place, Portal())
    ground.run()
    with forwarding(ground.store, ground.upstream):
        until(
            lambda: (
                len([path for _, path, _ in ground.tracking.calls if path.endswith("/runs/create")]) > 2
                or (body.startswith((b"<", b"not")) and len(ground.tracking.calls) > 12)
            )
        )
    assert ground.store.backlog.count == 1 and len(ground.store.refusals) == 0
    ground.store.close()
    ground.upstream.close()


def test_it_remembers_what_it_sees_of_the_server(ground: Ground) -> None:
    with forwarding(ground.store, ground.upstream):
        until(lambda: ground.store.known.page("/version") is not None)
    assert ground.store.known.page("/version") == ("text/plain", b"3.17.0")
    found = ground.store.known.answer(f"{API}/experiments/get-by-name", {"experiment_name": "Default"})
    assert found is not None and found["experiment"]["experiment_id"] == "0"


def test_a_run_that_is_through_is_still_known(ground: Ground) -> None:
    ground.run()
    ground.metric(1)
    ground.forward()
    run = ground.store.known.answer(f"{API}/runs/get", {"run_id": RUN})
    assert run is not None and run["run"]["data"]["metrics"][0]["step"] == 1
    ground.restart()
    assert ground.store.known.answer(f"{API}/runs/get", {"run_id": RUN}) == run


def test_a_long_log_is_emptied_and_forgotten(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground.store.log, "_segment_bytes", 2_000)
    ground.run()
    for step in range(500):
        ground.metric(step)
    assert len(list((ground.folder / "log").iterdir())) > 20
    ground.forward()
    assert ground.steps() == list(range(500))
    assert len(list((ground.folder / "log").iterdir())) == 1
    assert len(ground.tracking.writes("runs/log-batch")) == 1


def test_damage_in_the_log_is_told_and_nothing_is_skipped(ground: Ground) -> None:
    ground.run()
    ground.metric(1)
    (segment,) = (ground.folder / "log").iterdir()
    segment.write_bytes(segment.read_bytes()[:-1] + b"!")
    with forwarding(ground.store, ground.upstream):
        until(lambda: "damaged" in ground.upstream.trouble)
    assert (ground.store.backlog.count, ground.tracking.runs) == (2, {})
