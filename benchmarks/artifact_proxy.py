"""A large file up and down through the artifact proxy: memory of the server, seconds, CPU; beside `mlflow server`.

    python benchmarks/artifact_proxy.py [--megabytes 500] [--peer PYTHON]

PYTHON is the interpreter of an environment with the package `mlflow`; without it only Interlock is measured. Both
servers get the same bytes by the same client (streamed PUT and GET over plain HTTP, `sendfile` up and no disk down,
so that the client does not set the pace), and keep them on the same disk.
The floor is the same file copied by `shutil.copyfile`.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

CHUNK = 1024 * 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(command: list[str], port: int, folder: Path) -> Iterator[psutil.Process]:
    # without these the peer waits for the network before it listens
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    environment = {**os.environ, **quiet}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        time.sleep(2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def memory_of(process: psutil.Process) -> int:
    total = 0
    for one in tree(process):
        with suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total


def cpu_of(process: psutil.Process) -> float:
    total = 0.0
    for one in tree(process):
        with suppress(psutil.NoSuchProcess):
            total += sum(one.cpu_times()[:2])
    return total


class Watch(threading.Thread):
    """Keep the highest memory of a process tree."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.process, self.most, self.over = process, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            self.most = max(self.most, memory_of(self.process))


def transfer(port: int, method: str, path: str, file: Path) -> None:
    """Send or fetch a file as cheaply as a client can, so that the server sets the pace: sendfile up, no disk down."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    if method == "PUT":
        wire.putrequest("PUT", path)
        wire.putheader("Content-Length", str(file.stat().st_size))
        wire.endheaders()
        with file.open("rb") as source:
            wire.sock.sendfile(source)
        answer = wire.getresponse()
        answer.read()
    else:
        wire.request("GET", path)
        answer = wire.getresponse()
        room, size = memoryview(bytearray(CHUNK)), 0
        while count := answer.readinto(room):
            size += count
        assert size == file.stat().st_size, size
    assert answer.status == 200, answer.status
    wire.close()


def check(port: int, path: str, file: Path) -> None:
    """Fetch the file once more, untimed, and compare every byte."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=600) as answer, file.open("rb") as sent:
        while chunk := sent.read(CHUNK):
            assert answer.read(len(chunk)) == chunk
        assert not answer.read(1)


def measure(name: str, command: list[str], port: int, file: Path, folder: Path) -> None:
    with server(command, port, folder) as process:
        path = "/api/2.0/mlflow-artifacts/artifacts/0/bench/large.bin"
        for method in ("PUT", "GET"):
            before, cpu = memory_of(process), cpu_of(process)
            watch = Watch(process)
            watch.start()
            begun = time.perf_counter()
            transfer(port, method, path, file)
            took = time.perf_counter() - begun
            watch.over.set()
            size = file.stat().st_size / 1e6
            rise = max(0, watch.most - before) / 1e6
            spent = cpu_of(process) - cpu
            print(
                f"{name:10} {method:4} {took:6.2f} s {size / took:7.0f} MB/s {spent:6.2f} CPU-s  memory +{rise:.0f} MB"
            )
        check(port, path, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--peer", default=os.environ.get("INTERLOCK_MLFLOW_PYTHON"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "large.bin"
        with file.open("wb") as out:
            for _ in range(chosen.megabytes):
                out.write(os.urandom(1_000_000))
        begun = time.perf_counter()
        shutil.copyfile(file, folder / "copy.bin")
        took = time.perf_counter() - begun
        print(f"{'floor':10} copy {took:6.2f} s {file.stat().st_size / 1e6 / took:7.0f} MB/s")
        port = free_port()
        ours = [
            sys.executable,
            "-m",
            "interlock.cli.main",
            "--dir",
            str(folder / ".interlock"),
            "up",
            "--port",
            str(port),
        ]
        measure("Interlock", ours, port, file, folder)
        if chosen.peer:
            port = free_port()
            peer = [chosen.peer, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
            store = f"sqlite:///{folder / 'mlflow.db'}"
            measure(
                "MLflow",
                [*peer, "--backend-store-uri", store, "--artifacts-destination", str(folder / "mlartifacts")],
                port,
                file,
                folder,
            )


if __name__ == "__main__":
    main()
