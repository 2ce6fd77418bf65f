"""The unmodified MLflow client, against this server and nothing but its address changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from interlock.workspace import Workspace, open_workspace
from tests.journeys.lived_in import served
from tests.postgres import fresh_schema

TRIP = Path(__file__).with_name("mlflow_trip.py")


@pytest.fixture(scope="module", params=["folder", "postgres"])
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("client") / ".interlock"
    with ExitStack() as exits:
        uri = str(folder)
        if request.param == "postgres":
            uri = exits.enter_context(fresh_schema(request.getfixturevalue("postgres_uri")))
        opened = exits.enter_context(open_workspace(uri))
        opened.stores.experiments.ensure("Default")
        yield opened


@pytest.fixture(scope="module")
def seen(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "5000000",
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "5242880",
        "MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE": "5000000",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    with served(workspace) as url:
        done = subprocess.run(
            [sys.executable, str(TRIP), url],
            capture_output=True,
            text=True,
            timeout=240,
            env=environment,
            cwd=tmp_path_factory.mktemp("trip"),
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_run_is_logged_and_read_back(seen: dict[str, Any]) -> None:
    assert seen["status"] == "FINISHED"
    assert seen["params"] == {"depth": "3", "kind": "tree"}
    assert seen["metrics"] == {"inf": "inf", "loss": "0.05", "nan": "nan"}
    assert seen["team"] == "ops"
    assert seen["history"] == list(range(20))
    assert seen["files"] == ["d.json", "notes"]
    assert seen["text"] == "hello"


def test_searches_take_the_grammar_and_more(seen: dict[str, Any]) -> None:
    assert (seen["found"], seen["or"], seen["children"]) == (1, 2, 1)


def test_refusals_have_the_codes_that_clients_know(seen: dict[str, Any]) -> None:
    assert seen["refused param"] == "INVALID_PARAMETER_VALUE"
    assert seen["refused run"] == "RESOURCE_DOES_NOT_EXIST"
    assert seen["refused filter"] == "INVALID_PARAMETER_VALUE"
    assert seen["refused experiment"] == "RESOURCE_ALREADY_EXISTS"


def test_a_large_file_goes_in_parts(seen: dict[str, Any], workspace: Workspace) -> None:
    assert seen["large file is back"]
    assert workspace.stores.files.files("uploads") == []


def test_models_are_registered_and_found_by_alias(seen: dict[str, Any]) -> None:
    assert (seen["champion"], seen["models"], seen["versions"]) == ("1", ["delay model"], ["1"])
    assert seen["version files"] == ["hello.txt"]


def test_autologging_and_traces_arrive(seen: dict[str, Any]) -> None:
    assert seen["autolog"] == ["300", True]
    assert seen["trace"] == ["double"]


def test_the_same_runs_are_there_for_everybody_else(seen: dict[str, Any], workspace: Workspace) -> None:
    found = workspace.stores.runs.search(experiments=("Flight delay",)).runs
    assert {run.name for run in found} == {"first", "inner", "auto"}
    (first,) = [run for run in found if run.name == "first"]
    assert first.params == {"depth": "3", "kind": "tree"}
    assert first.metrics["loss"].count == 20
    assert workspace.verify() == []
