"""An MLflow store brought over through a server's REST protocol: ours, which another copy was imported into."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import SystemClock
from interlock.core.errors import Corrupt, InterlockError, InvalidInput, NotFound, Unauthorised, Unavailable
from interlock.core.sealing import Seal
from interlock.loop.importing.mlflow_http import MlflowHttp
from interlock.loop.importing.mlflow_records import foreign_experiment
from interlock.loop.importing.mlflow_sql import MlflowSql
from interlock.loop.importing.records import FROM, NUMBER, STATE
from interlock.loop.importing.writing import import_source
from interlock.ports.stores import Stores
from interlock.server.guard import Guard
from interlock.server.mlflow.surface import ERROR_SHAPES, mlflow_routes
from interlock.server.mlflow.wire import Ground
from interlock.server.router import Router
from interlock.server.serve import listen, serving
from interlock.server.workers import Workers
from tests.unit.loop.importing.logged import MODEL_ID, add_logged_model

SAMPLES = Path(__file__).parents[1] / "samples"
OURS = {FROM, STATE, NUMBER}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with zipfile.ZipFile(SAMPLES / "mlflow-3.17.2-sqlite.zip") as packed:
        packed.extractall(tmp_path)
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((tmp_path / "mlflow.sql").read_text().replace("/recorded", str(tmp_path)))
    add_logged_model(path)
    return path


@pytest.fixture
def first(database: Path) -> Stores:
    """Stores into which the recorded database was imported."""
    stores = memory_stores()
    with closing(MlflowSql(f"sqlite:///{database}")) as source:
        assert import_source(source, stores).is_whole
    return stores


@pytest.fixture
def served(first: Stores) -> Iterator[str]:
    with ExitStack() as exits:
        workers = Workers()
        exits.callback(workers.close)
        ground = Ground(stores=first, clock=SystemClock(), workers=workers, seal=Seal(lambda: [bytes(32)]))
        router = Router(mlflow_routes(ground), guard=Guard(), shapes=ERROR_SHAPES)
        yield exits.enter_context(serving(router, listen("127.0.0.1", 0)))


def said(tags: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in OURS}


def content(stores: Stores) -> dict[str, Any]:
    """Return what a person would compare: all that was logged, but for where it came from and when."""
    found: dict[str, Any] = {}
    for run in stores.runs.search(lifecycle="all").runs:
        series = {key: repr(stores.runs.history(run.id, key)) for key in run.metrics}
        files = [(entry.path, entry.digest) for entry in stores.runs.artifacts(run.id)]
        found[run.id] = (run.experiment, run.name, run.status, run.started_at, run.ended_at, run.params, run.parent)
        found[run.id] += (said(run.tags), run.deleted_at is None, run.datasets, run.models, series, sorted(files))
    for model in stores.catalog.search().models:
        found[model.name] = (model.description, said(model.tags), model.aliases)
        for version in stores.models.versions(model.name):
            notes = stores.catalog.notes(model.name, version.version)
            files = sorted((file.path, file.digest) for file in version.files)
            found[version.ref] = (files, version.run, notes.stage, notes.description, said(notes.tags))
    one = stores.logged_models.get(MODEL_ID)
    found[one.id] = (one.name, one.experiment, one.run, one.kind, one.status, one.params, said(one.tags), one.metrics)
    found["files"] = sorted((entry.path, entry.digest) for entry in stores.files.files(f"models/{MODEL_ID}"))
    return found


def test_everything_arrives(first: Stores, served: str) -> None:
    second = memory_stores()
    report = import_source(MlflowHttp(served, environ={}), second)
    assert report.is_whole, report.problems
    here, there = content(second), content(first)
    assert set(here) == set(there)
    for key, value in there.items():
        assert here[key] == value, key
    gone = second.experiments.find("given up")
    assert gone is not None and gone.deleted_at is not None


def test_a_second_import_writes_nothing(served: str) -> None:
    second = memory_stores()
    import_source(MlflowHttp(served, environ={}), second)
    report = import_source(MlflowHttp(served, environ={}), second)
    assert sum(one.written for one in report.experiments) == sum(one.written for one in report.models) == 0


def test_prompts_and_files_at_proxied_addresses(first: Stores, served: str) -> None:
    client = MlflowHttp(served, environ={})
    client._post("/api/2.0/mlflow/registered-models/create", prompt("greeting"))
    text = {"key": "mlflow.prompt.text", "value": "Say hello"}
    version = {"name": "greeting", "source": "dummy-source"}
    marks = [*prompt("greeting")["tags"], text]
    client._post("/api/2.0/mlflow/model-versions/create", {**version, "tags": marks})
    (run,) = [one for one in first.runs.search().runs if one.name == "parent"]
    experiment = first.experiments.find(run.experiment)
    assert experiment is not None
    client._post("/api/2.0/mlflow/registered-models/create", {"name": "from files"})
    source = f"mlflow-artifacts:/{experiment.id}/{run.id}/artifacts"
    client._post("/api/2.0/mlflow/model-versions/create", {"name": "from files", "source": source, "run_id": run.id})
    second = memory_stores()
    report = import_source(client, second)
    assert report.is_whole, report.problems
    assert second.catalog.notes("greeting", 1).tags["mlflow.prompt.text"] == "Say hello"
    assert len(second.models.get("from files", version=1).files) == 3
    listed = {file.path: file.read for file in client._files_at(source)[0]}
    assert b"".join(listed["notes/a b.txt"]()) == b"hello"


def prompt(name: str) -> dict[str, Any]:
    return {"name": name, "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}


def test_files_that_a_server_does_not_give_out(served: str) -> None:
    files, left_out = MlflowHttp(served, environ={})._files_at("s3://user:secret@bucket/x")
    assert files == () and len(left_out) == 1 and "secret" not in left_out[0]


@pytest.fixture
def answering() -> Iterator[Callable[[int, bytes], tuple[str, list[str]]]]:
    """A server that gives one answer to everything, and the authorisations that it was shown."""
    with ExitStack() as exits:

        def start(status: int, body: bytes) -> tuple[str, list[str]]:
            shown: list[str] = []

            class Handler(BaseHTTPRequestHandler):
                def do_POST(self) -> None:
                    self.rfile.read(int(self.headers.get("content-length", 0)))
                    shown.append(self.headers.get("authorization", ""))
                    self.send_response(status)
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

                do_GET = do_POST  # noqa: N815 (the name the standard library calls)

                def log_message(self, format: str, *args: Any) -> None:
                    pass

            server = HTTPServer(("127.0.0.1", 0), Handler)
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()

            def stop() -> None:
                server.shutdown()
                thread.join()
                server.server_close()

            exits.callback(stop)
            return f"http://127.0.0.1:{server.server_port}", shown

        yield start


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b"who are you", Unauthorised),
        (403, b"not you", Unauthorised),
        (404, b"what", NotFound),
        (500, b"oh", Unavailable),
        (200, b"<html>", Corrupt),
        (200, b"[1]", Corrupt),
    ],
)
def test_answers_that_are_none(
    answering: Callable[[int, bytes], tuple[str, list[str]]], status: int, body: bytes, error: type[InterlockError]
) -> None:
    url, _ = answering(status, body)
    with pytest.raises(error):
        list(MlflowHttp(url, environ={}).experiments())


def test_a_server_before_logged_models(answering: Callable[[int, bytes], tuple[str, list[str]]]) -> None:
    url, _ = answering(404, b"{}")
    experiment = foreign_experiment("1", "old", tags={}, location="", deleted=False)
    assert list(MlflowHttp(url, environ={}).logged_models(experiment)) == []


def test_who_asks(answering: Callable[[int, bytes], tuple[str, list[str]]]) -> None:
    url, shown = answering(200, json.dumps({}).encode())
    address = url.replace("//", "//ada:pass%20word@")
    named = MlflowHttp(address, environ={"MLFLOW_TRACKING_TOKEN": "unused"})
    assert list(named.experiments()) == [] and named.uri == url
    list(MlflowHttp(url, environ={"MLFLOW_TRACKING_TOKEN": "t"}).experiments())
    list(MlflowHttp(url, environ={}).experiments())
    assert shown == ["Basic YWRhOnBhc3Mgd29yZA==", "Bearer t", ""]


def test_nobody_there() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        list(MlflowHttp("http://127.0.0.1:1", environ={}).experiments())
    with pytest.raises(InvalidInput):
        list(MlflowHttp("ftp://127.0.0.1", environ={}).experiments())
