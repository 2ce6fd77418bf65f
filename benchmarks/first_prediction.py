"""Measure the way from a fitted model to the first prediction over HTTP, beside the peers.

Each tool works in a fresh process and an empty folder, as in a notebook that has imported the tool and fitted the
model; the watch runs from there until a prediction came back over HTTP. Our own notebook is executed cell by cell. CPU
is that of all processes together; files are those the user writes, steps what the user does.

    .venv/bin/python benchmarks/first_prediction.py
    .venv/bin/python benchmarks/first_prediction.py --peer mlflow=/tmp/envs/mlflow/bin/python --peer fastapi=…
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "first_prediction_peers"
LIMIT_S = 300
CELLS = """\
import sys
path = sys.argv[1]
source = open(path).read()
# cells are parted where a notebook's would be: by an empty line between statements of the page
cells = [cell for cell in source.split("\\n\\n") if cell.strip()]
space = {"__name__": "__main__"}
for number, cell in enumerate(cells, 1):
    exec(compile(cell, f"<cell {number}>", "exec"), space)
"""


def main() -> None:
    """Print a row for us and one for each peer whose environment is given."""
    parser = argparse.ArgumentParser(description="From a fitted model to the first prediction over HTTP.")
    parser.add_argument("--own", default=sys.executable, metavar="PYTHON", help="an environment with Interlock in it")
    parser.add_argument("--peer", action="append", default=[], metavar="TOOL=PYTHON", help="a peer's environment")
    parser.add_argument("--times", type=int, default=3, help="how often each is measured; medians are shown")
    given = parser.parse_args()
    print(f"{'tool':<28}{'steps':>6}{'files':>6}{'wall s':>9}{'CPU s':>8}")
    show("interlock (notebook)", measured(given.own, "interlock", given.times, cells=True))
    show("interlock (script)", measured(given.own, "interlock", given.times))
    for peer in given.peer:
        tool, _, python = peer.partition("=")
        show(tool, measured(python, tool, given.times))


def measured(python: str, tool: str, times: int, *, cells: bool = False) -> list[dict[str, Any]] | str:
    """Run a tool's script so many times, each in an empty folder; return what was found, or why there is nothing."""
    script = PEERS / f"with_{tool}.py"
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="first-prediction-") as folder:
            kept = {name: value for name, value in os.environ.items() if not name.startswith("INTERLOCK_")}
            path = os.pathsep.join([str(Path(python).parent), kept.get("PATH", "")])
            environ = {**kept, "PYTHONPATH": str(PEERS), "HOME": folder, "PATH": path}
            command = [python, "-c", CELLS, str(script)] if cells else [python, str(script)]
            done = subprocess.run(
                command, cwd=folder, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        lines = [line for line in done.stdout.splitlines() if line.startswith("LEAD ")]
        if not lines:
            return (done.stderr or done.stdout).strip()[-500:]
        found.append(json.loads(lines[-1].removeprefix("LEAD ")))
    return found


def show(tool: str, found: list[dict[str, Any]] | str) -> None:
    """Print a row."""
    if isinstance(found, str):
        print(f"{tool:<28}gave no answer: {found}", flush=True)
        return
    wall_s, cpu_s = (statistics.median(one[key] for one in found) for key in ("wall_s", "cpu_s"))
    steps, files = len(found[0]["steps"]) + len(found[0]["files"]), len(found[0]["files"])
    print(f"{tool:<28}{steps:>6}{files:>6}{wall_s:>9.2f}{cpu_s:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
