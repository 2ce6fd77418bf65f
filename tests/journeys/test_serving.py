"""A registered model in a process of its own: what it answers, what it logs, what it does not load."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.ports.deployment_store import Deployment
from interlock.server.grpc_oip.messages import SERVICE, message_types
from interlock.workspace import open_workspace

HEAVY = ("sklearn", "scipy", "pandas", "skl2onnx", "duckdb", "optuna")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two versions of a model and an endpoint for the first."""
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2))
    y = (x[:, 0] + 0.1 * rng.normal(size=300) > 0).astype(int)
    place = tmp_path_factory.mktemp("serving") / "ws"
    with open_workspace(place) as workspace:
        frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1]})
        for strength in (1.0, 0.01):
            model = LogisticRegression(C=strength).fit(frame, y)
            workspace.registry.register("delay", model, example=frame.head(100))
        workspace.stores.deployments.route("delay", [Deployment("model:delay@1", "live", 1.0)])
    return place


@contextmanager
def running(*words: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Start a server; give its address and its process id."""
    command = [sys.executable, "-m", "interlock.cli.main", "--json", "--dir", str(folder), *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"], process.pid
        finally:
            process.terminate()
    assert process.returncode == 0


def ask(url: str, *, prediction_id: str, a: float = 2.0) -> dict[str, Any]:
    body = {
        "inputs": [
            {"name": "a", "shape": [1], "datatype": "FP64", "data": [a]},
            {"name": "b", "shape": [1], "datatype": "FP64", "data": [0.0]},
        ],
        "parameters": {"prediction_ids": prediction_id},
    }
    request = urllib.request.Request(
        url + "/v2/models/delay/infer", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def probability(answer: dict[str, Any]) -> float:
    return float(next(output["data"][0] for output in answer["outputs"] if output["name"] == "probability"))


def test_an_endpoint_answers_logs_and_follows_its_routing(folder: Path) -> None:
    with running("serve", "endpoint:delay", folder=folder) as (url, _):
        first = ask(url, prediction_id="one")
        assert first["model_version"] == "1" and probability(first) > 0.5
        with open_workspace(folder) as workspace:
            workspace.stores.deployments.route("delay", [Deployment("model:delay@2", "live", 1.0)])
        request = urllib.request.Request(url + "/v2/repository/models/delay/load", b"{}", method="POST")
        urllib.request.urlopen(request, timeout=30).close()
        assert ask(url, prediction_id="two")["model_version"] == "2"
    with open_workspace(folder) as workspace:
        found = [workspace.stores.predictions.find(name)[0].prediction for name in ("one", "two")]
        assert [each.model for each in found] == ["model:delay@1", "model:delay@2"]
        assert found[0].inputs == (2.0, 0.0)
        workspace.stores.deployments.route("delay", [Deployment("model:delay@1", "live", 1.0)])


def test_a_version_is_served_as_it_is(folder: Path) -> None:
    with open_workspace(folder) as workspace:
        before = workspace.stores.deployments.get("delay").revision
    with running("serve", "model:delay@2", folder=folder) as (url, _):
        assert ask(url, prediction_id="three")["model_version"] == "2"
    with open_workspace(folder) as workspace:
        assert workspace.stores.deployments.get("delay").revision == before


def test_the_serving_process_never_loads_what_training_needs(folder: Path) -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not show what a process has loaded")
    # without a supervisor, whose process id would be told
    with running("serve", "endpoint:delay", "--workers", "0", folder=folder) as (url, pid):
        ask(url, prediction_id="four")
        loaded = Path(f"/proc/{pid}/maps").read_text()
    assert "onnxruntime" in loaded
    assert [name for name in HEAVY if f"/{name}" in loaded] == []


def wait_until_ready(url: str) -> None:
    """Wait for the models: the platform answers before they are loaded, and says so."""
    for _ in range(600):
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(url + "/v2/health/ready", timeout=30):
            return
        time.sleep(0.05)
    raise AssertionError("the models were not loaded in 30 s")


def test_the_platform_answers_predictions_too(folder: Path) -> None:
    with running("up", folder=folder) as (url, _):
        wait_until_ready(url)
        assert probability(ask(url, prediction_id="five", a=-2.0)) < 0.5
        with urllib.request.urlopen(url + "/api/v1/endpoints/delay", timeout=30) as answer:
            assert json.load(answer)["endpoint"]["name"] == "delay"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url + "/v2/models/other/infer", data=b"{}", timeout=30)
        with refused.value:
            assert refused.value.code == 404


@contextmanager
def answering_grpc(*words: str, folder: Path, token: str = "") -> Iterator[str]:
    """Start a server that answers gRPC; give the address of that."""
    command = [sys.executable, "-m", "interlock.cli.main", "--json", "--dir", str(folder), *words]
    command += ["--port", "0", "--grpc-port", "0"]
    environ = {**os.environ, "INTERLOCK_TOKEN": token}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["grpc"]
        finally:
            process.terminate()
    assert process.returncode == 0


def ask_grpc(address: str, a: float, *, token: str = "") -> float:
    """Ask over a connection of its own."""
    import grpc

    types = message_types()
    request = types["ModelInferRequest"](model_name="delay")
    for name, value in (("a", a), ("b", 0.0)):
        request.inputs.add(name=name, datatype="FP64", shape=[1], contents={"fp64_contents": [value]})
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=types["ModelInferRequest"].SerializeToString,
            response_deserializer=types["ModelInferResponse"].FromString,
        )
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        reply = call(request, timeout=30, wait_for_ready=True, metadata=metadata)
    found = {one.name: one.contents.fp64_contents for one in reply.outputs}
    return float(found["probability"][0])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_grpc_is_answered_by_one_process_or_by_several_on_one_port(folder: Path, workers: str) -> None:
    pytest.importorskip("grpc")
    with answering_grpc("serve", "endpoint:delay", "--workers", workers, folder=folder) as address:
        shares = [ask_grpc(address, 2.0) for _ in range(6)]
    assert min(shares) == max(shares) > 0.5


def test_the_platform_answers_grpc_too_for_those_with_its_token(folder: Path) -> None:
    grpc = pytest.importorskip("grpc")
    with answering_grpc("up", folder=folder, token="secret") as address:
        with pytest.raises(grpc.RpcError) as error:
            ask_grpc(address, -2.0)
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
        for _ in range(600):
            try:
                share = ask_grpc(address, -2.0, token="secret")
                break
            except grpc.RpcError as unready:
                # the platform answers before the models are loaded, and says so
                assert unready.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND)
                time.sleep(0.05)
        assert share < 0.5
