"""A training script logs through the spool while its server is killed, the spool is killed, and both come back."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from interlock.server.serve import listen

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
STEPS = 600


class Process:
    """A command of ours in a process of its own, which can be killed and started again at the same port."""

    def __init__(self, *words: str, folder: Path) -> None:
        with contextlib.closing(listen("127.0.0.1", 0)) as probe:
            port = str(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "interlock.cli.main", "--json", "--dir", str(folder), *words]
        self._command += ["--port", port]
        self._running: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._running = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._running.stdout is not None
        assert json.loads(self._running.stdout.readline())["url"] == self.url

    def end(self, *, kill: bool) -> None:
        """End it, with or without a word."""
        if self._running is not None:
            end = self._running.kill if kill else self._running.terminate
            end()
            with self._running:
                self._running.wait(timeout=30)
            self._running = None


class Client:
    """What a tracking client does: one connection, and the same request again while nothing answers."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, target: str, body: bytes = b"", media_type: str = "application/json") -> Any:
        """Make a request until it is answered; it has to succeed."""
        for _ in range(600):
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection(self._address, timeout=60)
                self._connection.request(method, target, body, {"content-type": media_type} if body else {})
                reply = self._connection.getresponse()
                said = reply.read()
            except (OSError, http.client.HTTPException):
                self.close()
                time.sleep(0.05)
                continue
            assert reply.status == 200, said
            return json.loads(said or b"{}")
        raise AssertionError("nothing answered")

    def post(self, path: str, **fields: Any) -> Any:
        """Make a call of MLflow's API."""
        return self.ask("POST", f"{API}/{path}", json.dumps(fields).encode())

    def get(self, target: str) -> Any:
        """Read by MLflow's API."""
        return self.ask("GET", f"{API}/{target}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    process = Process("up", folder=tmp_path / "workspace")
    process.start()
    yield process
    process.end(kill=False)


@pytest.fixture
def spool(tmp_path: Path, server: Process) -> Iterator[Process]:
    process = Process("spool", "--to", server.url, folder=tmp_path / "spool")
    process.start()
    yield process
    process.end(kill=False)


def until(done: Callable[[], object]) -> None:
    """Wait for something that happens in another process."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def log(client: Client, run_id: str, steps: range) -> None:
    """Log points one by one, as a training loop does."""
    for step in steps:
        client.post("runs/log-metric", run_id=run_id, key="loss", value=step / 8, timestamp=1_000 + step, step=step)


def new_run(client: Client, name: str, experiment: str, **fields: Any) -> str:
    """Create a run."""
    stamped = {"run_name": name, "experiment_id": experiment, "start_time": time.time_ns() // 1_000_000, **fields}
    made: str = client.post("runs/create", **stamped)["run"]["info"]["run_id"]
    return made


def steps_of(client: Client, run_id: str) -> list[int]:
    """Return the steps that a metric has at the server, in order."""
    points = client.get(f"metrics/get-history?run_id={run_id}&metric_key=loss&max_results=25000")["metrics"]
    assert all(point["value"] == point["step"] / 8 for point in points)
    return sorted(point["step"] for point in points)


def test_an_outage_loses_and_doubles_nothing(server: Process, spool: Process, tmp_path: Path) -> None:
    client = Client(spool.url)
    experiment = client.post("experiments/create", name="before")["experiment_id"]
    first = new_run(client, "first", experiment)
    log(client, first, range(100))
    server.end(kill=True)
    killer = threading.Timer(0.1, lambda: (spool.end(kill=True), spool.start()))
    killer.start()
    log(client, first, range(100, STEPS))
    killer.join()
    data = os.urandom(3_000_000)
    client.ask("PUT", f"{ARTIFACTS}/{experiment}/{first}/artifacts/model.bin", data, "application/octet-stream")
    client.post("runs/update", run_id=first, status="FINISHED", end_time=5)
    made = client.post("experiments/create", name="during")["experiment_id"]
    second = new_run(client, "second", made, tags=[{"key": "mlflow.parentRunId", "value": first}])
    log(client, second, range(50))
    client.post("runs/log-batch", run_id=second, params=[{"key": "depth", "value": "3"}])
    assert client.get(f"runs/get?run_id={second}")["run"]["data"]["params"] == [{"key": "depth", "value": "3"}]
    spool.end(kill=True)
    spool.start()
    server.start()
    until(lambda: client.ask("GET", "/interlock/spool")["waiting"] == 0)
    assert client.ask("GET", "/interlock/spool")["refused"] == 0
    direct = Client(server.url)
    found = direct.post("runs/search", experiment_ids=[experiment, _experiment(direct, "during")])["runs"]
    runs = {run["info"]["run_name"]: run for run in found}
    assert sorted(run["info"]["run_name"] for run in found) == ["first", "second"]
    assert steps_of(direct, first) == list(range(STEPS))
    assert steps_of(direct, runs["second"]["info"]["run_id"]) == list(range(50))
    assert steps_of(client, second) == list(range(50)), "the id that the client was given is still good"
    assert runs["first"]["info"]["status"] == "FINISHED"
    assert runs["second"]["data"]["params"] == [{"key": "depth", "value": "3"}]
    listed = direct.ask("GET", f"{ARTIFACTS}?path={experiment}/{first}/artifacts")["files"]
    assert [(file["path"], int(file["file_size"])) for file in listed] == [("model.bin", len(data))]
    client.close()
    direct.close()


def _experiment(client: Client, name: str) -> str:
    found: str = client.get(f"experiments/get-by-name?experiment_name={name}")["experiment"]["experiment_id"]
    return found


def test_a_spool_that_is_killed_while_it_catches_up_doubles_nothing(server: Process, spool: Process) -> None:
    client = Client(spool.url)
    server.end(kill=True)
    runs = []
    for number in range(12):
        run_id = new_run(client, f"run {number}", "0")
        model = client.post("logged-models", experiment_id="0", name=f"model {number}", source_run_id=run_id)
        log(client, run_id, range(20))
        outputs = [{"model_id": model["model"]["info"]["model_id"], "step": 0}]
        client.post("runs/outputs", run_id=run_id, models=outputs)
        runs.append(run_id)
    server.start()
    for pause_s in (0.0, 0.02, 0.05, 0.1, 0.2):
        time.sleep(pause_s)
        spool.end(kill=True)
        spool.start()
    until(lambda: client.ask("GET", "/interlock/spool")["waiting"] == 0)
    direct = Client(server.url)
    found = direct.post("runs/search", experiment_ids=["0"])["runs"]
    assert sorted(run["info"]["run_name"] for run in found) == sorted(f"run {number}" for number in range(12))
    models = direct.post("logged-models/search", experiment_ids=["0"])["models"]
    assert sorted(model["info"]["name"] for model in models) == sorted(f"model {number}" for number in range(12))
    for run in found:
        assert steps_of(direct, run["info"]["run_id"]) == list(range(20))
        assert len(run["outputs"]["model_outputs"]) == 1
    assert client.ask("GET", "/interlock/spool")["refused"] == 0
    client.close()
    direct.close()
