"""Run MLflow's own tests against `mlflow server` and `interlock up`; fail when ours fails a test that MLflow's passes.

python -m scripts.mlflow_conformance                          # everything, both servers, writes the page
python -m scripts.mlflow_conformance --area rest --target interlock --baseline .conformance/mlflow.json
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import signal
import sys
from pathlib import Path
from typing import Any

from interlock import __version__

from . import preparing, report
from .areas import AREAS, Area
from .running import Machine, Outcomes, run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "mlflow-conformance.md"
TARGETS = ("mlflow", "interlock", "both", "none")


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mlflow_conformance", description=__doc__.splitlines()[0])
    names = [area.name for area in AREAS]
    parser.add_argument("--area", action="append", choices=names, help="an area to run, again for more (default: all)")
    parser.add_argument("--target", choices=TARGETS, default="both", help="what to run; none: write the page anew")
    parser.add_argument("--tests", type=Path, help="a checkout of MLflow with its tests folder (default: clone one)")
    parser.add_argument("--python", type=Path, help="a Python with MLflow and pytest (default: make one)")
    parser.add_argument("--cache", type=Path, default=ROOT / ".conformance", help="where clone, Python and outcomes go")
    parser.add_argument("--baseline", type=Path, help="outcomes of mlflow server to use for areas not run on it now")
    parser.add_argument(
        "-k", dest="keyword", default="", help="only tests that match, as pytest has it; writes no page"
    )
    parser.add_argument("--timeout", type=int, default=120, help="the longest a test may take, in seconds")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to write")
    return parser.parse_args(given)


class Kept:
    """The outcomes on one kind of server, by area, each with the day it ran; in a file, over those of earlier runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.areas: dict[str, Outcomes] = known.get("areas", {})
        self.days: dict[str, str] = known.get("days", {})

    def add(self, area: Area, outcomes: Outcomes, facts: dict[str, str]) -> None:
        """Take in a finished area and write the file."""
        self.areas[area.name] = outcomes
        self.days[area.name] = dt.datetime.now(dt.UTC).date().isoformat()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"facts": facts, "days": self.days, "areas": self.areas}
        self.path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def say(area: Area, target: str, outcomes: Outcomes) -> None:
    """Print one line about a finished area."""
    good = len(report.passing(outcomes))
    seconds = sum(record["seconds"] for record in outcomes.values())
    print(f"{area.name:12} {target:10} {good:5} of {len(outcomes):5} pass, {seconds:7.1f} s", flush=True)


def chosen(options: argparse.Namespace) -> list[Area]:
    """Return the areas to run, and say which cannot be."""
    areas = []
    for area in AREAS if options.target != "none" else ():
        if options.area and area.name not in options.area:
            continue
        if preparing.has(options.python, area.needs):
            areas.append(area)
        else:
            print(f"{area.name:12} not run: needs {', '.join(area.needs)}", flush=True)
    return areas


def compare(area: Area, machine: Machine, options: argparse.Namespace, mlflow: Kept, ours: Kept) -> dict[str, str]:
    """Run one area; return the tests that pass on mlflow server and not on ours.

    Raises:
        SystemExit: Nothing is known to pass on mlflow server, so nothing can be compared.
    """
    facts = preparing.versions(machine.python, machine.tests) | {"interlock": __version__}
    expected = mlflow.areas.get(area.name, {})
    if options.target in ("mlflow", "both") and not (options.baseline and expected):
        expected = run(area, "mlflow", machine, keyword=options.keyword)
        say(area, "mlflow", expected)
        if not options.keyword:
            mlflow.add(area, expected, facts)
    if options.target == "mlflow":
        return {}
    if not report.passing(expected):
        sys.exit(f"no test of {area.name} is known to pass on mlflow server: run it with --target both")
    found = run(area, "interlock", machine, only=report.passing(expected), keyword=options.keyword)
    say(area, "interlock", found)
    if options.keyword:
        return report.missing({test: expected[test] for test in found if test in expected}, found)
    ours.add(area, found, facts)
    return report.missing(expected, found)


def main(given: list[str] | None = None) -> int:
    """Run, compare, write, and return 1 if ours fails what MLflow's passes."""
    options = arguments(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command = "make conformance" if options.tests is None else "python -m scripts.mlflow_conformance --tests FOLDER"
    tests = (options.tests or preparing.clone(options.cache)).resolve()
    # not resolved: the link of a virtual environment leads out of it
    options.python = (options.python or preparing.virtual_environment(options.cache)).absolute()
    machine = Machine(options.python, tests, options.cache / "logs", options.timeout)
    mlflow, ours = Kept(options.baseline or options.cache / "mlflow.json"), Kept(options.cache / "interlock.json")
    lost: dict[str, str] = {}
    for area in chosen(options):
        lost |= compare(area, machine, options, mlflow, ours)
    for test, why in lost.items():
        print(f"FAILS {test}\n      {why}")
    if not options.keyword:
        facts = preparing.versions(options.python, tests) | {"interlock": __version__, "command": command}
        days = sorted({*mlflow.days.values(), *ours.days.values()})
        facts["date"] = " to ".join(dict.fromkeys([days[0], days[-1]])) if days else "no day yet"
        options.page.write_text(report.page(mlflow.areas, ours.areas, facts))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
