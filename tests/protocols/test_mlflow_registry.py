"""MLflow's model registry and logged models over a real socket, as its clients speak them."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.adapters.sklearn.runtime import SklearnRuntime
from interlock.core.clock import SystemClock
from interlock.core.sealing import Seal
from interlock.ports.deployment_store import Deployment
from interlock.ports.logged_model_store import ModelMetric
from interlock.ports.stores import Stores
from interlock.registry.models import Models
from interlock.server.guard import Guard
from interlock.server.mlflow.surface import ERROR_SHAPES, mlflow_routes
from interlock.server.mlflow.wire import Ground
from interlock.server.router import Router
from interlock.server.serve import listen, serving
from interlock.server.workers import Workers
from interlock.serving.loading import ModelLoader

MLMODEL = """\
artifact_path: models:/m-1
flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: model.skops
    predict_fn: predict
  sklearn:
    code: null
    pickled_model: model.skops
    serialization_format: skops
signature:
  inputs: '[{"type": "double", "name": "wind", "required": true}, {"type": "double",
    "name": "distance", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]'
  params: null
"""


@dataclass
class Client:
    """Sends what MLflow's clients send."""

    url: str
    stores: Stores

    def ask(self, method: str, path: str, body: Any = None, *, root: str = "/api/2.0/mlflow") -> tuple[int, Any]:
        """Return the status and the answer; of a GET the body is its query."""
        query = ""
        if method == "GET" and body:
            query = "?" + urlencode(body, doseq=True)
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self.url + root + path + query, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def good(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Return the answer to what is right."""
        status, answer = self.ask(method, path, body, **more)
        assert status == 200, answer
        return answer

    def bad(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str, str]:
        """Return the status, the code and the message of a refusal, which has written nothing."""
        before = self.stores.journal.last_seq()
        status, answer = self.ask(method, path, body, **more)
        assert 400 <= status < 500, answer
        assert self.stores.journal.last_seq() == before
        return status, answer["error_code"], answer["message"]

    def put(self, path: str, data: bytes) -> None:
        """Upload a file through the artifact proxy."""
        address = f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{quote(path)}"
        with urllib.request.urlopen(urllib.request.Request(address, data=data, method="PUT"), timeout=10) as answer:
            assert answer.status == 200

    def fetch(self, uri: str) -> bytes:
        """Download a file by its `mlflow-artifacts:` address."""
        path = uri.removeprefix("mlflow-artifacts:/")
        with urllib.request.urlopen(f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{path}", timeout=10) as answer:
            data: bytes = answer.read()
            return data

    def model(self, name: str = "delay", **more: Any) -> Any:
        """Name a registered model."""
        return self.good("POST", "/registered-models/create", {"name": name, **more})["registered_model"]

    def version(self, name: str = "delay", source: str = "s3://bucket/x", **more: Any) -> Any:
        """Register a version."""
        return self.good("POST", "/model-versions/create", {"name": name, "source": source, **more})["model_version"]

    def run(self) -> Any:
        """Begin a run."""
        body = {"experiment_id": "0", "start_time": 1_700_000_000_000}
        return self.good("POST", "/runs/create", body)["run"]["info"]

    def logged(self, **more: Any) -> Any:
        """Begin a logged model."""
        return self.good("POST", "/logged-models", {"experiment_id": "0", "name": "trees", **more})["model"]["info"]


@pytest.fixture
def client() -> Iterator[Client]:
    stores = memory_stores()
    workers = Workers()
    ground = Ground(stores=stores, clock=SystemClock(), workers=workers, seal=Seal(lambda: [bytes(32)]))
    router = Router(mlflow_routes(ground), guard=Guard(), shapes=ERROR_SHAPES)
    with serving(router, listen("127.0.0.1", 0)) as url:
        yield Client(url, stores)
    workers.close()


def test_a_registered_model_as_clients_see_it(client: Client) -> None:
    tags = [{"key": "a", "value": "1"}, {"key": "b", "value": ""}]
    made = client.model("Flight delay %2f", tags=tags, description="late")
    assert (made["name"], made["description"], made["tags"]) == ("Flight delay %2f", "late", tags)
    assert made["creation_timestamp"] == made["last_updated_timestamp"] > 1_600_000_000_000
    asked = {"name": "Flight delay %2f"}
    assert client.good("GET", "/registered-models/get", asked)["registered_model"] == made
    assert client.good("GET", "/registered-models/get", asked, root="/ajax-api/2.0/mlflow")["registered_model"] == made
    client.good("PATCH", "/registered-models/update", {**asked, "description": "very late"})
    client.good("POST", "/registered-models/set-tag", {**asked, "key": "b", "value": "2"})
    client.good("DELETE", "/registered-models/delete-tag", {**asked, "key": "a"})
    assert client.good("DELETE", "/registered-models/delete-tag", {**asked, "key": "a"}) == {}
    renamed = client.good("POST", "/registered-models/rename", {**asked, "new_name": "delay"})["registered_model"]
    assert (renamed["name"], renamed["description"]) == ("delay", "very late")
    assert renamed["tags"] == [{"key": "b", "value": "2"}]
    assert client.bad("GET", "/registered-models/get", asked)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    client.good("DELETE", "/registered-models/delete", {"name": "delay"})
    assert client.good("GET", "/registered-models/search") == {}


def test_names_that_registered_models_cannot_have(client: Client) -> None:
    client.model()
    client.model("greet", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({}, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'name'"),
        ({"name": "  "}, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'name'"),
        ({"name": "a/b"}, "INVALID_PARAMETER_VALUE", "Invalid model name 'a/b'. Names cannot contain '/' or ':'."),
        ({"name": "a:b"}, "INVALID_PARAMETER_VALUE", "Names cannot contain"),
        ({"name": ".."}, "INVALID_PARAMETER_VALUE", "Invalid value"),
        ({"name": "a\nb"}, "INVALID_PARAMETER_VALUE", "cannot name a model"),
        ({"name": "x" * 501}, "INVALID_PARAMETER_VALUE", "cannot name a model"),
        ({"name": 12}, "INVALID_PARAMETER_VALUE", "name"),
        ({"name": "ok", "tags": [{"key": "a\\b", "value": ""}]}, "INVALID_PARAMETER_VALUE", "key"),
        ({"name": "ok", "tags": [{"key": "a", "value": "x" * 100_001}]}, "INVALID_PARAMETER_VALUE", "maximum length"),
        ({"name": "delay"}, "RESOURCE_ALREADY_EXISTS", "Registered Model (name=delay) already exists."),
        ({"name": "greet"}, "RESOURCE_ALREADY_EXISTS", "already taken by a prompt"),
    ]
    for body, code, said in cases:
        status, found, message = client.bad("POST", "/registered-models/create", body)
        assert (status, found) == (400, code), (body, message)
        assert said in message
    again = {"name": "greet", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}
    assert "Prompt (name=greet) already exists" in client.bad("POST", "/registered-models/create", again)[2]
    taken = client.bad("POST", "/registered-models/rename", {"name": "delay", "new_name": "greet"})
    assert taken[:2] == (400, "RESOURCE_ALREADY_EXISTS")


def test_versions_are_counted_as_text_and_numbers_never_return(client: Client) -> None:
    client.model()
    first = client.version(description="one", run_link="http://runs/1", tags=[{"key": "a", "value": "1"}])
    assert (first["version"], first["current_stage"], first["status"]) == ("1", "None", "READY")
    assert (first["source"], first["run_link"], first["tags"]) == (
        "s3://bucket/x",
        "http://runs/1",
        [{"key": "a", "value": "1"}],
    )
    client.version()
    client.good("DELETE", "/model-versions/delete", {"name": "delay", "version": "2"})
    assert client.version()["version"] == "3"
    one = {"name": "delay", "version": "1"}
    client.good("PATCH", "/model-versions/update", {**one, "description": "the first"})
    client.good("POST", "/model-versions/set-tag", {**one, "key": "b", "value": "2"})
    client.good("DELETE", "/model-versions/delete-tag", {**one, "key": "a"})
    found = client.good("GET", "/model-versions/get", one)["model_version"]
    assert (found["description"], found["tags"]) == ("the first", [{"key": "b", "value": "2"}])
    assert client.good("GET", "/model-versions/get-download-uri", one) == {"artifact_uri": "s3://bucket/x"}
    for method, path, more in (
        ("GET", "get", {}),
        ("PATCH", "update", {"description": "x"}),
        ("DELETE", "delete", {}),
        ("GET", "get-download-uri", {}),
        ("POST", "transition-stage", {"stage": "Staging"}),
        ("POST", "set-tag", {"key": "a", "value": "b"}),
    ):
        answer = client.bad(method, f"/model-versions/{path}", {"name": "delay", "version": "2", **more})
        assert answer[:2] == (404, "RESOURCE_DOES_NOT_EXIST"), path
        assert answer[2] == "Model Version (name=delay, version=2) not found"
    odd = client.bad("GET", "/model-versions/get", {"name": "delay", "version": "something else"})
    assert odd == (400, "INVALID_PARAMETER_VALUE", "Parameter 'version' must be an integer, got 'something else'.")


def test_aliases(client: Client) -> None:
    client.model()
    for _ in range(2):
        client.version()
    client.good("POST", "/registered-models/alias", {"name": "delay", "alias": "champion", "version": "1"})
    client.good("POST", "/registered-models/alias", {"name": "delay", "alias": "champion", "version": 2})
    asked = {"name": "delay", "alias": "champion"}
    assert client.good("GET", "/registered-models/alias", asked)["model_version"]["version"] == "2"
    model = client.good("GET", "/registered-models/get", {"name": "delay"})["registered_model"]
    assert model["aliases"] == [{"alias": "champion", "version": "2"}]
    assert model["latest_versions"][0]["aliases"] == ["champion"]
    latest = client.good("GET", "/registered-models/alias", {"name": "delay", "alias": "Latest"})
    assert latest["model_version"]["version"] == "2"
    client.good("DELETE", "/model-versions/delete", {"name": "delay", "version": "2"})
    unknown = client.bad("GET", "/registered-models/alias", asked)
    assert unknown == (400, "INVALID_PARAMETER_VALUE", "Registered model alias champion not found.")
    assert client.good("DELETE", "/registered-models/alias", asked) == {}
    for alias, said in (
        ("latest", "reserved"),
        ("LATEST", "reserved"),
        ("v12", "Version alias name 'v12' is reserved."),
        ("a b", "Invalid alias name: 'a b'"),
        ("a/../b", "Invalid alias name"),
        ("", "cannot be empty"),
        ("x" * 256, "maximum length"),
        ("7", "cannot be an alias"),
    ):
        body = {"name": "delay", "alias": alias, "version": "1"}
        status, code, message = client.bad("POST", "/registered-models/alias", body)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert said in message
    body = {"name": "fare", "alias": "champion", "version": "1"}
    assert client.bad("POST", "/registered-models/alias", body)[2] == "Registered Model with name=fare not found"


def test_stages(client: Client) -> None:
    client.model()
    for _ in range(4):
        client.version()

    def move(version: int, stage: str, **more: Any) -> Any:
        body = {"name": "delay", "version": str(version), "stage": stage, **more}
        return client.good("POST", "/model-versions/transition-stage", body)["model_version"]

    assert move(1, "pRODUCTION")["current_stage"] == "Production"
    move(2, "staging")
    move(3, "Production", archive_existing_versions=True)
    for method in ("GET", "POST"):
        asked: dict[str, Any] = {"name": "delay"}
        found = client.good(method, "/registered-models/get-latest-versions", asked)["model_versions"]
        stages = {one["version"]: one["current_stage"] for one in found}
        assert stages == {"4": "None", "3": "Production", "2": "Staging", "1": "Archived"}
        asked["stages"] = ["production", "Staging"]
        found = client.good(method, "/registered-models/get-latest-versions", asked)["model_versions"]
        assert [one["version"] for one in found] == ["3", "2"]
    for stage, more, said in (
        ("Live", {}, "Invalid Model Version stage: Live"),
        ("", {}, "Missing value"),
        ("Archived", {"archive_existing_versions": True}, "is not an Active stage"),
    ):
        body = {"name": "delay", "version": "1", "stage": stage, **more}
        assert said in client.bad("POST", "/model-versions/transition-stage", body)[2]


def test_searches_of_models_and_versions(client: Client) -> None:
    for name in ("fare", "delay", "Delay 2"):
        client.model(name, tags=[{"key": "team", "value": "ops" if name != "fare" else "lab"}])
    client.model("greet", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])

    def names(filter: str = "", **more: Any) -> list[str]:
        found = client.good("GET", "/registered-models/search", {"filter": filter, **more})
        return [one["name"] for one in found.get("registered_models", [])]

    assert names() == ["Delay 2", "delay", "fare"]
    assert names("name ILIKE 'delay%'", order_by=["name DESC"]) == ["delay", "Delay 2"]
    assert names("tags.team = 'lab' OR name = 'delay'") == ["delay", "fare"]
    assert names("tags.`mlflow.prompt.is_prompt` = 'true'") == ["greet"]
    assert names("tags.`mlflow.prompt.is_prompt` != 'True'") == ["Delay 2", "delay", "fare"]
    assert names("tags.`mlflow.prompt.is_prompt` = 'false' AND tags.team = 'lab'") == ["fare"]
    assert names("name = 'greet'") == []
    page = client.good("GET", "/registered-models/search", {"max_results": "2"})
    assert names(max_results=2, page_token=page["next_page_token"]) == ["fare"]
    for name, source in (("delay", "s3://a/1"), ("fare", "s3://b/1"), ("delay", "s3://a/2")):
        client.version(name, source)

    def versions(filter: str = "", **more: Any) -> list[tuple[str, str]]:
        found = client.good("GET", "/model-versions/search", {"filter": filter, **more})
        return [(one["name"], one["version"]) for one in found.get("model_versions", [])]

    assert versions() == [("delay", "2"), ("fare", "1"), ("delay", "1")]
    assert versions("name = 'delay'") == [("delay", "2"), ("delay", "1")]
    assert versions("source_path LIKE 's3://a%' AND version_number > 1") == [("delay", "2")]
    assert versions(order_by=["version_number ASC", "name DESC"]) == [("fare", "1"), ("delay", "1"), ("delay", "2")]
    for path, query in (
        ("/registered-models/search", {"max_results": 1001}),
        ("/registered-models/search", {"max_results": 0}),
        ("/registered-models/search", {"filter": "name"}),
        ("/registered-models/search", {"filter": "auc > 1"}),
        ("/registered-models/search", {"order_by": ["auc"]}),
        ("/registered-models/search", {"page_token": "x"}),
        ("/model-versions/search", {"max_results": 200_001}),
        ("/model-versions/search", {"max_results": -1}),
        ("/model-versions/search", {"filter": "name = 'a'; DROP TABLE runs"}),
        ("/model-versions/search", {"page_token": page["next_page_token"]}),
    ):
        assert client.bad("GET", path, query)[:2] == (400, "INVALID_PARAMETER_VALUE"), (path, query)


def test_sources_that_are_refused(client: Client) -> None:
    client.model()
    run, other = client.run()["run_id"], client.run()["run_id"]
    mine, its = client.logged()["model_id"], client.logged()["model_id"]
    secret = client.stores.runs.get(other).id
    cases: list[tuple[str, dict[str, str]]] = [
        ("", {}),
        ("/etc/passwd", {}),
        ("/etc/passwd", {"run_id": run}),
        ("/etc/passwd", {"model_id": mine}),
        ("../../etc", {"run_id": run}),
        ("file:///etc/passwd", {"run_id": run}),
        ("FILE:/etc/passwd", {"run_id": run}),
        ("file://evil.example/etc", {"run_id": run}),
        (" /etc/passwd", {"run_id": run}),
        ("C:\\secrets", {"run_id": run}),
        ("http://169.254.169.254/latest", {"run_id": run}),
        ("https://host/api/2.0/mlflow-artifacts/artifacts/0/x", {"run_id": run}),
        ("ftp://host/x", {}),
        ("sftp://host/x", {}),
        ("mlflow-artifacts://host:9000/models", {"run_id": run}),
        ("mlflow-artifacts:/models", {"run_id": run}),
        (f"mlflow-artifacts:/0/{secret}/artifacts", {"run_id": run}),
        (f"mlflow-artifacts:/0/{secret}/artifacts", {}),
        (f"mlflow-artifacts:/0/{run}/artifacts/../../{secret}/artifacts", {"run_id": run}),
        (f"mlflow-artifacts:/0/{run}/artifacts/..%2f..%2f{secret}", {"run_id": run}),
        (f"mlflow-artifacts:/0/{run}/artifacts/%252e%252e/{secret}", {"run_id": run}),
        (f"mlflow-artifacts:/0/{run}/artifacts/%00", {"run_id": run}),
        (f"mlflow-artifacts:/0/{run}/artifacts?x=../..", {"run_id": run}),
        (f"mlflow-artifacts:/0/{run}/artifacts#/../..", {"run_id": run}),
        (f"mlflow-artifacts:/0/{run}/artifacts;/../..", {"run_id": run}),
        (f"mlflow-artifacts:/0/models/{its}/artifacts", {"model_id": mine}),
        (f"mlflow-artifacts:/0/models/{its}/artifacts", {"run_id": run}),
        ("s3://bucket/a/../../b", {}),
        ("dbfs:/x/a%3f/../../../..", {}),
        (f"runs:/{secret}/model", {"run_id": run}),
        (f"runs:/{run}/model", {}),
        (f"runs:/{run}/model", {"model_id": mine}),
        (f"runs://host/{run}/model", {"run_id": run}),
        (f"models:/{its}", {"model_id": mine}),
        (f"models:/{mine}", {}),
        (f"models:/{mine}", {"run_id": run}),
        (f"models://host/{mine}", {"model_id": mine}),
        ("models:/delay", {}),
        ("models:/delay/a/b", {}),
        ("models:/", {}),
        ("models:/delay@", {}),
        ("x" * 5000 + ":/", {}),
        ("s3://[bad", {}),
        ("dummy-source", {}),
    ]
    for source, more in cases:
        status, code, message = client.bad(
            "POST", "/model-versions/create", {"name": "delay", "source": source, **more}
        )
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE"), (source, more, message)
    for source, more in (
        ("s3://bucket/x", {"model_id": "m-none"}),
        ("models:/m-none", {"model_id": "m-none"}),
        ("models:/fare/1", {}),
        ("models:/delay/7", {}),
        ("models:/delay/latest", {}),
        ("models:/delay/Production", {}),
    ):
        answer = client.bad("POST", "/model-versions/create", {"name": "delay", "source": source, **more})
        assert answer[:2] == (404, "RESOURCE_DOES_NOT_EXIST"), source
    prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    for source in ("/etc/passwd", "file:///etc", "s3://x/y"):
        body = {"name": "delay", "source": source, "tags": prompt}
        assert "Invalid prompt source" in client.bad("POST", "/model-versions/create", body)[2]
    unknown = client.bad("POST", "/model-versions/create", {"name": "fare", "source": "s3://x/y"})
    assert unknown == (404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=fare not found")


def test_sources_that_are_recorded_and_never_opened(client: Client) -> None:
    client.model()
    for source in ("s3://bucket/x", "gs://b/x", "wasbs://c@a.blob.core.windows.net/x", "dbfs:/x", "hdfs://host/x"):
        assert client.version(source=source)["source"] == source
    client.model("greet", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "Hello {{x}}"}]
    assert client.version("greet", "dummy-source", tags=tags)["tags"] == tags
    copied = client.bad("POST", "/model-versions/create", {"name": "delay", "source": "models:/greet/1"})
    assert "Prompt versions cannot be used" in copied[2]
    body = {"name": "local", "artifact_location": "file:///data/local"}
    experiment = client.good("POST", "/experiments/create", body)["experiment_id"]
    run = client.good("POST", "/runs/create", {"experiment_id": experiment, "start_time": 1})["run"]["info"]
    for source in (run["artifact_uri"], f"/data/local/{run['run_id']}/artifacts/model"):
        assert client.version(source=source, run_id=run["run_id"])["source"] == source
    for source in ("/data/local/other/artifacts", f"/data/local/{run['run_id']}/artifacts/../../x", "data/local"):
        body = {"name": "delay", "source": source, "run_id": run["run_id"]}
        assert "To use a local path as a model version" in client.bad("POST", "/model-versions/create", body)[2]
    assert all(not one.files for one in client.stores.models.versions("delay"))


def test_a_version_keeps_the_files_it_was_registered_with(client: Client) -> None:
    client.model("My Model %2f")
    info = client.logged(params=[{"key": "depth", "value": "3"}])
    place = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    client.put(f"{place}/MLmodel", MLMODEL.encode())
    client.put(f"{place}/data/a b.bin", b"one")
    client.good("PATCH", f"/logged-models/{info['model_id']}", {"status": "LOGGED_MODEL_READY"})
    client.stores.logged_models.log_metrics(info["model_id"], [ModelMetric("auc", 0.7, 0.0, 1)])
    source = f"models:/{info['model_id']}"
    version = client.version("My Model %2f", source, model_id=info["model_id"])
    assert (version["source"], version["model_id"]) == (source, info["model_id"])
    client.put(f"{place}/data/a b.bin", b"two")
    asked = {"name": "My Model %2f", "version": "1"}
    uri = client.good("GET", "/model-versions/get-download-uri", asked)["artifact_uri"]
    assert uri == "mlflow-artifacts:/models/My~20Model~20~252f/versions/1"
    assert client.fetch(f"{uri}/data/a%20b.bin") == b"one"
    stored = client.stores.models.get("My Model %2f")
    assert (stored.flavor, stored.engine, stored.metrics) == ("sklearn", "", {"auc": 0.7})
    assert [file.path for file in stored.files] == ["MLmodel", "data/a b.bin"]
    assert stored.signature.input_names == ("wind", "distance")
    shown = client.good("GET", f"/logged-models/{info['model_id']}")["model"]["info"]
    tags = {tag["key"]: tag["value"] for tag in shown["tags"]}
    assert tags["mlflow.modelVersions"] == '[{"name": "My Model %2f", "version": 1}]'
    refs = {edge.source for edge in client.stores.journal.walk(stored.ref, direction="back", depth=1)}
    assert refs == {f"artifact:models/{info['model_id']}"}
    client.model("copied")
    copy = client.version("copied", "models:/My Model %2f/1")
    assert (copy["source"], copy["model_id"]) == ("models:/My Model %2f/1", info["model_id"])
    uri = client.good("GET", "/model-versions/get-download-uri", {"name": "copied", "version": "1"})["artifact_uri"]
    assert client.fetch(f"{uri}/data/a%20b.bin") == b"one"
    body = {"name": "copied", "source": "models:/My Model %2f/1", "run_id": "other"}
    assert "must match" in client.bad("POST", "/model-versions/create", body)[2]


def test_a_version_made_of_the_files_of_a_run(client: Client) -> None:
    client.model()
    run = client.run()
    place = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    for path, data in (("model/MLmodel", MLMODEL.encode()), ("model/x", b"x"), ("models/y", b"y"), ("z", b"z")):
        client.put(f"{place}/{path}", data)
    body = {"run_id": run["run_id"], "key": "auc", "value": 0.9, "timestamp": 1}
    client.good("POST", "/runs/log-metric", body)
    for source in (f"runs:/{run['run_id']}/model", f"{run['artifact_uri']}/model", f"{run['artifact_uri']}//model/"):
        made = client.version(source=source, run_id=run["run_id"])
        stored = client.stores.models.get("delay", version=int(made["version"]))
        assert [file.path for file in stored.files] == ["MLmodel", "x"]
        assert (stored.run, stored.metrics) == (run["run_id"], {"auc": 0.9})
    nowhere = client.version(source="runs:/gone/model", run_id="gone")
    asked = {"name": "delay", "version": nowhere["version"]}
    assert client.good("GET", "/model-versions/get-download-uri", asked) == {"artifact_uri": "runs:/gone/model"}


def test_what_clients_put_elsewhere_is_found_elsewhere(client: Client) -> None:
    client.model()
    body = {"name": "far", "artifact_location": "s3://bucket/far"}
    experiment = client.good("POST", "/experiments/create", body)["experiment_id"]
    info = client.logged(experiment_id=experiment)
    assert info["artifact_uri"] == f"s3://bucket/far/models/{info['model_id']}/artifacts"
    for source in (f"models:/{info['model_id']}", info["artifact_uri"]):
        made = client.version(source=source, model_id=info["model_id"])
        asked = {"name": "delay", "version": made["version"]}
        assert client.good("GET", "/model-versions/get-download-uri", asked)["artifact_uri"] == info["artifact_uri"]
    copied = client.version(source="models:/delay/1")
    asked = {"name": "delay", "version": copied["version"]}
    assert client.good("GET", "/model-versions/get-download-uri", asked)["artifact_uri"] == info["artifact_uri"]
    assert client.good("GET", f"/logged-models/{info['model_id']}/artifacts/directories") == {
        "root_uri": info["artifact_uri"]
    }


def test_what_mlflow_logged_is_served_here(client: Client, tmp_path: Path) -> None:
    import skops.io
    from sklearn.linear_model import LinearRegression

    rows = np.array([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]])
    fitted = LinearRegression().fit(rows, rows @ [2.0, -1.0])
    packed = io.BytesIO()
    skops.io.dump(fitted, packed)
    client.model()
    info = client.logged()
    place = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    client.put(f"{place}/MLmodel", MLMODEL.encode())
    client.put(f"{place}/model.skops", packed.getvalue())
    client.version(source=f"models:/{info['model_id']}", model_id=info["model_id"])
    client.good("POST", "/registered-models/alias", {"name": "delay", "alias": "champion", "version": "1"})
    runtimes = [SklearnRuntime()]
    models = Models(client.stores.models, client.stores.artifacts, tmp_path, runtimes=runtimes)
    loaded = ModelLoader(models.resolve, models.package_folder, runtimes)("model:delay@champion")
    answer = loaded.predictor.predict([[1.0, 3.0], [2.0, 5.0]], rows=2)
    assert answer["prediction"].tolist() == pytest.approx([0.0, 1.0])


def test_what_answers_can_be_neither_deleted_nor_renamed(client: Client) -> None:
    client.model()
    client.version()
    client.stores.deployments.route("live", [Deployment("model:delay@1", "live", 1.0)])
    for method, path, body in (
        ("DELETE", "/model-versions/delete", {"name": "delay", "version": "1"}),
        ("DELETE", "/registered-models/delete", {"name": "delay"}),
        ("POST", "/registered-models/rename", {"name": "delay", "new_name": "fare"}),
    ):
        status, code, message = client.bad(method, path, body)
        assert (status, code) == (400, "INVALID_STATE")
        assert "endpoint 'live' routes to model:delay@1" in message


def test_a_logged_model_as_clients_see_it(client: Client) -> None:
    params, tags = [{"key": "depth", "value": "3"}], [{"key": "team", "value": "ops"}]
    info = client.logged(model_type="classifier", source_run_id="r1", params=params, tags=tags)
    model = f"/logged-models/{info['model_id']}"
    assert info["status"] == "LOGGED_MODEL_PENDING"
    assert info["artifact_uri"] == f"mlflow-artifacts:/0/models/{info['model_id']}/artifacts"
    assert (info["model_type"], info["source_run_id"], info["tags"]) == ("classifier", "r1", tags)
    for status, name in (("LOGGED_MODEL_READY", "READY"), (3, "UPLOAD_FAILED"), ("1", "PENDING")):
        changed = client.good("PATCH", model, {"status": status})["model"]["info"]
        assert changed["status"] == f"LOGGED_MODEL_{name}"
    client.good("POST", f"{model}/params", {"params": [{"key": "rate", "value": "0.1"}]})
    client.good("PATCH", f"{model}/tags", {"tags": [{"key": "a/b c", "value": "1"}, {"key": "team", "value": "lab"}]})
    client.good("DELETE", f"{model}/tags/a/b%20c")
    metrics = [ModelMetric("auc", float("nan"), 3.5, 2_000, run="r1", dataset_name="d", dataset_digest="x")]
    client.stores.logged_models.log_metrics(info["model_id"], metrics)
    shown = client.good("GET", model)["model"]
    assert shown["info"]["tags"] == [{"key": "team", "value": "lab"}]
    assert shown["data"] == {
        "params": [*params, {"key": "rate", "value": "0.1"}],
        "metrics": [
            {
                "key": "auc",
                "value": "NaN",
                "timestamp": 2,
                "step": 3,
                "run_id": "r1",
                "model_id": info["model_id"],
                "dataset_name": "d",
                "dataset_digest": "x",
            }
        ],
    }
    client.good("DELETE", model)
    assert client.bad("GET", model)[2] == f"Logged model with ID '{info['model_id']}' not found."
    assert client.good("GET", model, {"allow_deleted": "true"})["model"]["info"]["model_id"] == info["model_id"]
    assert client.good("DELETE", model) == {}
    assert client.bad("PATCH", model, {"status": "LOGGED_MODEL_READY"})[:2] == (400, "INVALID_PARAMETER_VALUE")


def test_what_logged_models_refuse(client: Client) -> None:
    info = client.logged(name=None, params=[{"key": "depth", "value": "3"}])
    assert info["name"]
    model = f"/logged-models/{info['model_id']}"
    cases: list[tuple[str, str, Any, int, str]] = [
        ("POST", "/logged-models", {"name": "x"}, 400, "experiment_id"),
        ("POST", "/logged-models", {"experiment_id": "77"}, 404, "No Experiment with id=77"),
        ("POST", "/logged-models", {"experiment_id": "x"}, 400, "Invalid experiment ID"),
        ("POST", "/logged-models", {"experiment_id": "0", "name": "a.b"}, 400, "Invalid model name ('a.b')"),
        ("POST", "/logged-models", {"experiment_id": "0", "tags": [{"key": "a\\", "value": ""}]}, 400, "key"),
        ("POST", "/logged-models", {"experiment_id": "0", "params": [{"key": "..", "value": ""}]}, 400, "key"),
        ("POST", "/logged-models", {"experiment_id": "0", "source_run_id": "a b"}, 400, "run"),
        ("GET", "/logged-models/m-none", {}, 404, "Logged model with ID 'm-none' not found."),
        ("PATCH", "/logged-models/m-none", {"status": 2}, 404, "not found"),
        ("PATCH", "/logged-models/m-none/tags", {"tags": []}, 404, "not found"),
        ("POST", "/logged-models/m-none/params", {"params": []}, 404, "not found"),
        ("DELETE", "/logged-models/m-none", {}, 404, "not found"),
        ("PATCH", model, {}, 400, "status"),
        ("PATCH", model, {"status": "DONE"}, 400, "Unknown model status"),
        ("PATCH", model, {"status": 9}, 400, "Unknown model status"),
        ("DELETE", f"{model}/tags/none", {}, 404, "No tag with key 'none'"),
        ("POST", f"{model}/params", {"params": [{"key": "depth", "value": "4"}]}, 400, "depth"),
        ("POST", "/logged-models/search", {}, 400, "experiment_ids"),
        ("POST", "/logged-models/search", {"experiment_ids": ["0"], "filter": "nonsense = 1"}, 400, "nonsense"),
        ("POST", "/logged-models/search", {"experiment_ids": ["0"], "max_results": -1}, 400, "max_results"),
        ("POST", "/logged-models/search", {"experiment_ids": ["0"], "datasets": [{}]}, 400, "dataset_name"),
        ("POST", "/logged-models/search", {"experiment_ids": ["0"], "order_by": [{}]}, 400, "field_name"),
        ("POST", "/logged-models/search", {"experiment_ids": ["0"], "page_token": "x"}, 400, "page token"),
        ("GET", f"{model}/artifacts/directories", {"artifact_directory_path": "../.."}, 400, "Invalid path"),
        ("GET", f"{model}/artifacts/files", {"artifact_file_path": "../../x"}, 400, ""),
        ("GET", f"{model}/artifacts/files", {"artifact_file_path": "x"}, 404, "No such artifact"),
        ("GET", f"{model}/artifacts/files", {}, 400, "artifact_file_path"),
    ]
    for method, path, body, status, said in cases:
        found, _, message = client.bad(method, path, body)
        assert found == status, (method, path, body, message)
        assert said in message
    for field in ("params.depth", "color"):
        body = {"experiment_ids": ["0"], "order_by": [{"field_name": field}]}
        assert "Invalid order by field name" in client.bad("POST", "/logged-models/search", body)[2]


def test_searches_of_logged_models(client: Client) -> None:
    ids = []
    for at, value in enumerate((0.9, 0.5, 0.7)):
        info = client.logged(name=f"m{at}", params=[{"key": "at", "value": str(at)}])
        on = {"dataset_name": "train" if at < 2 else "test", "dataset_digest": "d"}
        client.stores.logged_models.log_metrics(info["model_id"], [ModelMetric("auc", value, 0.0, at, **on)])
        ids.append(info["model_id"])

    def found(**asked: Any) -> list[str]:
        answer = client.good("POST", "/logged-models/search", {"experiment_ids": ["0", "99"], **asked})
        return [one["info"]["name"] for one in answer.get("models", [])]

    assert found() == ["m2", "m1", "m0"]
    assert found(filter="metrics.auc > 0.6") == ["m2", "m0"]
    assert found(filter="params.at = '1' OR name = 'm0'") == ["m1", "m0"]
    assert found(filter="status = 'PENDING' AND model_id IN ('" + ids[0] + "')") == ["m0"]
    assert found(datasets=[{"dataset_name": "train"}]) == ["m1", "m0"]
    assert found(datasets=[{"dataset_name": "train", "dataset_digest": "e"}]) == []
    assert found(order_by=[{"field_name": "metrics.auc", "ascending": False}]) == ["m0", "m2", "m1"]
    assert found(order_by=[{"field_name": "metrics.auc", "dataset_name": "test"}]) == ["m2", "m1", "m0"]
    assert found(order_by=[{"field_name": "creation_timestamp", "ascending": True}]) == ["m0", "m1", "m2"]
    first = client.good("POST", "/logged-models/search", {"experiment_ids": ["0"], "max_results": 2})
    assert found(max_results=2, page_token=first["next_page_token"]) == ["m0"]
    assert client.good("POST", "/logged-models/search", {"experiment_ids": ["99"]}) == {}


def test_the_files_of_a_logged_model_are_listed(client: Client) -> None:
    info = client.logged()
    place = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    client.put(f"{place}/MLmodel", b"12345")
    client.put(f"{place}/data/x", b"1")
    path = f"/logged-models/{info['model_id']}/artifacts/directories"
    assert client.good("GET", path, root="/ajax-api/2.0/mlflow") == {
        "root_uri": info["artifact_uri"],
        "files": [{"path": "MLmodel", "is_dir": False, "file_size": 5}, {"path": "data", "is_dir": True}],
    }
    below = client.good("GET", path, {"artifact_directory_path": "data"})
    assert below["files"] == [{"path": "data/x", "is_dir": False, "file_size": 1}]
    url = f"{client.url}/ajax-api/2.0/mlflow/logged-models/{info['model_id']}/artifacts/files?artifact_file_path=data/x"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert (answer.read(), answer.headers["x-content-type-options"]) == (b"1", "nosniff")


def test_params_of_logged_models_may_have_longer_keys_than_those_of_runs(client: Client) -> None:
    made = client.logged(params=[{"key": "k" * 500, "value": "v"}])
    shown = client.good("GET", f"/logged-models/{made['model_id']}")["model"]["data"]["params"]
    assert shown == [{"key": "k" * 500, "value": "v"}]
    status, answer = client.ask(
        "POST", "/logged-models", {"experiment_id": "0", "name": "m", "params": [{"key": "k" * 501, "value": "v"}]}
    )
    assert status == 400 and "maximum length of 500" in answer["message"]


def test_where_a_client_stands_is_listed_as_a_dot(client: Client) -> None:
    run = client.run()["run_id"]
    client.put(f"0/{run}/artifacts/a/b.txt", b"b")

    def listed(path: str) -> list[str]:
        return [one["path"] for one in client.good("GET", "/artifacts/list", {"run_id": run, "path": path})["files"]]

    assert listed(".") == listed("./.") == listed("") == ["a"]
    assert listed("./a/.") == listed("a") == ["a/b.txt"]
    status, _ = client.ask("GET", "/artifacts/list", {"run_id": run, "path": "./.."})
    assert status == 400
