"""The main job on real data: it runs whole, and a killed one goes on where it stood."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.ports.run_store import RunFilter
from interlock.workspace import open_workspace
from tests.postgres import fresh_schema

pytestmark = pytest.mark.slow


def command(workspace: Path | str, *arguments: str) -> list[str]:
    where = str(workspace / ".interlock") if isinstance(workspace, Path) else workspace
    return [sys.executable, "-m", "interlock.cli.main", "--dir", where, *arguments]


def finish(workspace: Path | str) -> dict[str, Any]:
    done = subprocess.run(
        command(workspace, "demo", "--quick", "--json"), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, finish(folder)


def test_the_quick_demo_tells_the_whole_story(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, outcome = whole
    assert outcome["predictions"] == 24_861
    assert outcome["truths"] == 23_353
    assert outcome["reports"] >= 7
    assert outcome["alerts"] >= 1
    assert 0.6 < outcome["leak"]["honest"] < outcome["leak"]["naive"] < 0.9
    assert [month["month"] for month in outcome["months"]] == ["2013-02"]
    assert len(outcome["refusals"]) >= 1
    with open_workspace(folder) as workspace:
        snapshot = workspace.stores.datasets.get("weather")
        assert snapshot.violations == {"wind_speed in range": 1}
        (storm,) = workspace.data.quarantine(snapshot.ref).to_pylist()  # type: ignore[union-attr]
        assert storm["wind_speed"] > 1000
        assert storm["broken_rules"] == "wind_speed in range"
        edited, again, first = workspace.stores.runs.runs(where=RunFilter(kind="pipeline"), limit=3)
        reasons = {step.step: step.reason for step in workspace.pipelines.outcomes(edited.id)}
        assert reasons["train"].startswith("re-ran: function `flight_delay.classifier` changed (flight_delay.py:")
        assert reasons["evaluate"] == "re-ran: input `model` changed"
        assert reasons["labelled"].startswith("reused: ")
        assert all(step.reused for step in workspace.pipelines.outcomes(again.id))
        assert not any(step.reused for step in workspace.pipelines.outcomes(first.id))
        assert "code/uncommitted.diff" in {entry.path for entry in workspace.stores.runs.artifacts(edited.id)}
        trace = workspace.loop.trace(outcome["example"])
        kinds = {step.ref.partition(":")[0] for step in trace.back}
        assert {"deployment", "model", "run", "dataset", "feature", "verdict"} <= kinds
        assert any("equal to what was served" in step.title for step in trace.back)
        forward = {step.ref.partition(":")[0] for step in workspace.loop.trace("dataset:flights").forward}
        assert {"run", "model", "endpoint", "verdict"} <= forward
        assert {station.id for station in workspace.loop.stations() if not station.count} == set()


def test_a_second_demo_finds_everything_done(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, first = whole
    copy = shutil.copytree(folder, tmp_path / "copy")  # the other tests look at what one demo left behind
    again = finish(copy)
    assert again["months"] == first["months"]
    assert (again["predictions"], again["truths"]) == (first["predictions"], first["truths"])


def test_the_whole_workspace_verifies(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = whole
    done = subprocess.run(command(folder, "verify"), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_killed_demo_goes_on_and_loses_nothing(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    _, expected = whole
    moments = random.Random(os.environ.get("PYTEST_RANDOMLY_SEED", "7"))
    for _ in range(4):
        child = subprocess.Popen(
            command(tmp_path, "demo", "--quick"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(1.5, 7))
        child.send_signal(signal.SIGKILL)
        child.wait()
        with open_workspace(tmp_path) as workspace:
            assert workspace.verify() == []
    outcome = finish(tmp_path)
    assert outcome["predictions"] == expected["predictions"]
    assert outcome["truths"] == expected["truths"]
    for found, wanted in zip(outcome["months"], expected["months"], strict=True):
        assert found["flights"] == wanted["flights"]
        assert found["loop"] == pytest.approx(wanted["loop"], abs=1e-9)
        assert found["never"] == pytest.approx(wanted["never"], abs=1e-9)
    with open_workspace(tmp_path) as workspace:
        assert workspace.verify() == []
        assert [run for run in workspace.stores.runs.runs(limit=1000) if run.status == "running"] == []


@pytest.fixture
def over_http(tmp_path: Path) -> Iterator[str]:
    """Run `interlock up` on a new folder; its own loop must keep out of the replay's way."""
    server = subprocess.Popen(command(tmp_path, "up", "--port", "0", "--json"), stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    yield json.loads(server.stdout.readline())["url"]
    server.terminate()
    server.communicate(timeout=60)


@pytest.mark.parametrize("kind", ["postgres", "http"])
def test_the_same_story_on_a_server(
    kind: str, whole: tuple[Path, dict[str, Any]], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "postgres":
        with fresh_schema(request.getfixturevalue("postgres_uri")) as uri:
            outcome = finish(uri)
    else:
        outcome = finish(request.getfixturevalue("over_http"))
    _, expected = whole
    for key in ("predictions", "truths", "refusals", "promotions", "alerts", "reports"):
        assert outcome[key] == expected[key], key
    for found, wanted in zip(outcome["months"], expected["months"], strict=True):
        assert found["loop"] == pytest.approx(wanted["loop"], abs=1e-9)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from interlock.core.errors import MissingExtra
    from interlock.demo import source

    monkeypatch.setattr(source, "PACKAGE", "no-such-distribution")
    with pytest.raises(MissingExtra) as caught:
        source.read_planes()
    assert caught.value.fix == "pip install 'interlock[demo]'"
