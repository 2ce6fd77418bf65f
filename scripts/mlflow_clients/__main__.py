"""Drive unmodified MLflow clients against Interlock and MLflow's own store; fail where what they see differs.

python -m scripts.mlflow_clients                                  # four versions; every library with the newest
python -m scripts.mlflow_clients --client 3.17.2 --only sklearn   # one of them
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from interlock import __version__
from scripts.mlflow_conformance.targets import NOT_FOR_SERVERS, InterlockServer

from . import report
from .comparing import Verdict, verdict
from .environments import NEWEST, VERSIONS, environment, installed

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "mlflow-clients.md"
DRIVE = Path(__file__).parent / "inside" / "drive.py"
GROUPS = ("tracking", "models", "genai")
TRAININGS = ("sklearn", "xgboost", "lightgbm", "catboost", "statsmodels", "keras", "pytorch", "lightning")
STEPS = {
    "tracking": ("experiments", "runs", "unusual", "search", "artifacts", "datasets"),
    "models": ("registry", "logged", "evaluate"),
    "genai": ("traces", "prompts", "judged"),
}
TIMEOUT_S = 900
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "KERAS_BACKEND": "torch",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "TQDM_DISABLE": "1",
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mlflow_clients", description=__doc__.splitlines()[0])
    parser.add_argument("--client", action="append", metavar="VERSION", help=f"default: {', '.join(VERSIONS)}")
    parser.add_argument("--only", action="append", choices=(*GROUPS, *TRAININGS), help="again for more (default: all)")
    parser.add_argument("--cache", type=Path, default=ROOT / ".mlflow-clients", help="where the Pythons go")
    parser.add_argument("--json", action="store_true", help="print every verdict as JSON instead of a table")
    parser.add_argument(
        "--page", type=Path, nargs="?", const=PAGE, help="write the page, from this run and earlier ones"
    )
    return parser.parse_args(given)


def wanted(version: str, only: Sequence[str] | None) -> list[str]:
    """Return the groups to run with a version: every library with the newest, scikit-learn with all."""
    groups = [*GROUPS, *(TRAININGS if version == NEWEST else TRAININGS[:1])]
    return [group for group in groups if not only or group in only]


def drive(python: Path, uri: str, group: str, folder: Path) -> dict[str, Any]:
    """Do a group of steps by a client of its own process, in a folder of its own; return what they saw."""
    folder.mkdir(parents=True)
    out = folder / "seen.json"
    around = {name: value for name, value in os.environ.items() if name not in NOT_FOR_SERVERS}
    done = subprocess.run(
        [str(python), str(DRIVE), uri, group, str(out)],
        cwd=folder,
        env=around | QUIET,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if not out.exists():
        return {
            group: {"facts": {"error": f"the client ended with {done.returncode}: {done.stderr[-600:]}"}, "seconds": 0}
        }
    seen: dict[str, Any] = json.loads(out.read_text())
    return seen


def kept(path: Path, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Put verdicts over those of earlier runs, in a file; return all of them, the newest client first."""
    known = msgspec.json.decode(path.read_bytes(), type=list[Verdict]) if path.exists() else []
    found = {(one.version, one.step): one for one in [*known, *verdicts]}
    order = [step for group in (*GROUPS, *TRAININGS) for step in STEPS.get(group, (group,))]
    places = {step: place for place, step in enumerate(order)}

    def place(one: Verdict) -> tuple[list[int], int]:
        return [-int(part) for part in one.version.split(".")], places.get(one.step, len(places))

    listed = sorted(found.values(), key=place)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=1))
    return listed


def compare(python: Path, version: str, groups: Sequence[str], folder: Path) -> list[Verdict]:
    """Run groups with one client on both stores, each of Interlock's on a fresh workspace."""
    ours = InterlockServer(folder, python=sys.executable, path=str(ROOT / "src"))
    verdicts = []
    for group in groups:
        theirs = drive(python, f"sqlite:///{folder / group}.db", group, folder / f"{group}-mlflow")
        with ours.fresh(settings={"MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": ""}) as url:
            seen = drive(python, url, group, folder / f"{group}-interlock")
        nothing = {"facts": {"error": "did not run"}, "seconds": 0}
        for step in dict.fromkeys([*theirs, *seen]):
            verdicts.append(verdict(version, step, theirs.get(step, nothing), seen.get(step, nothing)))
            print(report.line(verdicts[-1]), file=sys.stderr, flush=True)
    return verdicts


def main(given: Sequence[str] | None = None) -> int:
    """Run all that is asked for, tell, and return 1 if anything is lost on Interlock."""
    options = arguments(given)
    verdicts: list[Verdict] = []
    everything: list[Verdict] = []
    libraries: dict[str, str] = {}
    options.cache.mkdir(parents=True, exist_ok=True)
    for version in options.client or VERSIONS:
        groups = wanted(version, options.only)
        python = environment(options.cache, version, libraries=any(one in TRAININGS[1:] for one in groups)).absolute()
        libraries = libraries or installed(python)
        with tempfile.TemporaryDirectory(prefix="mlflow-clients-") as folder:
            verdicts += compare(python, version, groups, Path(folder))
        everything = kept(options.cache / "verdicts.json", verdicts)
    facts = {"interlock": __version__, "date": dt.datetime.now(dt.UTC).date().isoformat(), "libraries": libraries}
    if options.json:
        print(json.dumps({"facts": facts, "verdicts": msgspec.to_builtins(verdicts)}, indent=1))
    else:
        print(report.table(verdicts))
        print(report.what_differs(verdicts))
    if options.page:
        options.page.write_text(report.page(everything, facts))
    return 0 if all(one.is_good for one in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
