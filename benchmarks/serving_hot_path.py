"""What `interlock serve` costs, whole: CPU per one-row request, CPU to get ready, and memory.

Three scikit-learn pipelines of 10 numbers (logistic regression, gradient boosting and a forest of 100 trees each), and
one logistic regression of 20 mixed columns, are registered and put behind endpoints. Each is served by the command
itself and asked over kept-alive connections, in Open Inference JSON. Every request is checked against the signature
and logged; the figure is the CPU time of the whole process tree, with what it takes to move the log into SQLite.

    python benchmarks/serving_hot_path.py                       everything
    python benchmarks/serving_hot_path.py prepare FOLDER        fit and register once
    python benchmarks/serving_hot_path.py measure FOLDER lr 16  one model at 16 connections
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MODELS = ("lr", "gb", "rf", "mixed")
CONNECTIONS = (1, 16, 64)
WARM_UP_S = 1.0
MEASURE_S = 4.0
SETTLE_S = 1.0
COMMAND = "import sys; from interlock.cli.main import main; sys.exit(main())"


def prepare(folder: Path) -> None:
    """Fit the models, register them and route an endpoint to each."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from interlock.serving.rollout import begin
    from interlock.workspace import open_workspace

    dice = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{at}": dice.normal(size=5_000) for at in range(10)})
    target = (frame["x1"] + frame["x2"] ** 2 > 1).astype(int)
    mixed = pd.DataFrame({f"number_{at}": dice.normal(size=5_000) * 10 for at in range(17)})
    mixed.loc[dice.random(5_000) < 0.1, "number_0"] = np.nan
    for name, count in (("carrier", 16), ("origin", 3), ("dest", 100)):
        mixed[name] = dice.choice([f"{name}{at}" for at in range(count)], size=5_000)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    strings = OneHotEncoder(handle_unknown="ignore", min_frequency=20)
    columns = ColumnTransformer([("n", numbers, list(mixed)[:17]), ("s", strings, ["carrier", "origin", "dest"])])
    fitted: dict[str, tuple[Any, Any]] = {
        "lr": (make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, target), frame),
        "gb": (make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=100)).fit(frame, target), frame),
        "rf": (make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=100)).fit(frame, target), frame),
        "mixed": (make_pipeline(columns, LogisticRegression(max_iter=500)).fit(mixed, target), mixed),
    }
    with open_workspace(folder / "workspace") as workspace:
        for name, (model, example) in fitted.items():
            version = workspace.registry.register(name, model, example=example.head(200))
            workspace.stores.deployments.route(name, begin(version.ref))
            (folder / f"{name}.request").write_bytes(request_for(name, example.iloc[1].to_dict()))


def request_for(name: str, row: dict[str, Any]) -> bytes:
    """Return the raw HTTP request of one prediction."""
    inputs = [
        {"name": key, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value]}
        for key, value in row.items()
    ]
    body = json.dumps({"inputs": inputs})
    head = [f"POST /v2/models/{name}/infer HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", body]).encode()


def load(port: int, request_path: str, connections: int, seconds: float) -> None:
    """Ask for so long over several connections, one request at a time on each; print the latencies in seconds."""
    request = Path(request_path).read_bytes()
    poll = select.epoll()
    clients: dict[int, list[Any]] = {}
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poll.register(connection, select.EPOLLIN)
        clients[connection.fileno()] = [connection, time.perf_counter(), b""]
        connection.sendall(request)
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number, _ in poll.poll(1):
            client = clients[number]
            client[2] += client[0].recv(65_536)
            if not _is_whole(client[2]):
                continue
            now = time.perf_counter()
            latencies.append(now - client[1])
            client[1:] = [now, b""]
            client[0].sendall(request)
    print(json.dumps(latencies))


def _is_whole(reply: bytes) -> bool:
    head, found, body = reply.partition(b"\r\n\r\n")
    if not found:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(reply.decode())
    return len(body) >= int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


class Served:
    """A running `interlock serve`, and what its process tree has used."""

    def __init__(self, folder: Path, ref: str, *options: str) -> None:
        import psutil

        command = [sys.executable, "-c", COMMAND, "serve", ref, "--port", "0", "--json", *options]
        environ = {**os.environ, "INTERLOCK_URI": str(folder / "workspace")}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
        assert self._process.stdout is not None
        self.port = int(json.loads(self._process.stdout.readline())["url"].rpartition(":")[2])
        self._root = psutil.Process(self._process.pid)

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def _tree(self) -> list[Any]:
        return [self._root, *self._root.children(recursive=True)]

    def cpu_s(self) -> float:
        """Return the CPU time of the tree. Unit: seconds."""
        times = [process.cpu_times() for process in self._tree()]
        return float(sum(one.user + one.system for one in times))

    def memory_mb(self) -> tuple[float, float]:
        """Return resident and proportional memory of the tree. Unit: MB of 10^6 bytes."""
        full = [process.memory_full_info() for process in self._tree()]
        return sum(one.rss for one in full) / 1e6, sum(one.pss for one in full) / 1e6


def measure(folder: Path, model: str, connections: int, *options: str, path: Path | None = None) -> dict[str, float]:
    """Serve a model, ask it, and return the figures."""
    request = path or folder / f"{model}.request"
    ask = [sys.executable, __file__, "load"]
    with Served(folder, f"endpoint:{model}", *options) as served:
        ready_s = served.cpu_s()
        rss, pss = served.memory_mb()
        rest = [str(request), str(connections)]
        subprocess.run([*ask, str(served.port), *rest, str(WARM_UP_S)], check=True, capture_output=True, timeout=60)
        time.sleep(SETTLE_S)
        before = served.cpu_s()
        done = subprocess.run(
            [*ask, str(served.port), *rest, str(MEASURE_S)], check=True, capture_output=True, text=True, timeout=60
        )
        time.sleep(SETTLE_S)
        cpu_s = served.cpu_s() - before
        after, _ = served.memory_mb()
    latencies = sorted(json.loads(done.stdout))
    count = len(latencies)
    return {
        "cpu_ms": cpu_s / count * 1e3,
        "rps": count / MEASURE_S,
        "p50_ms": latencies[count // 2] * 1e3,
        "p99_ms": latencies[int(count * 0.99)] * 1e3,
        "ready_cpu_s": ready_s,
        "rss_mb": rss,
        "pss_mb": pss,
        "rss_after_mb": after,
    }


def show(model: str, connections: int, row: dict[str, float]) -> None:
    """Print one line of the table."""
    cells = "".join(f"{row[name]:>14.3f}" for name in row)
    print(f"{model:<8}{connections:>12}{cells}", flush=True)


def main(models: tuple[str, ...] = MODELS, folder: Path | None = None, many: tuple[int, ...] = CONNECTIONS) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        if folder is None:
            folder = Path(name)
            prepare(folder)
        names = ("cpu_ms", "rps", "p50_ms", "p99_ms", "ready_cpu_s", "rss_mb", "pss_mb", "rss_after_mb")
        print(f"{'model':<8}{'connections':>12}" + "".join(f"{name:>14}" for name in names))
        for model in models:
            for connections in many:
                show(model, connections, measure(folder, model, connections))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["prepare", where]:
            Path(where).mkdir(parents=True, exist_ok=True)
            prepare(Path(where))
        case ["load", port_text, path_text, connections_text, seconds_text]:
            load(int(port_text), path_text, int(connections_text), float(seconds_text))
        case ["measure", where, *rest]:
            chosen = tuple(one for one in rest if not one.isdigit()) or MODELS
            main(chosen, Path(where), tuple(int(one) for one in rest if one.isdigit()) or CONNECTIONS)
        case _:
            main()
