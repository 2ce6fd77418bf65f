"""Runs one area of MLflow's tests against one server and returns what came of every test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import interlock

from .areas import Area

SCRIPTS = Path(__file__).parents[1]
STOP_TIMEOUT_S = 60.0
NEVER_SET = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "GITHUB_ACTIONS", "CI", "UV")
Outcomes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Machine:
    """Where the tests are, the Python they run in, where their output goes, and the longest one may take."""

    python: Path
    tests: Path
    logs: Path
    timeout_s: int = 120


def run(
    area: Area, target: str, machine: Machine, *, only: Collection[str] | None = None, keyword: str = ""
) -> Outcomes:
    """Run an area against a server; return each test's outcome by its id."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        out = Path(folder) / "outcomes.jsonl"
        out.touch()
        settings = {
            "target": target,
            "client": area.client,
            "folder": folder,
            "out": str(out),
            "only": sorted(only) if only is not None else None,
            # the very package that is imported here, whatever else the Python has installed
            "interlock": {"python": sys.executable, "path": str(Path(interlock.__file__).parents[1])},
        }
        kept = {name: value for name, value in os.environ.items() if name not in NEVER_SET}
        environment = {
            **kept,
            "MLFLOW_CONFORMANCE": json.dumps(settings),
            "PYTHONPATH": str(SCRIPTS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": f"{machine.python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "DO_NOT_TRACK": "true",
        }
        command = [str(machine.python), "-m", "pytest", "-p", "mlflow_conformance.plugin", "-p", "no:cacheprovider"]
        command += ["-q", "--color=no", "--tb=short", "--continue-on-collection-errors"]
        command += [f"--timeout={machine.timeout_s}", *(["-k", keyword] if keyword else [])]
        command += [f"--basetemp={folder}/pytest", *(path for path in area.paths if (machine.tests / path).exists())]
        machine.logs.mkdir(parents=True, exist_ok=True)
        with (machine.logs / f"{target}-{area.name}.log").open("w") as log:
            process = subprocess.Popen(command, cwd=machine.tests, env=environment, stdout=log, stderr=log)
            try:
                process.wait()
            finally:
                # stopped from outside: the plugin takes this as an interrupt and ends the server it has started
                process.terminate()
                process.wait(STOP_TIMEOUT_S)
        records = [json.loads(line) for line in out.read_text().splitlines()]
    return {record.pop("id"): record for record in records}
