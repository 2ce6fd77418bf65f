"""What starting costs: modules in memory, CPU time and wall time, best of five, each in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

REPEATS = 5
REPORT = """
import resource, sys
usage = resource.getrusage(resource.RUSAGE_SELF)
sys.stderr.write(f"{len(sys.modules)} {usage.ru_utime + usage.ru_stime}")
"""
CODE = {
    "an empty interpreter": "",
    "import interlock": "import interlock",
    "interlock --help": "from interlock.cli.main import main; main(['--help'])",
    "interlock run list": "from interlock.cli.main import main; main(['--dir', FOLDER, 'run', 'list'])",
}


def measure(code: str) -> tuple[int, float]:
    """Return modules and CPU seconds of a new interpreter that runs some code."""
    found = []
    for _ in range(REPEATS):
        command = [sys.executable, "-c", code + REPORT]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        modules, cpu_s = done.stderr.split()
        found.append((int(modules), float(cpu_s)))
    return found[0][0], min(cpu_s for _, cpu_s in found)


def measure_up(folder: str) -> tuple[float, float, float]:
    """Return seconds until `interlock up` answers, its CPU seconds by then, and its memory in MB a second later."""
    import psutil

    found = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "interlock.cli.main", "--json", "--dir", folder, "up", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            urllib.request.urlopen(url + "/healthz", timeout=10).close()
            ready_s = time.perf_counter() - begun
            seen = psutil.Process(process.pid)
            cpu = seen.cpu_times()
            time.sleep(1)
            found.append((ready_s, cpu.user + cpu.system, seen.memory_info().rss / 1e6))
            process.terminate()
    return min(row[0] for row in found), min(row[1] for row in found), max(row[2] for row in found)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.csv").write_text("a\n1\n")
        workspace = f"{folder}/ws"
        commit = ["--dir", workspace, "data", "commit", f"{folder}/t.csv"]
        subprocess.run([sys.executable, "-m", "interlock.cli.main", *commit], check=True, capture_output=True)
        print(f"{'':<24}{'modules':>9}{'CPU s':>9}")
        for name, code in CODE.items():
            modules, cpu_s = measure(code.replace("FOLDER", repr(workspace)))
            print(f"{name:<24}{modules:>9}{cpu_s:>9.3f}")
        ready_s, cpu_s, memory_mb = measure_up(workspace)
        print(f"\ninterlock up: answers after {ready_s:.2f} s ({cpu_s:.2f} CPU s), idle at {memory_mb:.0f} MB")


if __name__ == "__main__":
    main()
