"""Imports as a person meets them: killed in the middle and repeated, from a server, with their exit codes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from interlock.workspace import open_workspace

COMMAND = [sys.executable, "-m", "interlock.cli.main"]
SAMPLES = Path(__file__).parents[1] / "samples"
RUNS, POINTS, FILES = 60, 300, 3


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The recorded MLflow database, with more runs in the experiment `many`."""
    folder = tmp_path / "mlflow"
    with zipfile.ZipFile(SAMPLES / "mlflow-3.17.2-sqlite.zip") as packed:
        packed.extractall(folder)
    path = folder / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((folder / "mlflow.sql").read_text().replace("/recorded", str(folder)))
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (77, 'many', 'active')"
        )
        for number in range(RUNS):
            run_id = f"{number:032x}"
            files = folder / "artifacts" / run_id
            files.mkdir(parents=True)
            for file in range(FILES):
                (files / f"file-{file}.bin").write_bytes(os.urandom(20_000))
            connection.execute(
                "INSERT INTO runs (run_uuid, name, status, start_time, end_time, lifecycle_stage, artifact_uri,"
                " experiment_id, user_id) VALUES (?, ?, 'FINISHED', ?, ?, 'active', ?, 77, 'ada')",
                [run_id, f"run {number}", 1_700_000_000_000 + number, 1_700_000_100_000, str(files)],
            )
            connection.executemany(
                "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('loss', ?, ?, ?, ?, 0)",
                [(1 / (step + 1), 1_700_000_000_000 + step, run_id, step) for step in range(POINTS)],
            )
        connection.commit()
    return path


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("INTERLOCK_")}


def interlock(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, cwd=cwd, env=environment(), timeout=120, check=False
    )


def brought(folder: Path) -> int:
    """Return how many runs are there, without opening the workspace for writing."""
    path = folder / "metadata.db"
    if not path.is_file():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def content(folder: Path) -> list[Any]:
    """Return what an import wrote, without the times at which it did."""
    with open_workspace(folder, create=False) as workspace:
        stores = workspace.stores
        runs = sorted(stores.runs.search(lifecycle="all").runs, key=lambda one: one.id)
        found: list[Any] = [
            (run.id, run.name, run.status, run.params, run.tags, repr(run.metrics), stores.runs.artifacts(run.id))
            for run in runs
        ]
        for model in stores.catalog.search().models:
            found.append((model.name, model.tags, model.aliases, model.versions))
            if model.versions:
                found += [(one.version, one.files, one.tags) for one in stores.models.versions(model.name)]
        return found


def test_killed_again_and_again_it_ends_as_if_it_had_not_been(store: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{store}"
    assert interlock("--dir", "whole", "import", "mlflow", uri, cwd=tmp_path).returncode == 0
    killed = 0
    for stop_at in (1, 7, 20, 35, 50):
        words = [*COMMAND, "--dir", "broken", "import", "mlflow", uri]
        process = subprocess.Popen(
            words, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and brought(tmp_path / "broken") < stop_at:
            time.sleep(0.001)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait(timeout=60)
    assert killed >= 3
    last = interlock("--dir", "broken", "--json", "import", "mlflow", uri, cwd=tmp_path)
    assert last.returncode == 0, last.stderr
    report = json.loads(last.stdout)
    counts = {one["experiment"]: one for one in report["experiments"]}
    assert counts["many"]["runs"] == counts["many"]["written"] + counts["many"]["unchanged"] == RUNS
    assert content(tmp_path / "broken") == content(tmp_path / "whole")
    with open_workspace(tmp_path / "broken", create=False) as workspace:
        assert workspace.verify() == []
        assert {run.metrics["loss"].count for run in workspace.stores.runs.runs() if run.experiment == "many"} == {
            POINTS
        }


def test_what_cannot_be_brought_is_told_and_exits_with_1(store: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("UPDATE runs SET artifact_uri = 's3://bucket/x' WHERE run_uuid = ?", [f"{3:032x}"])
        connection.commit()
    done = interlock("--dir", "here", "import", "mlflow", f"sqlite:///{store}", cwd=tmp_path)
    assert done.returncode == 1
    assert "s3://bucket/x" in done.stdout and f"run {3:032x}" in done.stdout


def test_addresses_that_lead_nowhere(tmp_path: Path) -> None:
    for source, code in (("ftp://x/y", 2), ("sqlite:///none.db", 3), ("http://127.0.0.1:9", 5), (".", 2)):
        done = interlock("--dir", "here", "import", "mlflow", source, cwd=tmp_path)
        assert (done.returncode, done.stderr.startswith("error:")) == (code, True), done.stderr


def test_runs_are_exported_copied_and_moved(store: Path, tmp_path: Path) -> None:
    interlock("--dir", "here", "import", "mlflow", f"sqlite:///{store}", cwd=tmp_path)
    assert interlock("--dir", "here", "export", "out", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out" / "runs.parquet").is_file()
    assert len(list((tmp_path / "out" / "artifacts" / f"{1:032x}").iterdir())) == FILES
    first, second = f"{1:032x}", f"{2:032x}"
    copied = interlock("--dir", "here", "--json", "run", "copy", first, "--experiment", "kept", cwd=tmp_path)
    assert json.loads(copied.stdout)[0]["experiment"] == "kept"
    moved = interlock("--dir", "here", "run", "move", first, second, "--to", "there", cwd=tmp_path)
    assert moved.returncode == 0, moved.stderr
    listed = interlock("--dir", "there", "--json", "run", "list", cwd=tmp_path)
    assert {one["id"] for one in json.loads(listed.stdout)} == {first, second}
