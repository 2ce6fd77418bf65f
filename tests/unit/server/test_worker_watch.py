"""What a worker sees of itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from interlock.server import worker_watch
from interlock.server.supervisor import Worker
from interlock.server.worker_watch import WorkerWatch, resident_bytes


class Ends:
    """Both ends of what a worker has of its supervisor."""

    def __init__(self, listener: socket.socket) -> None:
        self.hears, says = os.pipe()
        lifeline, self.life = os.pipe()
        os.set_blocking(self.hears, False)
        self.worker = Worker(0, listener, says=says, lifeline=lifeline)
        self.stopped = 0

    def watch(self, *, stuck: Any = lambda for_s: 0, max_bytes: int | None = None) -> WorkerWatch:
        return WorkerWatch(self.worker, stuck=stuck, stop=self.stop, max_bytes=max_bytes)

    def stop(self) -> None:
        self.stopped += 1

    def heard(self) -> str:
        try:
            return os.read(self.hears, 1_000).decode()
        except BlockingIOError:
            return ""


@pytest.fixture
def ends() -> Iterator[Ends]:
    with socket.socket() as listener:
        found = Ends(listener)
        yield found
        for fd in (found.hears, found.worker.says, found.worker.lifeline, found.life):
            if fd >= 0:
                os.close(fd)


def test_all_is_well(ends: Ends) -> None:
    ends.watch(max_bytes=10**12).look()
    assert (ends.heard(), ends.stopped) == ("", 0)
    assert 0 <= ends.worker.board.silent_s() < 60


def test_what_is_stuck_is_told_once(ends: Ends) -> None:
    watch = ends.watch(stuck=lambda for_s: 1)
    watch.look()
    watch.look()
    assert ends.heard() == "!1 of 4 threads are stuck in a model\n"


def test_threads_that_are_late_for_a_moment_are_borne_unless_it_is_all_of_them(ends: Ends) -> None:
    ends.watch(stuck=lambda for_s: 3 if for_s <= 1 else 0).look()
    assert ends.heard() == ""
    ends.watch(stuck=lambda for_s: 4 if for_s <= 1 else 0).look()
    assert "4 of 4" in ends.heard()


def test_what_has_grown_is_told(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 100_000_000
    monkeypatch.setattr(worker_watch, "resident_bytes", lambda: size)
    watch = ends.watch(max_bytes=150_000_000)
    watch.look()
    assert ends.heard() == ""
    size = 151_000_000
    watch.look()
    assert ends.heard() == "!it has grown to 151 MB; the limit is 150 MB\n"


def test_a_limit_that_no_worker_could_keep_is_raised_and_told(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    ends.watch(max_bytes=1_000_000).look()
    assert ends.heard() == ""
    assert "--max-memory 1 MB is too little" in caplog.text


def test_the_end_of_the_supervisor_is_the_end(ends: Ends) -> None:
    os.close(ends.life)
    ends.life = -1
    ends.watch().look()
    assert ends.stopped == 1


def test_this_process_has_memory() -> None:
    assert 5_000_000 < resident_bytes() < 10**12
