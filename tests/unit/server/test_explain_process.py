from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.core.errors import InvalidInput, NotFound, Overloaded, TimedOut, Unavailable
from interlock.server import explain_process
from interlock.server.explain_process import ExplainingProcess, Question, Told, read_frame, write_frame
from interlock.serving.explaining import Explained
from interlock.workspace import open_workspace
from tests.fitted import flight_delay, flights

ROW: list[list[Any]] = [[3.5], [None], [4.0], ["AA"], ["EWR"]]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("explained") / "ws"
    with open_workspace(folder) as workspace:
        workspace.registry.register("delay", flight_delay(), example=flights().slice(0, 50))
    return str(folder)


def test_a_process_of_its_own_explains_and_ends_when_nobody_asks(uri: str) -> None:
    helper = ExplainingProcess(uri, idle_s=0.3)
    assert helper.pid is None
    found = helper.ask("model:delay@1", ROW, rows=1, mode="exact")
    assert found is not None
    assert found.space == "log-odds"
    assert set(found.explanations[0][0].contributions) == {"wind", "delay", "distance", "carrier", "origin"}
    assert helper.pid not in (None, os.getpid())
    with pytest.raises(NotFound, match="no model 'fare'"):
        helper.ask("model:fare@1", ROW, rows=1, mode="exact")
    while helper.pid is not None:
        threading.Event().wait(0.02)
    helper.close()
    with pytest.raises(Unavailable):
        helper.ask("model:delay@1", ROW, rows=1, mode="exact")


class Child:
    """Stands for the process: a script that does what a test wants of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        started: Any = subprocess.Popen

        def start(command: list[str], **options: Any) -> Any:
            return started([sys.executable, "-c", code], **options)

        monkeypatch.setattr(explain_process.subprocess, "Popen", start)


def test_a_process_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    Child(monkeypatch, "import sys; sys.stdin.buffer.read()")
    helper = ExplainingProcess("x", timeout_s=0.2)
    with pytest.raises(TimedOut):
        helper.ask("model:delay@1", ROW, rows=1, mode="exact")
    assert helper.pid is None
    helper.close()


def test_a_process_that_ends_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    Child(monkeypatch, "pass")
    helper = ExplainingProcess("x")
    for _ in range(2):
        with pytest.raises(Unavailable, match="failed"):
            helper.ask("model:delay@1", ROW, rows=1, mode="exact")
    helper.close()


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    Child(monkeypatch, "import sys; sys.stdin.buffer.read()")
    helper = ExplainingProcess("x", timeout_s=30, most_waiting=1)
    raised: list[Exception] = []

    def ask() -> None:
        try:
            helper.ask("model:delay@1", ROW, rows=1, mode="exact")
        except Unavailable as error:
            raised.append(error)

    first = threading.Thread(target=ask)
    first.start()
    while helper.pid is None:
        threading.Event().wait(0.01)
    with pytest.raises(Overloaded):
        helper.ask("model:delay@1", ROW, rows=1, mode="exact")
    helper.close()
    first.join()
    assert len(raised) == 1


def test_frames_are_whole_or_nothing() -> None:
    file = io.BytesIO()
    write_frame(file, b"abc")
    whole = file.getvalue()
    assert read_frame(io.BytesIO(whole)) == b"abc"
    assert read_frame(io.BytesIO(whole[:-1])) is None
    assert read_frame(io.BytesIO(whole[:5])) is None


def told(question: bytes, explain_model: Any) -> Told:
    return explain_process._told(explain_model, question)


def test_whatever_fails_is_told() -> None:
    class Failing:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def __call__(self, ref: str) -> Any:
            raise self.error

    asked = msgspec.msgpack.encode(Question("model:m@1", [], 0, "exact"))
    for error, code in ((InvalidInput("no"), "IL400"), (ZeroDivisionError("no"), "IL500")):
        problem = told(asked, Failing(error)).problem
        assert problem is not None
        assert problem["code"] == code
    problem = told(b"\xc1", None).problem
    assert problem is not None


def test_the_process_answers_until_its_input_ends(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = io.BytesIO()
    write_frame(asked, msgspec.msgpack.encode(Question("model:delay@1", ROW, 1, "exact")))
    asked.seek(0)

    class Input:
        buffer = asked

    answers = tmp_path / "answers"
    kept = os.dup(1)
    file = os.open(answers, os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr(explain_process.sys, "stdin", Input)
    monkeypatch.setattr(explain_process.os, "nice", lambda by: by)
    try:
        os.dup2(file, 1)
        explain_process.main(uri)
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(file)
    with answers.open("rb") as read:
        frame = read_frame(read)
    assert frame is not None
    answer = msgspec.msgpack.decode(frame, type=Told)
    assert isinstance(answer.explained, Explained)
