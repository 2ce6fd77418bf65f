"""The same unmodified MLflow client against `interlock up` and `mlflow server`, both on SQLite on loopback, in one run.

Each server is a process (tree) of its own; clients are further processes, which log, search and count. What is compared
is the server's CPU time per call, children included, because it depends least on what else the machine does; calls per
second are bounded by the client itself, which needs about a millisecond for each.

Usage:
    python benchmarks/mlflow_tracking.py [--peer PYTHON] [--seconds 5] [--runs 10000 --runs 100000]

The peer is the Python of an environment with MLflow, given by `--peer` or by INTERLOCK_BENCH_MLFLOW; where there is
none, one is made with uv beside this repository's own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".venv" / "peer-mlflow" / "bin" / "python"
MLFLOW = "mlflow==3.17.2"
CLIENTS = (1, 8)
CALLS = {
    "log_metric": ("log_metric", 1),
    "log_batch, 1000 rows of 10 metrics": ("log_batch_10", 1000),
    "log_batch, 1000 rows of 1000 metrics": ("log_batch_1000", 1000),
}
FILTER = "metrics.m0 > 0.5 AND params.p0 = 'b'"
ORDER = "metrics.m1 DESC"
PAGE = 100
SEARCHES = 5
METRICS, PARAMS, TAGS = 10, 5, 3
START_S = 180.0


# --- what the client's process does; it imports nothing of Interlock


def client(url: str, kind: str, seconds: float) -> None:
    """Call one method for so long; print how many calls were answered, and in what time."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    asked = MlflowClient(url)
    run = asked.create_run("0").info.run_id
    now = int(time.time() * 1000)

    def call(number: int) -> None:
        if kind == "log_metric":
            asked.log_metric(run, "loss", number * 0.1, step=number)
        else:
            keys = int(kind.removeprefix("log_batch_"))
            first = number * 1000 // keys
            rows = [Metric(f"m{row % keys}", row * 0.37, now, first + row // keys) for row in range(1000)]
            asked.log_batch(run, rows)

    call(0)
    print("ready", flush=True)
    sys.stdin.readline()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += 1
        call(count)
    print(json.dumps([count, time.perf_counter() - began]), flush=True)


def searching(url: str) -> None:
    """Search some times as users do; print the seconds of each search."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    asked = MlflowClient(url)
    experiment = asked.get_experiment_by_name("many")
    assert experiment is not None
    seconds = []
    for _ in range(SEARCHES):
        began = time.perf_counter()
        found = asked.search_runs([experiment.experiment_id], FILTER, order_by=[ORDER], max_results=PAGE)
        seconds.append(time.perf_counter() - began)
        assert len(found) == PAGE
    print(json.dumps(seconds))


# --- servers


class Serving:
    """A running server: where it answers, and what CPU time it and its children have used."""

    def __init__(self, url: str, pid: int) -> None:
        import psutil

        self.url = url
        self._process = psutil.Process(pid)

    def cpu_s(self) -> float:
        """Return the CPU seconds of the process tree so far."""
        import psutil

        total = 0.0
        for one in (self._process, *self._process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system
        return total

    def memory_mb(self) -> tuple[int, float]:
        """Return how many processes there are, and what memory is theirs."""
        tree = [self._process, *self._process.children(recursive=True)]
        return len(tree), sum(one.memory_full_info().pss for one in tree) / 1e6


@contextlib.contextmanager
def started(command: list[str], url: str, log: Path) -> Iterator[Serving]:
    """Start a server and wait until it answers."""
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with (
        log.open("w") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **quiet}) as process,
    ):
        try:
            _await(f"{url}/api/2.0/mlflow/experiments/get?experiment_id=0", process, log)
            yield Serving(url, process.pid)
        finally:
            process.terminate()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310
            return
        time.sleep(0.2)
    raise SystemExit(f"the server did not answer at {url}:\n{log.read_text()[-2000:]}")


def mlflow_server(peer: Path, folder: Path, port: int) -> list[str]:
    """Return the command that serves MLflow's own store."""
    database = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files"]
    place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [str(peer), "-m", "mlflow", "server", *place, *database]


def interlock_server(folder: Path, port: int) -> list[str]:
    """Return the command that serves a workspace."""
    place = ["--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "interlock.cli.main", "--dir", str(folder / "workspace"), "up", *place]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# --- measuring


def measure_logging(peer: Path, serving: Serving, kind: str, clients: int, seconds: float) -> dict[str, float]:
    """Have clients log at once; return calls, wall seconds and the server's CPU seconds."""
    command = [str(peer), __file__, "--client", serving.url, kind, str(seconds)]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(clients)
    ]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    before = serving.cpu_s()
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    told = [json.loads(one.communicate()[0]) for one in running]
    cpu_s = serving.cpu_s() - before
    calls = sum(count for count, _ in told)
    return {"calls": calls, "wall_s": max(wall for _, wall in told), "cpu_s": cpu_s}


def measure_search(peer: Path, serving: Serving) -> dict[str, float]:
    """Search; return the server's CPU per search, the client's time and that of a bare request, and the bytes sent."""
    search_once(serving.url)
    before = serving.cpu_s()
    done = subprocess.run(
        [str(peer), __file__, "--search", serving.url], check=True, capture_output=True, text=True, timeout=600
    )
    cpu_s = (serving.cpu_s() - before) / SEARCHES
    bare = sorted(search_once(serving.url) for _ in range(SEARCHES))
    client_s = sorted(json.loads(done.stdout))
    middle = SEARCHES // 2
    return {
        "cpu_ms": cpu_s * 1e3,
        "client_ms": client_s[middle] * 1e3,
        "page_ms": bare[middle][0] * 1e3,
        "bytes": bare[middle][1],
    }


def search_once(url: str) -> tuple[float, int]:
    """Ask for one page as the client does; return the seconds it took and the bytes of the answer."""
    asked = f"{url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=many"
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        experiment = json.load(answer)["experiment"]["experiment_id"]
    body = {"experiment_ids": [experiment], "filter": FILTER, "order_by": [ORDER], "max_results": PAGE}
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate"}
    request = urllib.request.Request(  # noqa: S310
        f"{url}/api/2.0/mlflow/runs/search", data=json.dumps(body).encode(), headers=headers
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        size = len(answer.read())
    return time.perf_counter() - began, size


# --- many runs to search, made without the servers


def made_up(count: int) -> Iterator[tuple[str, int, dict[str, float], dict[str, str], dict[str, str]]]:
    """Yield an id, a start in milliseconds, metrics, params and tags of each run; the same for both servers."""
    dice = random.Random(0)
    for number in range(count):
        metrics = {f"m{at}": dice.random() for at in range(METRICS)}
        params = {f"p{at}": dice.choice("abcd") for at in range(PARAMS)}
        tags = {f"t{at}": dice.choice(["red", "green"]) for at in range(TAGS)}
        yield f"{number:032x}", 1_700_000_000_000 + number * 1000, metrics, params, tags


def fill_mlflow(folder: Path, count: int) -> None:
    """Write runs into MLflow's tables."""
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        row = database.execute("SELECT COALESCE(MAX(experiment_id), 0) + 1 FROM experiments").fetchone()
        database.execute(
            """INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time,
               last_update_time) VALUES (?, 'many', 'mlflow-artifacts:/many', 'active', 1, 1)""",
            row,
        )
        for run, start, metrics, params, tags in made_up(count):
            database.execute(
                """INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,
                   start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)
                   VALUES (?, ?, 'LOCAL', '', '', 'me', 'FINISHED', ?, ?, '', 'active', ?, ?)""",
                (run, f"run {run[-6:]}", start, start + 500, f"mlflow-artifacts:/many/{run}/artifacts", *row),
            )
            points = [(key, value, start, 0, False, run) for key, value in metrics.items()]
            into = "(key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)"
            database.executemany(f"INSERT INTO latest_metrics {into}", points)
            database.executemany(f"INSERT INTO metrics {into}", points)
            for table, pairs in (("params", params), ("tags", {**tags, "mlflow.runName": f"run {run[-6:]}"})):
                rows = [(key, value, run) for key, value in pairs.items()]
                database.executemany(f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)", rows)


def fill_interlock(folder: Path, count: int) -> None:
    """Write runs into the workspace."""
    from interlock.core.clock import from_micros
    from interlock.ports.run_store import MetricPoint, Run, RunBatch
    from interlock.workspace import open_workspace

    with open_workspace(folder / "workspace") as workspace:
        runs = workspace.stores.runs
        for run, start, metrics, params, tags in made_up(count):
            begun = from_micros(start * 1000)
            environment = {"client": "mlflow", "user": "me"}
            name = f"run {run[-6:]}"
            made = Run(
                run, "many", "training", name, "running", begun, params=params, tags=tags, environment=environment
            )
            runs.create(made)
            points = tuple(MetricPoint(key, value, 0, start * 1000) for key, value in metrics.items())
            runs.log(run, RunBatch(metrics=points))
            runs.end(run, status="finished", ended_at=from_micros(start * 1000 + 500_000))


# --- the whole


def peer_python(given: str | None) -> Path:
    """Return the Python that has MLflow, made with uv where there is none."""
    path = Path(given or os.environ.get("INTERLOCK_BENCH_MLFLOW") or PEER)
    if not path.exists():
        if path != PEER:
            raise SystemExit(f"there is no {path}")
        subprocess.run([sys.executable, "-m", "uv", "venv", str(PEER.parents[1])], check=True)
        subprocess.run([sys.executable, "-m", "uv", "pip", "install", "--python", str(PEER), MLFLOW], check=True)
    return path


def compare_logging(peer: Path, folder: Path, seconds: float) -> None:
    """Print what logging costs on both servers."""
    figures: dict[tuple[str, str, int], dict[str, float]] = {}
    sizes: dict[str, tuple[int, float]] = {}
    for name, command in _servers(peer).items():
        place = folder / f"logging-{name}"
        place.mkdir()
        port = free_port()
        with started(command(place, port), f"http://127.0.0.1:{port}", place / "log.txt") as serving:
            sizes[name] = serving.memory_mb()
            for title, (kind, _) in CALLS.items():
                for clients in CLIENTS:
                    figures[name, title, clients] = measure_logging(peer, serving, kind, clients, seconds)
    for name, (count, memory) in sizes.items():
        print(f"{name}: {count} processes, {memory:.0f} MB (PSS) when ready")
    print(f"\n{'logging':<38}{'clients':>8}{'mlflow/s':>11}{'ours/s':>11}{'mlflow CPU ms':>15}{'ours':>8}{'ratio':>8}")
    for title, (_, rows) in CALLS.items():
        for clients in CLIENTS:
            theirs, ours = (figures[name, title, clients] for name in ("mlflow", "interlock"))
            cost = [one["cpu_s"] / one["calls"] * 1e3 for one in (theirs, ours)]
            rate = [one["calls"] * rows / one["wall_s"] for one in (theirs, ours)]
            print(
                f"{title:<38}{clients:>8}{rate[0]:>11,.0f}{rate[1]:>11,.0f}{cost[0]:>15.2f}{cost[1]:>8.2f}"
                f"{cost[0] / cost[1]:>7.1f}×"
            )


def compare_search(peer: Path, folder: Path, count: int) -> None:
    """Print what searching so many runs costs on both servers."""
    figures = {}
    for name, command in _servers(peer).items():
        place = folder / f"search-{name}-{count}"
        place.mkdir()
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        if name == "mlflow":
            with started(command(place, port), url, place / "log.txt"):
                pass  # makes the tables
            fill_mlflow(place, count)
        else:
            fill_interlock(place, count)
        with started(command(place, port), url, place / "log.txt") as serving:
            figures[name] = measure_search(peer, serving)
    theirs, ours = figures["mlflow"], figures["interlock"]
    print(f"\n{f'{PAGE} of {count:,} runs, filtered and ordered':<48}{'mlflow':>12}{'ours':>12}{'ratio':>9}")
    for key, title in (
        ("cpu_ms", "server CPU, ms per search"),
        ("page_ms", "bare request, ms"),
        ("client_ms", "MlflowClient.search_runs, ms"),
        ("bytes", "bytes of the answer, as the client asks for it"),
    ):
        print(f"{title:<48}{theirs[key]:>12,.1f}{ours[key]:>12,.1f}{theirs[key] / ours[key]:>8.1f}×")


def _servers(peer: Path) -> dict[str, Callable[[Path, int], list[str]]]:
    return {"mlflow": lambda place, port: mlflow_server(peer, place, port), "interlock": interlock_server}


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", help="the Python of an environment with MLflow")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each kind of logging is measured")
    parser.add_argument("--runs", type=int, action="append", help="how many runs to search (default: 10000 and 100000)")
    parser.add_argument("--only", choices=["logging", "search"], help="one part")
    given = parser.parse_args()
    peer = peer_python(given.peer)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.only != "search":
            compare_logging(peer, folder, given.seconds)
        if given.only != "logging":
            for count in given.runs or (10_000, 100_000):
                compare_search(peer, folder, count)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--client", url_text, kind_name, seconds_text]:
            client(url_text, kind_name, float(seconds_text))
        case ["--search", url_text]:
            searching(url_text)
        case _:
            main()
