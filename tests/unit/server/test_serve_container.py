from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, NotFound, PortTaken
from interlock.server.contracts.container import write_container
from interlock.server.contracts.environments import Batch, Environment, read_environment
from interlock.server.contracts.model_folders import RECORD
from interlock.server.listening import listen
from interlock.server.serve_container import container_app, run_container
from interlock.workspace import open_workspace
from tests.fitted import flight_delay, flights
from tests.unit.server.asgi import Reply, call
from tests.unit.server.contracts.conftest import Ask

ROW = {"wind": 9.0, "delay": None, "distance": 1.0, "carrier": "AA", "origin": "EWR"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an image of a real model."""
    output = tmp_path_factory.mktemp("container") / "image"
    with open_workspace("memory:") as workspace:
        version = workspace.registry.register("flights/delay", flight_delay(), example=flights())
        write_container(version, workspace.registry.package_folder(version), output)
    return output


def asking(app: Any) -> Ask:
    def ask(method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Reply:
        data = b"" if body is None else json.dumps(body).encode()
        named = [("content-length", str(len(data))), *(headers or {}).items()]
        return call(app, method, path, body=data, headers=named, host="made-up.internal")

    return ask


def test_a_folder_is_served_without_a_workspace(image: Path) -> None:
    environment = Environment(platform="container", model=image)
    with container_app(environment) as app:
        ask = asking(app)
        assert ask("GET", "/v1/models").json() == {"models": ["flights/delay"]}
        assert ask("GET", "/ping").status == 200
        reply = ask("POST", "/invocations", {"dataframe_records": [ROW]})
        assert (reply.json()["predictions"], reply.json()["model"]) == ([1], "model:flights/delay@1")
        feedback = [{"prediction_id": reply.json()["prediction_ids"][0], "truth": 1}]
        assert ask("POST", "/api/v1/feedback", feedback).json()["unknown"] == reply.json()["prediction_ids"]
        described = ask("GET", "/openapi.json").json()
        assert described["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["example"]


def test_a_folder_that_needs_our_own_kinds_is_taken_apart_first(image: Path, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    shutil.copytree(image / "model", folder)
    (folder / RECORD).unlink()
    (folder / "MLmodel").write_text("flavors:\n  onnx:\n    data: model.onnx\n")
    with container_app(Environment(platform="kserve", model=folder, name="delay")) as app:
        row = {name: [0.0 if value is None else value] for name, value in ROW.items()}
        reply = asking(app)("POST", "/v1/models/delay:predict", {"instances": [row, row]})
        assert (reply.status, len(reply.json()["predictions"])) == (200, 2)


def test_predictions_are_logged_to_a_folder_where_one_is_named(image: Path, tmp_path: Path) -> None:
    environment = Environment(
        platform="sagemaker", model=image / "model", log=tmp_path / "log", batch=Batch(payload_mb=9)
    )
    with container_app(environment, access_log=str(tmp_path / "access.log")) as app:
        reply = asking(app)("POST", "/invocations", {"dataframe_records": [ROW]})
        assert app.limits.body_bytes == 9 * 1_048_576
    assert "/invocations" in (tmp_path / "access.log").read_text()
    with open_workspace(tmp_path / "log", create=False) as workspace:
        assert workspace.stores.predictions.find(reply.json()["prediction_ids"][0])


def test_a_token_is_asked_for_where_one_is_set(image: Path) -> None:
    with container_app(Environment(platform="container", model=image), token="secret") as app:
        assert asking(app)("POST", "/invocations", {}).status == 401
        assert asking(app)("GET", "/ping").status == 200


def test_an_entry_script_needs_no_model(tmp_path: Path) -> None:
    path = tmp_path / "score.py"
    path.write_text("def init(): pass\ndef run(data): return data\n")
    with container_app(Environment(platform="azureml", entry_script=path, cors_origins=("example.com",))) as app:
        reply = asking(app)("POST", "/score", "x", headers={"origin": "https://example.com"})
        assert (reply.json(), reply.headers["access-control-allow-origin"]) == ('"x"', "https://example.com")
        assert asking(app)("POST", "/score", "x", headers={"origin": "https://other.com"}).status == 403


def test_several_models_come_by_calls(image: Path) -> None:
    environment = Environment(platform="sagemaker", is_multi_model=True, model=image)
    with container_app(environment) as app:
        ask = asking(app)
        assert ask("GET", "/ping").status == 200
        assert ask("POST", "/models", {"model_name": "a", "url": str(image / "model")}).status == 200
        assert ask("POST", "/models/a/invoke", {"dataframe_records": [ROW]}).json()["predictions"] == [1]


def test_a_folder_without_a_model_is_told_to_who_starts_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no model in"), container_app(Environment(platform="kserve", model=tmp_path)):
        pass
    with pytest.raises(NotFound, match="names no model"), container_app(Environment(platform="vertex")):
        pass
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    with pytest.raises(InvalidInput), container_app(Environment(platform="kserve", model=tmp_path)):
        pass


def test_a_taken_port_is_told_first(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken):
            run_container(Environment(platform="kserve", model=tmp_path, port=port), host="127.0.0.1", environ={})


def test_serve_without_arguments_serves_what_the_platform_asks_for(image: Path) -> None:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    told = {
        "AIP_HTTP_PORT": str(port),
        "AIP_STORAGE_URI": str(image / "model"),
        "AIP_HEALTH_ROUTE": "/healthy",
        "AIP_PREDICT_ROUTE": "/predict",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK_")}
    command = [sys.executable, "-m", "interlock.cli.main", "serve", "--host", "localhost", "--json"]
    with subprocess.Popen(command, env={**kept, **told}, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            assert url == f"http://127.0.0.1:{port}"
            with urllib.request.urlopen(f"{url}/healthy", timeout=10) as answer:
                assert answer.status == 200
            request = urllib.request.Request(f"{url}/predict", json.dumps({"instances": [ROW]}).encode())
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert json.loads(answer.read())["predictions"] == [1]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_environment_of_this_process_is_no_platforms() -> None:
    assert read_environment({"PATH": os.defpath}).platform == ""
