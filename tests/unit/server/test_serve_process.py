"""The server in the background ends when nobody wants it any more."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec
import pytest

from interlock.core.processes import machine, start_of
from interlock.ports.endpoint_servers import EndpointServer
from interlock.server import serve_process

ME = EndpointServer(
    url="http://127.0.0.1:1", kind="background", pid=os.getpid(), start=start_of(os.getpid()), machine=machine()
)


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(serve_process, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(serve_process.os, "kill", lambda pid, sign: found.append((pid, sign)))
    return found


def written(folder: Path, server: EndpointServer) -> Path:
    record = folder / "background.json"
    record.write_bytes(msgspec.json.encode(server))
    return record


@pytest.mark.parametrize("how", ["gone", "of another", "damaged"])
def test_without_its_record_it_ends(tmp_path: Path, wishes: list[tuple[int, int]], how: str) -> None:
    record = written(tmp_path, msgspec.structs.replace(ME, pid=1) if how == "of another" else ME)
    if how == "gone":
        record.unlink()
    if how == "damaged":
        record.write_text("{")
    serve_process._end_without(record)
    assert wishes == [(os.getpid(), signal.SIGTERM)]


@pytest.mark.parametrize("keep", [False, True])
def test_with_its_maker_it_ends_unless_it_is_kept(
    tmp_path: Path, wishes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"what the maker says does not matter")
    os.close(writing)
    read = os.read
    monkeypatch.setattr(serve_process.os, "read", lambda _, size: read(reading, size))
    try:
        serve_process._end_with_parent(written(tmp_path, msgspec.structs.replace(ME, keep=keep)))
    finally:
        os.close(reading)
    assert wishes == ([] if keep else [(os.getpid(), signal.SIGTERM)])
