"""`run_up` serves a workspace in one process, quickly, lightly, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from interlock.core.errors import PortTaken, Refused
from interlock.ports.trigger_store import Trigger
from interlock.server import up
from interlock.server.serve import listen
from interlock.server.turning import LoopTurner
from interlock.server.up import run_up
from interlock.workspace import open_workspace

PROGRAM = """
import sys
from interlock.server.up import run_up
def ready(url):
    print(url, *sorted(name for name in HEAVY if name in sys.modules), flush=True)
HEAVY = ("numpy", "pandas", "pyarrow", "duckdb", "onnxruntime", "psycopg", "sklearn", "scipy", "fast_sugiyama")
run_up(sys.argv[1], port=0, on_ready=ready)
"""


@contextmanager
def running(uri: str) -> Iterator[tuple[str, psutil.Process, list[str]]]:
    """Start the platform in a process of its own; give its address, the process, and the heavy modules it loaded."""
    command = [sys.executable, "-c", PROGRAM, uri]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url, *heavy = process.stdout.readline().split()
    try:
        yield url, psutil.Process(process.pid), heavy
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, "")


def get(url: str, target: str) -> Any:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", target)
        return msgspec.json.decode(connection.getresponse().read())
    finally:
        connection.close()


def test_it_is_one_light_process() -> None:
    with running("memory:") as (url, process, heavy):
        assert heavy == []
        assert len(get(url, "/api/v1/loop")["stations"]) == 13
        assert process.children(recursive=True) == []
        assert process.memory_info().rss < 100 * 2**20


def test_a_taken_port_is_told_before_the_workspace_is_touched(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(PortTaken):
        run_up(str(tmp_path / "new"), port=listener.getsockname()[1], environ={})
    assert not (tmp_path / "new").exists()


def test_beyond_this_machine_a_token_is_needed(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        run_up(str(tmp_path / "new"), host="0.0.0.0", port=0, environ={"INTERLOCK_TOKEN": "  "})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("watched", [False, True])
def test_a_memory_workspace_turns_its_loop_here(watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    turned: list[datetime] = []

    class Loop:
        def tick(self, *, upto: datetime) -> None:
            turned.append(upto)

    with open_workspace("memory:") as workspace, contextlib.ExitStack() as exits:
        workspace.__dict__["loop"] = Loop()
        if watched:
            workspace.stores.triggers.apply(Trigger("retrain", "retrain", on="alert.opened"))
        now = datetime(2026, 1, 1, tzinfo=UTC)
        up.turner(workspace, exits)(now)
    assert turned == ([now] if watched else [])


def test_any_other_workspace_turns_in_a_process_of_its_own(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "w") as workspace, contextlib.ExitStack() as exits:
        assert isinstance(up.turner(workspace, exits), LoopTurner)
