"""Serve the same folders by MLflow and by Interlock, ask both the same, and write down where they differ."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.scoring_beside_mlflow.cases import COLUMNS, MATRIX, Case

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "scoring-beside-mlflow.md"
_READY_S = 120.0


def main() -> int:
    """Compare; return 1 where an answer differs for no reason that is written down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mlflow", required=True, help="the Python of an environment with mlflow and scikit-learn")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name}")
    asked = parser.parse_args()
    python = Path(asked.mlflow)
    rows: list[tuple[str, Case, tuple[int, Any], tuple[int, Any]]] = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, HERE / "fitting.py", folder], check=True, env=_quiet(python))
        for name, cases in (("columns", COLUMNS), ("matrix", MATRIX)):
            with _mlflow(python, Path(folder) / name) as theirs, _interlock(Path(folder) / name) as ours:
                rows += [(name, case, ask(theirs, case), ask(ours, case)) for case in cases]
    version = subprocess.run(
        [python, "-c", "import mlflow; print(mlflow.__version__)"], check=True, capture_output=True, text=True
    ).stdout.strip()
    text = page(rows, version)
    if asked.page:
        PAGE.write_text(text)
    print(text)
    return int(any(not same(theirs, ours) and not case.why for _, case, theirs, ours in rows))


def ask(url: str, case: Case) -> tuple[int, Any]:
    """Return the status and the predictions of one request."""
    body = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": case.media_type})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())["predictions"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


def same(theirs: tuple[int, Any], ours: tuple[int, Any]) -> bool:
    """Say whether two answers are the same."""
    return theirs[0] == ours[0] and _equal(theirs[1], ours[1])


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


def page(rows: Sequence[tuple[str, Case, tuple[int, Any], tuple[int, Any]]], version: str) -> str:
    """Return the page."""
    agreed = sum(same(theirs, ours) for _, _, theirs, ours in rows)
    lines = [
        "# Scoring, beside MLflow",
        "",
        f"The same folder that MLflow saved is served by `mlflow models serve` ({version}) and by `interlock serve`,",
        "with no workspace and nothing registered; both get the same requests on `/invocations`.",
        "",
        "```sh",
        "python -m scripts.scoring_beside_mlflow --mlflow ENVIRONMENT/bin/python --page",
        "```",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: **{agreed} of {len(rows)} requests have the same status and the",
        "same predictions**; the others differ on purpose, and the last column says why. Error bodies are",
        "`{error_code, message}` on both sides; where the content type is not taken (415), MLflow's are bare text.",
        "Beside `predictions` our replies hold `prediction_ids`, `model`, and every output where a model has several.",
        "",
        "| model | request | MLflow | Interlock | why they differ |",
        "|---|---|---:|---:|---|",
    ]
    for name, case, theirs, ours in rows:
        mark = "" if same(theirs, ours) else case.why or "**not meant**"
        lines.append(f"| {name} | {case.name} | {theirs[0]} | {ours[0]} | {mark} |")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def _mlflow(python: Path, model: Path) -> Iterator[str]:
    port = _free_port()
    command = [python, "-m", "mlflow", "models", "serve", "-m", model, "-p", str(port), "--env-manager", "local"]
    with _running(command, port, _quiet(python)) as url:
        yield url


@contextlib.contextmanager
def _interlock(model: Path) -> Iterator[str]:
    port = _free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK_")}
    environ = {**kept, "INTERLOCK_MODEL_DIR": str(model), "PORT": str(port)}
    with _running([sys.executable, "-m", "interlock.cli.main", "serve", "--host", "localhost"], port, environ) as url:
        yield url


@contextlib.contextmanager
def _running(command: Sequence[Any], port: int, environ: Mapping[str, str]) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    # a group of its own, so that the workers of either end with it
    with subprocess.Popen(
        list(map(str, command)),
        env=environ,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            until = time.monotonic() + _READY_S
            while not _is_ready(url):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{command[0]} does not answer")
                time.sleep(0.2)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _quiet(python: Path) -> dict[str, str]:
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


if __name__ == "__main__":
    sys.exit(main())
