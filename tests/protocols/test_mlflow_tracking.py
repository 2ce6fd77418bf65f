"""MLflow's tracking protocol over a real socket: experiments, runs, metrics, batches, searches, as its clients ask."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import pyarrow as pa
import pytest

from interlock.core.clock import SystemClock, from_micros, to_micros
from interlock.core.sealing import Seal
from interlock.ports.run_store import MetricPoint, Run, RunBatch
from interlock.ports.stores import Stores
from interlock.server.guard import Guard
from interlock.server.mlflow.surface import ERROR_SHAPES, mlflow_routes
from interlock.server.mlflow.wire import Ground
from interlock.server.router import Router
from interlock.server.serve import listen, serving
from interlock.server.workers import Workers
from interlock.workspace import open_workspace
from tests.postgres import fresh_schema

ARROW = "application/vnd.apache.arrow.stream"


@dataclass
class Client:
    """Speaks JSON over one kept-alive connection, as MLflow's clients do."""

    stores: Stores
    url: str

    def __post_init__(self) -> None:
        self.wire = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)

    def send(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, root: str = "/api"
    ) -> tuple[int, Any, dict[str, str]]:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body, indent=2).encode()
        given = {"Content-Type": "application/json", **(headers or {})}
        self.wire.request(method, f"{root}/2.0/mlflow/{path}", body=data, headers=given)
        answer = self.wire.getresponse()
        content = answer.read()
        named = {name.lower(): value for name, value in answer.getheaders()}
        if named.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        if named["content-type"] == ARROW:
            return answer.status, pa.ipc.open_stream(io.BytesIO(content)).read_all(), named
        return answer.status, json.loads(content), named

    def post(self, path: str, **body: Any) -> Any:
        status, answer, _ = self.send("POST", path, body)
        assert status == 200, answer
        return answer

    def get(self, path: str, **query: Any) -> Any:
        status, answer, _ = self.send("GET", f"{path}?{urlencode(query, doseq=True)}")
        assert status == 200, answer
        return answer

    def refused(self, path: str, body: Any, *, code: str = "INVALID_PARAMETER_VALUE", status: int = 400) -> str:
        found, answer, _ = self.send("POST", path, body)
        assert (found, answer["error_code"]) == (status, code), answer
        assert set(answer) == {"error_code", "message"} and "Traceback" not in answer["message"]
        return str(answer["message"])

    def run(self, experiment_id: str = "0", **fields: Any) -> str:
        return str(self.post("runs/create", experiment_id=experiment_id, **fields)["run"]["info"]["run_id"])

    def shown(self, run_id: str) -> Any:
        return self.get("runs/get", run_id=run_id)["run"]


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgres"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stores, str]]:
    with ExitStack() as exits:
        if request.param == "postgres":
            uri = exits.enter_context(fresh_schema(request.getfixturevalue("postgres_uri")))
        else:
            uri = "memory:" if request.param == "memory" else str(tmp_path_factory.mktemp("workspace"))
        workspace = exits.enter_context(open_workspace(uri))
        stores = workspace.stores
        workers = Workers(commits=workspace.commits)
        exits.callback(workers.close)
        ground = Ground(stores=stores, clock=SystemClock(), workers=workers, seal=Seal(lambda: [bytes(32)]))
        router = Router(mlflow_routes(ground), guard=Guard(), shapes=ERROR_SHAPES)
        yield stores, exits.enter_context(serving(router, listen("127.0.0.1", 0)))


@pytest.fixture
def client(served: tuple[Stores, str]) -> Iterator[Client]:
    made = Client(*served)
    yield made
    made.wire.close()


@pytest.fixture
def experiment(client: Client, request: pytest.FixtureRequest) -> str:
    return str(client.post("experiments/create", name=request.node.name)["experiment_id"])


def keyed(listed: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in listed}


# --- experiments


def test_the_default_experiment_is_always_there(client: Client) -> None:
    found = client.get("experiments/get", experiment_id="0")["experiment"]
    assert (found["name"], found["artifact_location"]) == ("Default", "mlflow-artifacts:/0")
    assert client.shown(client.run(""))["info"]["experiment_id"] == "0"


def test_an_experiment_lives_and_is_deleted_and_restored(client: Client) -> None:
    made = client.post("experiments/create", name="life", tags=[{"key": "a", "value": "1"}])["experiment_id"]
    run = client.run(made)
    client.post("experiments/set-experiment-tag", experiment_id=made, key="b", value="")
    client.post("experiments/delete-experiment-tag", experiment_id=made, key="a")
    client.post("experiments/update", experiment_id=made, new_name="life, renamed")
    client.post("experiments/delete", experiment_id=made)
    gone = client.get("experiments/get-by-name", experiment_name="life, renamed")["experiment"]
    assert (gone["experiment_id"], gone["lifecycle_stage"]) == (made, "deleted")
    assert gone["tags"] == [{"key": "b", "value": ""}]
    assert client.shown(run)["info"]["lifecycle_stage"] == "deleted"
    client.refused(
        "experiments/create", {"name": "life, renamed"}, code="RESOURCE_ALREADY_EXISTS"
    )  # a deleted one keeps its name
    for path, fields in (
        ("set-experiment-tag", {"key": "b", "value": "2"}),
        ("delete-experiment-tag", {"key": "b"}),
    ):
        said = client.refused(f"experiments/{path}", {"experiment_id": made, **fields})
        assert said.startswith(f"The experiment {made} must be in the 'active' state")
    assert "must be in the 'active' state" in client.refused("runs/create", {"experiment_id": made})
    client.refused("experiments/update", {"experiment_id": made, "new_name": "x"}, code="INVALID_STATE")
    client.refused("experiments/delete", {"experiment_id": made}, code="RESOURCE_DOES_NOT_EXIST", status=404)
    client.post("experiments/restore", experiment_id=made)
    assert client.shown(run)["info"]["lifecycle_stage"] == "active"
    client.refused("experiments/restore", {"experiment_id": made}, code="RESOURCE_DOES_NOT_EXIST", status=404)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("create", {}, "Missing value for required parameter 'name'."),
        ("create", {"name": ""}, "Missing value for required parameter 'name'."),
        ("create", {"name": 123}, "Invalid value 123 for parameter 'name'"),
        ("create", {"name": "n", "artifact_location": 9.0}, "Invalid value 9.0 for parameter 'artifact_location'"),
        ("create", {"name": "n", "tags": "5"}, "Invalid value \"5\" for parameter 'tags'"),
        ("create", {"name": "x" * 501}, "exceeds the maximum length of 500"),
        ("create", {"name": "n", "artifact_location": "s3://b/x#y"}, "fragments"),
        ("create", {"name": "n", "artifact_location": "s3://b/x?a=%252e%252e/y"}, "leads out"),
        ("create", {"name": "n", "artifact_location": "file:///a/%2e%2e/etc"}, "leads out"),
        ("create", {"name": "n", "artifact_location": "../../etc"}, "leads out"),
        ("create", {"name": "n", "artifact_location": "runs:/1/x"}, "runs:/"),
        ("create", {"name": "n", "artifact_location": "http://[x"}, "not a URI"),
        ("create", {"name": "n", "artifact_location": "s3://b/" + "x" * 2048}, "length"),
        ("delete", {"experiment_id": "abc"}, "Invalid experiment ID 'abc'"),
        ("delete", {"experiment_id": "1.0"}, "Invalid experiment ID '1.0'"),
        ("delete", {"experiment_id": "9" * 30}, "Invalid experiment ID"),
        ("delete", {}, "Missing value for required parameter 'experiment_id'"),
        ("update", {"experiment_id": "0"}, "Missing value for required parameter 'new_name'"),
        ("set-experiment-tag", {"experiment_id": "0", "key": "a//b"}, "Invalid value"),
        ("search", {"max_results": 0}, "Invalid value 0 for parameter 'max_results'"),
        ("search", {"max_results": 50_001}, "Invalid value 50001 for parameter 'max_results'"),
        ("search", {"view_type": "SOME"}, "Invalid value \"SOME\" for parameter 'view_type'"),
        ("search", {"filter": "nonsense = 'x'"}, "nonsense"),
        ("search", {"page_token": "tampered"}, "Invalid page token"),
        ("search-datasets", {}, "must specify at least one experiment_id"),
        ("search-datasets", {"experiment_ids": ["1"] * 21}, "cannot specify more than 20"),
    ],
)
def test_bad_questions_about_experiments(client: Client, path: str, body: Any, said: str) -> None:
    assert said in client.refused(f"experiments/{path}", body)


def test_unknown_experiments_are_not_found(client: Client) -> None:
    for query in ("get?experiment_id=999999", "get?experiment_id=-1", "get-by-name?experiment_name=nope"):
        path = f"experiments/{query}"
        status, answer, _ = client.send("GET", path)
        assert (status, answer["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    said = client.refused(
        "experiments/delete-experiment-tag",
        {"experiment_id": "0", "key": "nope"},
        code="RESOURCE_DOES_NOT_EXIST",
        status=404,
    )
    assert said == "No tag with name: nope in experiment with id 0"


def test_experiments_are_found_by_post_and_get(client: Client) -> None:
    names = [f"found-{number}" for number in range(5)]
    for name in names:
        client.post("experiments/create", name=name, tags=[{"key": "set", "value": "found"}])
    asked: dict[str, Any] = {"filter": "tags.`set` = 'found'", "order_by": ["name DESC"], "max_results": 2}
    first = client.post("experiments/search", **asked)
    second = client.get("experiments/search", **asked, page_token=first["next_page_token"], view_type="1")
    assert [one["name"] for one in first["experiments"] + second["experiments"]] == names[:0:-1]
    third = client.post("experiments/search", **asked, page_token=second["next_page_token"])
    assert [one["name"] for one in third["experiments"]] == names[:1] and "next_page_token" not in third
    assert client.post("experiments/search", filter="name = 'nobody'") == {}


def test_an_experiment_may_keep_its_files_elsewhere(client: Client) -> None:
    made = client.post("experiments/create", name="elsewhere", artifact_location="s3://bucket/x?region=eu")
    info = client.shown(client.run(made["experiment_id"]))["info"]
    assert info["artifact_uri"] == f"s3://bucket/x/{info['run_id']}/artifacts?region=eu"
    local = client.post("experiments/create", name="a folder here", artifact_location="some/folder")["experiment_id"]
    location = client.get("experiments/get", experiment_id=local)["experiment"]["artifact_location"]
    assert location.startswith("/") and location.endswith("/some/folder")


# --- runs


def test_a_run_begins_logs_and_ends(client: Client, experiment: str) -> None:
    tags = [{"key": "mlflow.user", "value": "ann"}, {"key": "mlflow.source.git.commit", "value": "ab12"}]
    made = client.post("runs/create", experiment_id=experiment, start_time=456, run_name="first", tags=tags)["run"]
    info = made["info"]
    assert (info["run_uuid"], info["run_name"], info["status"]) == (info["run_id"], "first", "RUNNING")
    assert (info["start_time"], info["user_id"], info["lifecycle_stage"]) == (456, "ann", "active")
    assert "end_time" not in info and made["inputs"] == {}
    run = info["run_id"]
    client.post("runs/log-metric", run_id=run, key="auc", value=0.5, timestamp=789, step=2)
    client.post("runs/log-metric", run_uuid=run, key="auc", value="NaN", timestamp="790", step="1")
    client.post("runs/log-parameter", run_id=run, key="empty", value="")
    client.post("runs/set-tag", run_id=run, key="note", value="hi")
    ended = client.post("runs/update", run_id=run, status="FINISHED", end_time=1_000)["run_info"]
    assert (ended["status"], ended["end_time"]) == ("FINISHED", 1_000)
    client.post("runs/log-metric", run_id=run, key="late", value=1, timestamp=5)  # a finished run may still log
    shown = client.shown(run)
    assert shown["info"] == ended
    assert shown["data"]["metrics"] == [
        {"key": "auc", "value": 0.5, "timestamp": 789, "step": 2},
        {"key": "late", "value": 1.0, "timestamp": 5, "step": 0},
    ]
    assert shown["data"]["params"] == [{"key": "empty", "value": ""}]
    assert keyed(shown["data"]["tags"])["note"] == "hi"
    assert client.stores.runs.get(run).code == {"vcs": "git", "commit": "ab12"}


def test_a_run_goes_on_and_keeps_its_end_when_renamed(client: Client) -> None:
    run = client.run()
    client.post("runs/update", run_id=run, status="FAILED", end_time=2_000)
    renamed = client.post("runs/update", run_id=run, run_name="again")["run_info"]
    assert (renamed["run_name"], renamed["status"], renamed["end_time"]) == ("again", "FAILED", 2_000)
    assert client.post("runs/update", run_id=run, end_time=3_000)["run_info"]["end_time"] == 3_000
    going = client.post("runs/update", run_id=run, status=1)["run_info"]
    assert going["status"] == "RUNNING" and "end_time" not in going
    assert "end_time" in client.post("runs/update", run_id=run, status="KILLED")["run_info"]


def test_the_name_of_a_run_is_a_tag_too(client: Client) -> None:
    run = client.run(tags=[{"key": "mlflow.runName", "value": "by tag"}])
    assert client.shown(run)["info"]["run_name"] == "by tag"
    client.post("runs/set-tag", run_id=run, key="mlflow.runName", value="by set-tag")
    assert client.shown(run)["info"]["run_name"] == "by set-tag"
    client.post("runs/log-batch", run_id=run, tags=[{"key": "mlflow.runName", "value": "by batch"}])
    client.post("runs/update", run_id=run, run_name="by update")
    shown = client.shown(run)
    assert shown["info"]["run_name"] == keyed(shown["data"]["tags"])["mlflow.runName"] == "by update"
    both = {"run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}
    assert "different values" in client.refused("runs/create", both)
    assert client.refused("runs/delete-tag", {"run_id": run, "key": "mlflow.runName"})
    assert client.shown(client.run())["info"]["run_name"]  # those without get one


def test_a_child_run_has_its_parent(client: Client) -> None:
    parent = client.run()
    child = client.run(tags=[{"key": "mlflow.parentRunId", "value": parent}])
    orphan = client.run(tags=[{"key": "mlflow.parentRunId", "value": "not-here"}])
    assert client.stores.runs.get(child).parent == parent
    assert client.stores.runs.get(orphan).parent is None
    found = client.post("runs/search", experiment_ids=["0"], filter=f"tags.mlflow.parentRunId = '{parent}'")
    assert [one["info"]["run_id"] for one in found["runs"]] == [child]


def test_a_deleted_run_takes_nothing_and_comes_back(client: Client) -> None:
    run = client.run(tags=[{"key": "t", "value": "1"}])
    client.post("runs/delete", run_id=run)
    client.post("runs/delete", run_id=run)
    metric = {"key": "m", "value": 1, "timestamp": 1}
    for path, fields in (
        ("log-metric", metric),
        ("log-parameter", {"key": "p", "value": "1"}),
        ("set-tag", {"key": "t", "value": "2"}),
        ("set-tag", {"key": "mlflow.runName", "value": "x"}),
        ("delete-tag", {"key": "t"}),
        ("log-batch", {"metrics": [metric]}),
        ("log-inputs", {"datasets": [{"dataset": {"name": "n", "digest": "d"}}]}),
        ("outputs", {"models": [{"model_id": "m-1"}]}),
        ("update", {"status": "FINISHED"}),
    ):
        said = client.refused(f"runs/{path}", {"run_id": run, **fields})
        assert said == f"The run {run} must be in the 'active' state. Current state is deleted.", path
    client.post("runs/restore", run_id=run)
    client.post("runs/restore", run_id=run)
    assert client.shown(run)["data"] == {
        "tags": [{"key": "t", "value": "1"}, {"key": "mlflow.runName", "value": client.shown(run)["info"]["run_name"]}]
    }


def test_an_unknown_run_is_not_found(client: Client) -> None:
    for path, fields in (
        ("log-metric", {"key": "m", "value": 1, "timestamp": 1}),
        ("log-parameter", {"key": "m", "value": "1"}),
        ("set-tag", {"key": "m", "value": "1"}),
        ("delete-tag", {"key": "m"}),
        ("log-batch", {}),
        ("update", {"status": "FINISHED"}),
        ("delete", {}),
        ("restore", {}),
        ("log-inputs", {}),
        ("log-model", {"model_json": '{"artifact_path":"","flavors":{},"utc_time_created":"","run_id":""}'}),
    ):
        said = client.refused(f"runs/{path}", {"run_id": "nope", **fields}, code="RESOURCE_DOES_NOT_EXIST", status=404)
        assert said == "Run with id=nope not found", path
    assert client.send("GET", "runs/get?run_id=nope")[0] == 404


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("create", {"start_time": -1}, "Invalid value -1 for parameter 'start_time'"),
        ("create", {"start_time": 10**18}, "up to the year 9999"),
        ("create", {"tags": [{"value": "x"}]}, "Missing value for required parameter 'tags[0].key'"),
        ("update", {"run_id": "RUN", "status": "DONE"}, "Invalid value \"DONE\" for parameter 'status'"),
        ("update", {"run_id": "RUN", "status": 9}, "Invalid value 9 for parameter 'status'"),
        ("update", {"run_id": "RUN", "end_time": 5}, "The run is RUNNING; give its status too"),
        ("update", {}, "Missing value for required parameter 'run_id'"),
        ("log-metric", {"key": "m", "value": 1, "timestamp": 1}, "Missing value for required parameter 'run_id'"),
        ("log-metric", {"run_id": 31}, "Invalid value 31 for parameter 'run_id' supplied"),
        ("log-metric", {"run_id": "RUN", "value": 1, "timestamp": 1}, "Missing value for required parameter 'key'"),
        ("log-metric", {"run_id": "RUN", "key": "", "value": 1, "timestamp": 1}, "required parameter 'key'"),
        ("log-metric", {"run_id": "RUN", "key": "m", "timestamp": 1}, "Missing value for required parameter 'value'"),
        ("log-metric", {"run_id": "RUN", "key": "m", "value": 1}, "Missing value for required parameter 'timestamp'"),
        ("log-metric", {"run_id": "RUN", "key": "m", "value": "x", "timestamp": 1}, 'Invalid value "x" for parameter'),
        ("log-metric", {"run_id": "RUN", "key": "m", "value": 1, "timestamp": "x"}, "for parameter 'timestamp'"),
        ("log-metric", {"run_id": "RUN", "key": "m", "value": 1, "timestamp": -1}, "for parameter 'timestamp'"),
        ("log-metric", {"run_id": "RUN", "key": "m", "value": 1, "timestamp": 2**63}, "for parameter 'timestamp'"),
        ("log-metric", {"run_id": "RUN", "key": "m", "value": 1, "timestamp": 2**62}, "for parameter 'timestamp'"),
        ("log-metric", {"run_id": "RUN", "key": "m", "value": 1, "timestamp": 1, "step": 1.5}, "parameter 'step'"),
        ("log-metric", {"run_id": "RUN", "key": "a//b", "value": 1, "timestamp": 1}, "for parameter 'name'"),
        ("log-metric", {"run_id": "RUN", "key": "x" * 251, "value": 1, "timestamp": 1}, "maximum length of 250"),
        ("log-parameter", {"run_id": "RUN", "key": "a\u0000"}, "Names may only contain"),
        ("log-parameter", {"run_id": "RUN", "key": "a", "value": 5}, "Invalid value 5 for parameter 'value' supplied"),
        ("set-tag", {"run_id": "RUN", "key": "t", "value": 41}, "Invalid value 41 for parameter 'value' supplied"),
        ("set-tag", {"run_id": "RUN", "key": "t", "value": "\u0000"}, "NUL"),
        ("log-batch", {"run_id": "RUN", "metrics": "foo"}, "Invalid value \"foo\" for parameter 'metrics' supplied"),
        ("log-batch", {"run_id": "RUN", "params": "foo"}, "Invalid value \"foo\" for parameter 'params' supplied"),
        ("log-inputs", {"datasets": []}, "Missing value for required parameter 'run_id'"),
        ("log-inputs", {"run_id": "RUN", "datasets": [{}]}, "required parameter 'datasets[0].dataset'"),
        ("log-inputs", {"run_id": "RUN", "datasets": [{"dataset": {"name": "", "digest": "d"}}]}, "dataset.name"),
        ("outputs", {"run_id": "RUN"}, "Missing value for required parameter 'models'"),
        ("log-model", {"run_id": "RUN", "model_json": "{"}, "Malformed model info"),
        ("log-model", {"run_id": "RUN", "model_json": "{}"}, "Model json is missing mandatory fields"),
        ("search", {"experiment_ids": ["0"], "max_results": 123456789}, "Invalid value 123456789 for parameter"),
        ("search", {"experiment_ids": ["0"], "run_view_type": "SOME"}, "for parameter 'run_view_type'"),
        ("search", {"experiment_ids": ["x"]}, "Invalid experiment ID 'x'"),
        ("search", {"experiment_ids": ["0"], "order_by": [5]}, "Invalid value 5 for parameter 'order_by[0]'"),
        ("search", {"experiment_ids": ["0"], "filter": "metrics.a > 'x'"}, "numeric"),
        ("search", {"experiment_ids": ["0"], "page_token": "tampered"}, "Invalid page token"),
    ],
)
def test_bad_questions_about_runs_write_nothing(client: Client, path: str, body: Any, said: str) -> None:
    run = client.run()
    before = client.shown(run)
    given = json.loads(json.dumps(body).replace('"RUN"', json.dumps(run)))
    assert said in client.refused(f"runs/{path}", given)
    assert client.shown(run) == before


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"\xff", b"[" * 100_000, b'{"a": NaN}'])
def test_what_is_no_json_object_is_refused(client: Client, body: bytes) -> None:
    status, answer, _ = client.send("POST", "runs/log-metric", body)
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_both_spellings_and_double_encoding_are_read(client: Client) -> None:
    run = client.run()
    client.post("runs/log-metric", runId=run, key="camel", value=1, timestamp=1, modelId="")
    client.send("POST", "runs/log-metric", json.dumps({"run_id": run, "key": "twice", "value": 1, "timestamp": 1}))
    assert set(keyed(client.shown(run)["data"]["metrics"])) == {"camel", "twice"}
    assert "both" in client.refused("runs/log-metric", {"run_id": run, "runId": "x", "key": "m"})


def test_everything_answers_below_both_roots(client: Client) -> None:
    run = client.run()
    _, answer, _ = client.send("GET", f"runs/get?run_uuid={run}", root="/ajax-api")
    assert answer["run"]["info"]["run_id"] == run


# --- batches


def test_a_batch_is_written_whole(client: Client) -> None:
    run = client.run()
    metrics = [{"key": f"m{at % 10}", "value": at, "timestamp": 1000 + at, "step": at} for at in range(800)]
    params = [{"key": f"p{at}", "value": str(at)} for at in range(100)]
    tags = [{"key": f"t{at}", "value": str(at)} for at in range(100)]
    client.post("runs/log-batch", run_id=run, metrics=metrics, params=params, tags=tags)
    client.post("runs/log-batch", run_id=run, metrics=metrics, params=params, tags=tags)  # a retry changes nothing
    shown = client.shown(run)["data"]
    assert keyed(shown["metrics"]) == {f"m{at}": float(790 + at) for at in range(10)}
    assert keyed(shown["params"]) == {f"p{at}": str(at) for at in range(100)}
    assert len(shown["tags"]) == 101
    history = client.get("metrics/get-history", run_id=run, metric_key="m3")["metrics"]
    assert [one["step"] for one in history] == list(range(3, 800, 10))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            {"metrics": [{"key": "ok", "value": 1, "timestamp": 1}, {"key": "..", "value": 1, "timestamp": 1}]},
            "[1].name",
        ),
        ({"metrics": [{"key": "mae", "value": 2.5}]}, "Missing value for required parameter 'metrics[0].timestamp'"),
        ({"metrics": [{"key": "m", "value": 1, "timestamp": 1}] * 1001}, "at most 1000 metrics"),
        ({"params": [{"key": "q", "value": "1"}, {"key": "q", "value": "1"}]}, "Duplicate parameter keys"),
        ({"params": [{"key": "p", "value": "2"}]}, "Changing param values is not allowed. Param with key='p'"),
        ({"params": [{"key": f"p{at}"} for at in range(101)]}, "at most 100 params"),
        ({"tags": [{"key": "a\nb", "value": "1"}]}, "for parameter 'tags[0].key'"),
        ({"tags": [{"key": "ok", "value": "x" * 1_000_000}]}, "at most 1000000 bytes"),
    ],
)
def test_a_bad_batch_leaves_nothing_behind(client: Client, bad: Any, said: str) -> None:
    run = client.run()
    client.post("runs/log-parameter", run_id=run, key="p", value="1")
    before = client.shown(run)
    good = {
        "metrics": [{"key": "good", "value": 1, "timestamp": 1}],
        "params": [{"key": "good", "value": "1"}],
        "tags": [{"key": "good", "value": "1"}],
    }
    assert said in client.refused("runs/log-batch", {"run_id": run, **good, **bad})
    assert client.shown(run) == before


def test_long_values_are_cut(client: Client) -> None:
    run = client.run()
    client.post("runs/log-parameter", run_id=run, key="p", value="x" * 7000)
    client.post("runs/log-parameter", run_id=run, key="p", value="x" * 8000)  # the same once cut
    client.post("runs/set-tag", run_id=run, key="t", value="x" * 9000)
    shown = client.shown(run)["data"]
    assert len(keyed(shown["params"])["p"]) == 6000 and len(keyed(shown["tags"])["t"]) == 8000


def test_what_a_run_read_and_made_is_shown(client: Client) -> None:
    experiment = client.post("experiments/create", name="inputs")["experiment_id"]
    run = client.run(experiment)
    dataset = {"name": "flights", "digest": "d1", "source_type": "local", "source": "{}", "schema": "s", "profile": "p"}
    tags = [{"key": "foo", "value": "bar"}, {"key": "mlflow.data.context", "value": "train"}]
    given = {"dataset": dataset, "tags": tags}
    client.post("runs/log-inputs", run_id=run, datasets=[given, given], models=[{"model_id": "m-1"}])
    client.post("runs/outputs", run_id=run, models=[{"model_id": "m-2", "step": "4"}])
    shown = client.shown(run)
    assert shown["inputs"] == {"dataset_inputs": [given], "model_inputs": [{"model_id": "m-1"}]}
    assert shown["outputs"] == {"model_outputs": [{"model_id": "m-2", "step": 4}]}
    found = client.post("experiments/search-datasets", experiment_ids=[experiment, "999999"])
    assert found["dataset_summaries"] == [
        {"experiment_id": experiment, "name": "flights", "digest": "d1", "context": "train"}
    ]
    assert client.post("experiments/search-datasets", experiment_ids=["999999"]) == {}


def test_who_names_a_dataset_again_takes_nothing_from_it(client: Client) -> None:
    run = client.run()
    first = {"name": "flights", "digest": "d1", "source_type": "local", "source": "{}"}
    context = {"key": "mlflow.data.context", "value": "train"}
    client.post("runs/log-inputs", run_id=run, datasets=[{"dataset": first, "tags": [context]}])
    # as the client does for a metric that is logged with its dataset
    other = {"name": "more", "digest": "d2", "source_type": "local", "source": "{}"}
    client.post("runs/log-inputs", run_id=run, datasets=[{"dataset": first}, {"dataset": other}])
    shown = client.shown(run)["inputs"]["dataset_inputs"]
    assert [(one["dataset"]["name"], one.get("tags", [])) for one in shown] == [("flights", [context]), ("more", [])]


def test_a_metric_of_a_model_is_kept_with_both(client: Client) -> None:
    made = client.post("logged-models", experiment_id="0", name="m")["model"]["info"]["model_id"]
    run = client.run()
    fields = {"key": "auc", "value": 0.5, "timestamp": 7, "step": 1, "model_id": made, "dataset_name": "d"}
    client.post("runs/log-metric", run_id=run, **fields)
    client.post("runs/log-batch", run_id=run, metrics=[fields | {"key": "acc"}, fields | {"key": "n", "model_id": ""}])
    assert set(keyed(client.shown(run)["data"]["metrics"])) == {"auc", "acc", "n"}
    shown = client.get(f"logged-models/{made}")["model"]["data"]["metrics"]
    assert {(one["key"], one["run_id"], one["dataset_name"]) for one in shown} == {("auc", run, "d"), ("acc", run, "d")}
    gone = {**fields, "run_id": run, "model_id": "m-nope", "key": "never"}
    client.refused("runs/log-metric", gone, code="RESOURCE_DOES_NOT_EXIST", status=404)
    assert "never" not in keyed(client.shown(run)["data"]["metrics"])


def test_models_of_older_clients_are_noted(client: Client) -> None:
    run = client.run()
    for path in ("a", "b"):
        model = {
            "run_id": run,
            "artifact_path": path,
            "utc_time_created": "now",
            "flavors": {"sk": {"config": 1, "v": 2}},
        }
        client.post("runs/log-model", run_id=run, model_json=json.dumps(model | {"signature": {}}))
    noted = json.loads(keyed(client.shown(run)["data"]["tags"])["mlflow.log-model.history"])
    assert [(one["artifact_path"], one["flavors"]) for one in noted] == [
        ("a", {"sk": {"v": 2}}),
        ("b", {"sk": {"v": 2}}),
    ]


# --- idempotency


def test_a_create_with_a_key_makes_one_run(client: Client, experiment: str) -> None:
    body = {"experiment_id": experiment, "start_time": 1_700_000_000_000, "run_name": "once"}
    headers = {"Idempotency-Key": "job-17"}
    answers = [client.send("POST", "runs/create", body, headers=headers)[1]["run"]["info"] for _ in range(2)]
    assert answers[0] == answers[1]
    other = client.send("POST", "runs/create", body, headers={"Idempotency-Key": "job-18"})[1]["run"]["info"]
    elsewhere = client.send("POST", "runs/create", {**body, "experiment_id": "0"}, headers=headers)[1]["run"]["info"]
    assert len({answers[0]["run_id"], other["run_id"], elsewhere["run_id"]}) == 3
    assert len(client.post("runs/search", experiment_ids=[experiment])["runs"]) == 2
    assert client.send("POST", "runs/create", body, headers={"Idempotency-Key": "x" * 256})[0] == 400


def test_creates_with_one_key_at_once_make_one_run(client: Client, experiment: str) -> None:
    found: list[str] = []

    def create() -> None:
        mine = Client(client.stores, client.url)
        body = {"experiment_id": experiment, "start_time": 5}
        answer = mine.send("POST", "runs/create", body, headers={"Idempotency-Key": "race"})[1]
        found.append(answer["run"]["info"]["run_id"])
        mine.wire.close()

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


# --- series


def test_a_history_comes_in_pages_by_time(client: Client) -> None:
    run = client.run()
    for step in (3, 0, 2, 1, 4):
        client.post("runs/log-metric", run_id=run, key="m", value=step, timestamp=1000 + step, step=step)
    asked = {"run_id": run, "metric_key": "m", "max_results": 2}
    pages = [client.get("metrics/get-history", **asked)]
    while "next_page_token" in pages[-1]:
        pages.append(client.get("metrics/get-history", **asked, page_token=pages[-1]["next_page_token"]))
    assert [[one["step"] for one in page["metrics"]] for page in pages] == [[0, 1], [2, 3], [4]]
    whole = client.get("metrics/get-history", run_id=run, metric_key="m")["metrics"]
    assert whole == [one for page in pages for one in page["metrics"]]
    assert whole[0] == {"key": "m", "value": 0.0, "timestamp": 1000, "step": 0}
    assert client.get("metrics/get-history", run_id=run, metric_key="other") == {}
    assert client.get("metrics/get-history", run_id="nope", metric_key="m") == {}


def test_numbers_that_json_has_not_come_back(client: Client) -> None:
    run = client.run()
    for at, value in enumerate(["NaN", "Infinity", "-Infinity", 1e308]):
        client.post("runs/log-metric", run_id=run, key="m", value=value, timestamp=at, step=at)
    found = client.get("metrics/get-history", run_id=run, metric_key="m")["metrics"]
    assert [one["value"] for one in found] == ["NaN", "Infinity", "-Infinity", 1e308]


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("get-history", {"run_id": "r"}, "Missing value for required parameter 'metric_key'"),
        ("get-history", {"metric_key": "m"}, "Missing value for required parameter 'run_id'"),
        ("get-history", {"run_id": "r", "metric_key": "m", "max_results": 0}, "max_results"),
        ("get-history", {"run_id": "r", "metric_key": "m", "max_results": "x"}, "max_results"),
        ("get-history", {"run_id": "r", "metric_key": "m", "page_token": "invalid_token"}, "Invalid page token"),
        ("get-history-bulk", {"metric_key": "m"}, "must specify at least one run_id"),
        ("get-history-bulk", {"run_id": ["r"] * 101, "metric_key": "m"}, "cannot specify more than 100"),
        ("get-history-bulk", {"run_id": "r"}, "must specify a metric_key"),
        ("get-history-bulk", {"run_id": "r", "metric_key": "m", "max_results": -1}, "max_results"),
        ("get-history-bulk-interval", {"metric_key": "m"}, "Missing value for required parameter 'run_ids'."),
        ("get-history-bulk-interval", {"run_ids": ["r"] * 101, "metric_key": "m"}, "at most 100 run_ids"),
        ("get-history-bulk-interval", {"run_ids": "r"}, "Missing value for required parameter 'metric_key'"),
        ("get-history-bulk-interval", {"run_ids": "r", "metric_key": "m", "max_results": 2501}, "between 1 and 2500"),
        ("get-history-bulk-interval", {"run_ids": "r", "metric_key": "m", "start_step": 1}, "both must be specified"),
        (
            "get-history-bulk-interval",
            {"run_ids": "r", "metric_key": "m", "start_step": 1, "end_step": 0},
            "end_step must be greater than start_step",
        ),
    ],
)
def test_bad_questions_about_series(client: Client, path: str, query: Any, said: str) -> None:
    status, answer, _ = client.send("GET", f"metrics/{path}?{urlencode(query, doseq=True)}")
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert said in answer["message"]


def test_series_of_many_runs_come_at_once(client: Client) -> None:
    runs = sorted(client.run() for _ in range(3))
    for run in runs[:2]:
        metrics = [{"key": "m", "value": at, "timestamp": 9 - at, "step": at} for at in range(10)]
        client.post("runs/log-batch", run_id=run, metrics=metrics)
    found = client.get("metrics/get-history-bulk", run_id=runs[::-1], metric_key="m")["metrics"]
    assert [(one["run_id"], one["step"]) for one in found] == [(run, at) for run in runs[:2] for at in range(9, -1, -1)]
    assert client.get("metrics/get-history-bulk", run_id=runs, metric_key="m", max_results=12)["metrics"] == found[:12]
    thin = client.get("metrics/get-history-bulk-interval", run_ids=runs, metric_key="m", max_results=5)["metrics"]
    assert [(one["run_id"], one["step"]) for one in thin] == [(run, at) for run in runs[:2] for at in (0, 2, 4, 6, 9)]
    part = {"run_ids": runs[0], "metric_key": "m", "start_step": 3, "end_step": 5}
    assert [one["step"] for one in client.get("metrics/get-history-bulk-interval", **part)["metrics"]] == [3, 4, 5]


def test_what_was_logged_natively_is_shown(client: Client) -> None:
    now = to_micros(SystemClock().now())
    client.stores.runs.create(
        Run(
            "native-1",
            "native",
            "training",
            "mine",
            "running",
            from_micros(now),
            params={"net": {"depth": 3}, "rate": 0.1},
        )
    )
    points = tuple(MetricPoint("loss", at, 0.25 * at, now + at) for at in range(5))
    client.stores.runs.log("native-1", RunBatch(metrics=points))
    shown = client.shown("native-1")
    assert keyed(shown["data"]["params"]) == {"net.depth": "3", "rate": "0.1"}
    history = client.get("metrics/get-history", run_id="native-1", metric_key="loss")["metrics"]
    assert [(one["value"], one["step"]) for one in history] == [(0.0, 0), (1.0, 0), (2.0, 0), (3.0, 0), (4.0, 1)]
    exact = client.send("GET", "metrics/get-history?run_id=native-1&metric_key=loss", headers={"Accept": ARROW})[1]
    assert exact.column("step").to_pylist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert exact.column("timestamp").cast("int64").to_pylist() == [now + at for at in range(5)]


# --- search


def test_runs_are_found_ordered_and_paged(client: Client, experiment: str) -> None:
    runs = []
    for at in range(7):
        runs.append(client.run(experiment, start_time=1000 + at, tags=[{"key": "half", "value": str(at % 2)}]))
        client.post("runs/log-batch", run_id=runs[-1], metrics=[{"key": "auc", "value": at / 10, "timestamp": 1}])
    asked = {"experiment_ids": [experiment], "filter": "metrics.auc > 0.05 and tags.half = '0'", "max_results": 2}
    first = client.post("runs/search", **asked, order_by=["metrics.auc ASC"])
    second = client.post("runs/search", **asked, order_by=["metrics.auc ASC"], page_token=first["next_page_token"])
    assert [one["info"]["run_id"] for one in first["runs"] + second["runs"]] == [runs[2], runs[4], runs[6]]
    assert "next_page_token" not in second
    newest = client.post("runs/search", experiment_ids=[experiment])["runs"]
    assert [one["info"]["run_id"] for one in newest] == runs[::-1]
    either = client.post(
        "runs/search", experiment_ids=[experiment], filter="max(metrics.auc) >= 0.6 OR metrics.auc = 0"
    )
    assert {one["info"]["run_id"] for one in either["runs"]} == {runs[0], runs[6]}
    client.post("runs/delete", run_id=runs[0])
    seen = {
        view: len(client.post("runs/search", experiment_ids=[experiment], run_view_type=view).get("runs", []))
        for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", 3)
    }
    assert seen == {"ACTIVE_ONLY": 6, "DELETED_ONLY": 1, "ALL": 7, 3: 7}


def test_a_search_of_no_experiment_finds_nothing(client: Client) -> None:
    client.run()
    assert client.post("runs/search") == client.post("runs/search", experiment_ids=["999999"]) == {}


def test_runs_come_as_arrow_to_who_asks(client: Client, experiment: str) -> None:
    runs = [client.run(experiment, start_time=1000 + at, run_name=f"n{at}") for at in range(3)]
    client.post("runs/log-metric", run_id=runs[1], key="auc", value="NaN", timestamp=1)
    client.post("runs/log-parameter", run_id=runs[2], key="depth", value="3")
    body = {"experiment_ids": [experiment], "max_results": 2}
    status, first, headers = client.send("POST", "runs/search", body, headers={"Accept": ARROW})
    assert (status, headers["content-type"]) == (200, ARROW)
    token = first.schema.metadata[b"next_page_token"].decode()
    _, second, _ = client.send("POST", "runs/search", {**body, "page_token": token}, headers={"Accept": ARROW})
    assert first.column("run_id").to_pylist() + second.column("run_id").to_pylist() == runs[::-1]
    assert first.column("params.depth").to_pylist() == ["3", None]
    assert math.isnan(first.column("metrics.auc")[1].as_py())
    assert first.column("start_time").cast("int64").to_pylist() == [1002000, 1001000]
    assert first.column("end_time").to_pylist() == [None, None]
    assert first.column("tags.mlflow.runName").to_pylist() == ["n2", "n1"]
    assert second.schema.metadata is None
    both = {"Accept": f"application/json, {ARROW}"}
    assert client.send("POST", "runs/search", body, headers=both)[2]["content-type"] == "application/json"


def test_an_empty_arrow_answer_is_a_table_too(client: Client) -> None:
    _, table, _ = client.send("POST", "runs/search", {}, headers={"Accept": ARROW})
    assert table.num_rows == 0 and "run_id" in table.column_names
    _, history, _ = client.send("GET", "metrics/get-history?run_id=x&metric_key=m", headers={"Accept": ARROW})
    assert history.num_rows == 0 and history.column_names == ["timestamp", "step", "value"]


def test_large_answers_are_compressed_where_wanted(client: Client, experiment: str) -> None:
    run = client.run(experiment)
    client.post("runs/log-batch", run_id=run, params=[{"key": f"param-{at}", "value": "v"} for at in range(100)])
    _, plain, headers = client.send("GET", f"runs/get?run_id={run}")
    assert "content-encoding" not in headers
    _, packed, headers = client.send("GET", f"runs/get?run_id={run}", headers={"Accept-Encoding": "gzip, deflate"})
    assert headers["content-encoding"] == "gzip" and packed == plain
    assert b"\n" not in json.dumps(plain, separators=(",", ":")).encode()


# --- the server


def test_the_server_says_what_it_speaks(client: Client) -> None:
    client.wire.request("GET", "/api/3.0/mlflow/server-info")
    info = json.loads(client.wire.getresponse().read())
    assert info["workspaces_enabled"] is False and info["multipart_uploads_enabled"] is True


def test_clients_that_write_at_once_lose_nothing(client: Client, experiment: str) -> None:
    run = client.run(experiment)

    def log(worker: int) -> None:
        mine = Client(client.stores, client.url)
        for at in range(25):
            mine.post(
                "runs/log-metric", run_id=run, key=f"m{worker % 2}", value=at, timestamp=at, step=worker * 100 + at
            )
            mine.post("runs/set-tag", run_id=run, key=f"t{worker}-{at}", value="x")
        mine.wire.close()

    threads = [threading.Thread(target=log, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = client.shown(run)["data"]
    assert len(shown["tags"]) == 8 * 25 + 1
    counts = [len(client.get("metrics/get-history", run_id=run, metric_key=key)["metrics"]) for key in ("m0", "m1")]
    assert counts == [100, 100]
