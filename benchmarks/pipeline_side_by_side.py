"""The same seven trivial steps in Interlock and in its peers: `python benchmarks/pipeline_side_by_side.py --peers DIR`.

Load, prepare, a fan-out of four and select, each tool in the form its documentation recommends, on one machine, with
the bookkeeping it does by default. DIR has an environment a tool (`DIR/luigi/bin/python`, `kedro`, `hamilton`,
`dagster`, `prefect`, `metaflow`, `zenml`, `airflow`, `dvc`); what is not there is left out and said. Figures are CPU
seconds of the whole process tree, user and system, of whole commands: `cold` in an empty folder, `again` in the same
one, and what one more step of the fan-out costs (a fan-out of 24 against one of 4, cold). Medians of several. The
floor is plain calls with each output committed to SQLite. ZenML's fan-in is left out: its static pipelines take
outputs one by one.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "pipeline_peers"
PEERS = ("luigi", "kedro", "hamilton", "dagster", "prefect", "metaflow", "zenml", "airflow", "dvc")
FEW, MANY = 4, 24


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(python: str, tool: str, count: int, folder: Path) -> tuple[float, str]:
    """Run one tool's script; return the CPU seconds of it and all it started, and what went wrong."""
    before = children_cpu_s()
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder / ".cache")}
    done = subprocess.run(
        [python, str(HERE / f"with_{tool}.py"), str(count)],
        cwd=folder,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return children_cpu_s() - before, (done.stderr.strip() or done.stdout.strip())[-300:] if done.returncode else ""


def measure(python: str, tool: str, repeats: int) -> str:
    cold, again, more = [], [], []
    for _ in range(repeats + 1):  # the first one compiles the byte-code, and does not count
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as other:
            for times, count, folder in ((cold, FEW, name), (again, FEW, name), (more, MANY, other)):
                cpu, wrong = run(python, tool, count, Path(folder))
                if wrong:
                    return f"{tool:10}  failed: {wrong.splitlines()[-1]}"
                times.append(cpu)
    first, second, third = (statistics.median(times[1:]) for times in (cold, again, more))
    return f"{tool:10} {first:8.2f} s {second:8.2f} s {1000 * (third - first) / (MANY - FEW):10.2f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=os.environ.get("INTERLOCK_PEERS"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[])
    chosen = parser.parse_args()
    print(f"{'tool':10} {'cold':>10} {'again':>10} {'one more':>13}")
    pythons = {"floor": sys.executable, "interlock": sys.executable}
    missing = []
    for peer in PEERS:
        python = Path(chosen.peers or "nowhere") / peer / "bin" / "python"
        if python.is_file():
            pythons[peer] = str(python)
        else:
            missing.append(peer)
    for tool, python in pythons.items():
        if not chosen.only or tool in chosen.only:
            print(measure(python, tool, chosen.repeats), flush=True)
    if missing:
        print(f"not measured, no environment given: {', '.join(missing)}")


if __name__ == "__main__":
    main()
