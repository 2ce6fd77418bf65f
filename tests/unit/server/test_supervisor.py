"""What becomes of workers: asked of real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.server.supervisor import Death, Worker
from tests.serving_examples import ROW, oip_inputs
from tests.unit.server.wire.raw import Answer, request, talk

ROOT = Path(__file__).parents[3]


class Program:
    """A running supervisor."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def said(self) -> dict[str, Any]:
        """Return the next line that it, or a worker, printed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the program ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def complained(self, about: str) -> str:
        """Return the next line of its error output that has these words."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if about in line:
                return line
        raise AssertionError(f"nothing was said about {about}")


@contextlib.contextmanager
def supervised(
    *, workers: int = 1, timeout_s: float = 0, max_memory_mb: int = 0, kind: str = "quick", fails: str = ""
) -> Iterator[Program]:
    command = [sys.executable, "-m", "tests.unit.server.supervised", str(workers), str(timeout_s), str(max_memory_mb)]
    with subprocess.Popen(
        [*command, kind, fails], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        # a program that does not do what is waited for must not be waited for for ever
        patience = threading.Timer(60, process.kill)
        patience.start()
        try:
            yield Program(process)
        finally:
            patience.cancel()
            process.terminate()
            process.wait(30)


def ask(url: str, city: str = "JFK", *headers: bytes) -> Answer:
    body = json.dumps({"inputs": oip_inputs({**ROW, "city": city})}).encode()
    with talk(url) as client:
        client.send(request(body, *headers))
        return client.answer()


def let_die(url: str, city: str) -> None:
    with pytest.raises((AssertionError, ConnectionError)):
        ask(url, city)


@pytest.mark.parametrize(("city", "how"), [("crash", "signal SIGSEGV"), ("exit", "exit code 3")])
def test_a_worker_that_dies_is_replaced_and_told_of(city: str, how: str) -> None:
    with supervised() as program:
        url = program.said()["url"]
        assert ask(url).status == 200
        let_die(url, city)
        # whoever connects meanwhile waits for the next worker
        assert ask(url).status == 200
        event = program.said()
        assert (event["event"], event["how"], event["models"]) == ("endpoint:delay", how, ["model:delay@1"])
        assert "model:delay@1 behind delay answered" in program.complained("another one starts")


def test_several_workers_share_the_address_and_one_death_leaves_the_others() -> None:
    with supervised(workers=2) as program:
        url = program.said()["url"]
        assert [ask(url).status for _ in range(8)] == [200] * 8
        let_die(url, "exit")
        assert [ask(url).status for _ in range(8)] == [200] * 8


def test_threads_that_run_side_by_side_share_one_process() -> None:
    with supervised(workers=3, fails="threads") as program:
        url = program.said()["url"]
        assert [ask(url).status for _ in range(12)] == [200] * 12
        let_die(url, "exit")
        assert [ask(url).status for _ in range(12)] == [200] * 12
        assert program.said()["how"] == "exit code 3"
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(30) == 0


def test_a_model_that_hangs_is_answered_for_and_its_worker_replaced() -> None:
    with supervised(timeout_s=0.3, kind="slow") as program:
        url = program.said()["url"]
        late = ask(url, "hang")
        assert (late.status, "took too long" in late.json()["error"]) == (504, True)
        assert "threads are stuck" in program.complained("is replaced")
        assert ask(url).status == 200


def test_a_model_that_holds_up_the_event_loop_ends_with_its_worker() -> None:
    with supervised() as program:
        url = program.said()["url"]
        let_die(url, "hang")
        assert ask(url).status == 200
        assert program.said()["how"].startswith("hanging: its event loop has not come round for")


def test_a_model_that_grows_is_replaced_between_requests() -> None:
    with supervised(max_memory_mb=200) as program:
        url = program.said()["url"]
        assert ask(url, "grow").status == 200
        assert "it has grown to" in program.complained("is replaced")
        assert [ask(url).status for _ in range(20)] == [200] * 20


def test_a_worker_that_cannot_start_ends_the_supervisor_with_its_code() -> None:
    with supervised(workers=2, fails="fails") as program:
        assert program.said() == {"error": "there is no endpoint"}
        assert program.process.wait(30) == 3


def test_a_stop_ends_all() -> None:
    with supervised(workers=2) as program:
        program.said()
        program.process.send_signal(signal.SIGTERM)
        assert program.said() == {"ended": True}
        assert program.process.wait(30) == 0


def test_workers_end_with_a_supervisor_that_is_killed() -> None:
    with supervised() as program:
        program.said()
        program.process.kill()
        # its output ends when the last process that could write to it has ended
        assert program.process.stdout is not None
        assert program.process.stdout.read() == ""


def test_a_worker_without_a_supervisor_says_nothing() -> None:
    with socket.socket() as listener:
        Worker(0, listener).is_ready()
        Worker(0, listener).wants_another("it has grown")


def test_what_a_worker_says_to_nobody_is_lost() -> None:
    hears, says = os.pipe()
    os.close(hears)
    with socket.socket() as listener:
        Worker(0, listener, says=says).is_ready()
    os.close(says)


def test_a_death_in_words() -> None:
    death = Death(1, 42, "signal SIGKILL", 3.2, ("model:delay@1 behind delay",))
    assert str(death) == (
        "worker 1 (pid 42) ended by signal SIGKILL while model:delay@1 behind delay answered, 3 s after its start"
    )
