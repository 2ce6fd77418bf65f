"""Training goes on whatever happens to the store, and everything it logged is there in the end, once."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from interlock.workspace import Workspace, open_workspace
from tests.journeys.lived_in import served
from tests.postgres import fresh_schema

TRAINS = """
import sys, time
import interlock

with interlock.run("training", params={"depth": 3}, system_every_s=0) as run:
    print(run.id, flush=True)
    run.log_text("kept", "notes.txt")
    for step in range(int(sys.argv[1])):
        run.log_metrics({"loss": 1 / (step + 1), "step": step}, step)
        print("step", step, flush=True)
        time.sleep(float(sys.argv[2]))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def training(uri: str, *, steps: int, pause_s: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TRAINS, str(steps), str(pause_s)]
    environment = {**os.environ, "INTERLOCK_URI": uri}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    )


def command_line(uri: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "interlock.cli.main", "--json", "--dir", uri, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def server(folder: Path, port: int) -> Iterator[Workspace]:
    """Serve a folder's workspace at a port, for the length of a block."""
    with open_workspace(folder) as workspace, served(workspace, port=port):
        yield workspace


def check_whole(workspace: Workspace, run_id: str, *, steps: int, status: str) -> None:
    record = workspace.stores.runs.get(run_id)
    assert (record.status, record.params) == (status, {"depth": 3})
    assert {key: one.count for key, one in record.metrics.items()} == {"loss": steps, "step": steps}
    assert [point.value for point in workspace.stores.runs.history(run_id, "step")] == list(range(steps))
    found = {
        entry.path: workspace.stores.artifacts.get(entry.digest) for entry in workspace.stores.runs.artifacts(run_id)
    }
    assert found["notes.txt"] == b"kept"
    assert f"{run_id}\nstep 0\n" in found["console.txt"].decode()


def killed_after(process: subprocess.Popen[str], *, steps: int) -> tuple[str, int]:
    """Kill a training a good while after some steps; return its run, and how many steps were handed over by then."""
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    handed_over = 0
    while handed_over < steps:
        handed_over = int(process.stdout.readline().split()[1]) + 1
    # what is asserted is that this long before the kill is long enough, on the busiest machine
    deadline = time.monotonic() + 3
    watching = selectors.DefaultSelector()
    watching.register(process.stdout, selectors.EVENT_READ)
    while time.monotonic() < deadline:
        if watching.select(0.1):
            process.stdout.readline()
    process.kill()
    process.communicate()
    return run_id, handed_over


def test_a_kill_loses_nothing_that_was_handed_over_a_while_ago(tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    with training(str(folder), steps=100_000, pause_s=0.001) as process:
        run_id, handed_over = killed_after(process, steps=200)
    with open_workspace(folder) as workspace:
        points = workspace.stores.runs.history(run_id, "step")
        assert len(points) >= handed_over
        check_whole(workspace, run_id, steps=len(points), status="killed")
    with open_workspace(folder) as workspace:
        assert len(workspace.stores.runs.history(run_id, "step")) == len(points)


def test_a_training_without_its_server_is_brought_there_later(tmp_path: Path) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with training(uri, steps=50) as process:
        printed, complaints = process.communicate(timeout=120)
    assert process.returncode == 0, complaints
    run_id = printed.split()[0]
    assert len(complaints.strip().splitlines()) == 2
    assert "opens offline" in complaints
    assert "`interlock sync`" in complaints
    away = command_line(uri, "sync")
    assert away.returncode == 5
    assert json.loads(away.stdout)["state"]["runs"] == 1
    with server(tmp_path / "ws", port) as workspace:
        brought = command_line(uri, "sync")
        assert brought.returncode == 0, brought.stderr
        assert json.loads(brought.stdout)["state"]["batches"] == 0
        check_whole(workspace, run_id, steps=50, status="finished")
        before = workspace.stores.journal.last_seq()
        assert command_line(uri, "sync").returncode == 0
        assert workspace.stores.journal.last_seq() == before


def test_a_server_that_goes_away_twice_loses_and_doubles_nothing(tmp_path: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(training(f"http://127.0.0.1:{port}", steps=300, pause_s=0.01))
        assert process.stdout is not None
        for steps in (30, 120):
            with server(tmp_path / "ws", port):
                while f"step {steps}\n" not in iter(process.stdout.readline, ""):
                    continue
        with server(tmp_path / "ws", port) as workspace:
            process.communicate(timeout=120)
            assert process.returncode == 0
            assert command_line(f"http://127.0.0.1:{port}", "sync").returncode == 0
            [run] = workspace.stores.runs.runs()
            record = workspace.stores.runs.get(run.id)
            assert (record.status, record.metrics["step"].count) == ("finished", 300)


@contextmanager
def forwarding(port: int, target: str) -> Iterator[None]:
    """Forward connections from a port to a Unix socket, for the length of a block."""
    stop = threading.Event()
    opened = contextlib.ExitStack()
    pumps: list[threading.Thread] = []
    with opened, socket.create_server(("127.0.0.1", port)) as entrance:
        entrance.settimeout(0.05)

        def pump(source: socket.socket, sink: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(1 << 16):
                    sink.sendall(data)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        def accept() -> None:
            while not stop.is_set():
                try:
                    caller, _ = entrance.accept()
                except TimeoutError:
                    continue
                answerer = opened.enter_context(socket.socket(socket.AF_UNIX))
                opened.enter_context(caller)
                answerer.connect(target)
                caller.settimeout(None)
                for pair in ((caller, answerer), (answerer, caller)):
                    pumps.append(threading.Thread(target=pump, args=pair, daemon=True))
                    pumps[-1].start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield
        stop.set()
        for one in (thread, *pumps):
            one.join()


def test_a_training_without_its_database_is_brought_there_later(postgres_uri: str, tmp_path: Path) -> None:
    port = free_port()
    with fresh_schema(postgres_uri) as schema_uri:
        parts = urlsplit(schema_uri)
        query = parse_qs(parts.query)
        folder = query["host"][0]
        [entry] = [one for one in Path(folder).iterdir() if one.name.startswith(".s.PGSQL.") and one.suffix != ".lock"]
        options = quote(query["options"][0])
        uri = f"postgresql://postgres@127.0.0.1:{port}{parts.path}?options={options}&sslmode=disable"
        with training(uri, steps=20) as process:
            printed, complaints = process.communicate(timeout=120)
        assert process.returncode == 0, complaints
        assert "opens offline" in complaints
        with forwarding(port, str(entry)):
            brought = command_line(uri, "sync")
            assert brought.returncode == 0, brought.stderr
        with open_workspace(schema_uri) as workspace:
            check_whole(workspace, printed.split()[0], steps=20, status="finished")


def test_many_processes_log_to_one_folder_and_one_of_them_dies(tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    open_workspace(folder).close()
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(training(str(folder), steps=400, pause_s=0.001)) for _ in range(6)]
        doomed = stack.enter_context(training(str(folder), steps=100_000, pause_s=0.001))
        run_id, handed_over = killed_after(doomed, steps=50)
        ends = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, ends
    with open_workspace(folder) as workspace:
        for printed, _ in ends:
            check_whole(workspace, printed.split()[0], steps=400, status="finished")
        assert workspace.stores.runs.get(run_id).metrics["step"].count >= handed_over
        assert workspace.stores.runs.get(run_id).status == "killed"


def script(folder: Path, text: str, *, kill_with: signal.Signals | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "INTERLOCK_URI": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, timeout=120, cwd="/"
    )


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("run.log_metric('m', 1)", "finished", None),
        ("pass", "finished", None),
        ("run.log_metric('m', 1); raise KeyError('mine')", "failed", "KeyError: 'mine'"),
        ("run.end('killed', error='no use')", "killed", "no use"),
    ],
)
def test_a_run_that_nobody_ends_ends_with_its_program(
    tmp_path: Path, text: str, status: str, error: str | None
) -> None:
    script(tmp_path / "ws", f"import interlock\nrun = interlock.run('alone', params={{'a': 1}})\n{text}")
    with open_workspace(tmp_path / "ws") as workspace:
        [run] = workspace.stores.runs.runs()
        assert (run.status, run.params) == (status, {"a": 1})
        assert (run.error is None) if error is None else (error in (run.error or ""))


def test_a_decorated_function_of_a_script(tmp_path: Path) -> None:
    text = """
import interlock

@interlock.run("decorated", tags={"by": "script"})
def train(depth, rate=0.5):
    return depth * rate

@interlock.run
def other(x):
    return x

print(train(2), other(7))
"""
    done = script(tmp_path / "ws", text)
    assert (done.stdout, done.stderr) == ("1.0 7\n", "")
    with open_workspace(tmp_path / "ws") as workspace:
        found = {run.name: (run.experiment, run.params, run.status) for run in workspace.stores.runs.runs()}
    assert found == {
        "train": ("decorated", {"depth": 2, "rate": 0.5}, "finished"),
        "other": ("default", {"x": 7}, "finished"),
    }


def test_what_was_interrupted_is_gone_on_with(tmp_path: Path) -> None:
    goes_on = """
import interlock

with interlock.run("long", resume="latest", console=False) as run:
    for _ in range(3):
        run.log_metric("m", 1.0)
"""
    for _ in range(3):
        assert script(tmp_path / "ws", goes_on).returncode == 0
    with open_workspace(tmp_path / "ws") as workspace:
        [run] = workspace.stores.runs.runs()
        assert [point.step for point in workspace.stores.runs.history(run.id, "m")] == list(range(9))


def test_a_workspace_in_memory_has_nothing_to_bring() -> None:
    done = command_line("memory:", "sync")
    assert done.returncode == 0
    assert json.loads(done.stdout)["runs"] == 0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_while_it_trains_others_can_watch(tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    with training(str(folder), steps=100_000, pause_s=0.002) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()

        def is_visible() -> bool:
            with open_workspace(folder) as workspace:
                record = workspace.stores.runs.get(run_id)
                return record.status == "running" and "loss" in record.metrics

        wait_until(is_visible)
        process.kill()
        process.communicate()
