"""Prove that a clean environment with the newest dependencies comes to a first prediction.

For each Python: a fresh environment, the wheel with its sklearn extra, no lock file; then a stranger's script in an
empty folder fits, deploys, asks over HTTP with the standard library alone, and compares. One line each, with seconds.

    .venv/bin/python scripts/first_prediction.py python3.11 python3.13
    .venv/bin/python scripts/first_prediction.py --wheel dist/interlock-0.1.0-py3-none-any.whl 3.14t
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STEP_S = 900
SCRIPT = """\
import json, sys, time, urllib.request
begun = time.perf_counter()
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
dice = np.random.default_rng(0)
X = dice.normal(size=(500, 10))
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, X[:, 0] > 0)
import interlock
fitted = time.perf_counter()
endpoint = interlock.deploy(model, example=X[:100], name="delay")
row = {f"x{at}": value for at, value in enumerate(X[0].tolist())}
inputs = [{"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in row.items()]
body = json.dumps({"inputs": inputs}).encode()
request = urllib.request.Request(endpoint.url + "/infer", body, {"Content-Type": "application/json"})
with urllib.request.urlopen(request, timeout=30) as reply:
    outputs = {output["name"]: output["data"][0] for output in json.load(reply)["outputs"]}
answered = time.perf_counter()
expected = model.predict_proba(X[:1])[0, 1]
assert abs(outputs["probability"] - expected) < 1e-5, (outputs, expected)
assert outputs["label"] == bool(model.predict(X[:1])[0]), outputs
engine = endpoint.outcome.engine
assert endpoint.stop()
free = hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled()
took = {"fitted_s": fitted - begun, "answered_s": answered - fitted}
print(json.dumps({**took, "engine": engine, "free_threaded": free}))
"""


def main() -> int:
    """Check every Python that is named; return how many failed."""
    parser = argparse.ArgumentParser(description="A first prediction from clean environments.")
    parser.add_argument("pythons", nargs="+", help="interpreters, or versions that uv knows or finds")
    parser.add_argument("--wheel", type=Path, help="the wheel to install; built from here if not given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-prediction-") as name:
        folder = Path(name)
        wheel = given.wheel.resolve() if given.wheel else build(folder / "dist")
        failed = 0
        for number, python in enumerate(given.pythons):
            try:
                print(f"{python}: {told(check(python, wheel, folder / str(number)))}", flush=True)
            except subprocess.CalledProcessError as error:
                failed += 1
                print(f"{python}: FAILED\n{error.stdout}", flush=True)
    return failed


def build(folder: Path) -> Path:
    """Build the wheel from this tree."""
    run([uv(), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)], cwd=ROOT)
    return next(folder.glob("*.whl"))


def check(python: str, wheel: Path, folder: Path) -> dict[str, Any]:
    """Install the wheel in an environment of its own, run the script twice, and return what it measured.

    The first run finds no compiled bytecode, as after `uv pip install`; the second is what every later one is.
    """
    folder.mkdir()
    began = time.perf_counter()
    run([uv(), "venv", "--quiet", "--python", python, str(folder / "venv")], cwd=folder)
    interpreter = str(folder / "venv" / "bin" / "python")
    run([uv(), "pip", "install", "--quiet", "--python", interpreter, f"{wheel}[sklearn]"], cwd=folder)
    installed = time.perf_counter() - began
    facts: dict[str, Any] = {"installed_s": installed}
    for which in ("first", "second"):
        place = folder / which
        place.mkdir()
        (place / "script.py").write_text(SCRIPT)
        # a stranger's home: empty, and nothing of ours in the environment
        environ = {"HOME": str(place), "PATH": os.defpath}
        facts[which] = json.loads(run([interpreter, "script.py"], cwd=place, environ=environ))
    version = run([interpreter, "-c", "import sys; print(sys.version.split()[0])"], cwd=folder)
    return facts | {"version": version.strip()}


def told(facts: dict[str, Any]) -> str:
    """Say in a line what was measured."""
    first, second = facts["first"], facts["second"]
    free = ", free-threaded" if second["free_threaded"] else ""
    return (
        f"ok on {facts['version']}{free}: deployed and answered in {first['answered_s']:.2f} s the first time, "
        f"{second['answered_s']:.2f} s the second (imports and fit {first['fitted_s']:.2f} s and "
        f"{second['fitted_s']:.2f} s, installing {facts['installed_s']:.0f} s), runs on {second['engine']}"
    )


def uv() -> str:
    """Return the path of uv: the one beside this interpreter, else the one on the path."""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv") or "uv"


def run(command: list[str], *, cwd: Path, environ: dict[str, str] | None = None) -> str:
    """Run a command and return what it printed; what it printed is in the error of one that failed."""
    done = subprocess.run(
        command, cwd=cwd, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=STEP_S
    )
    done.check_returncode()
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
