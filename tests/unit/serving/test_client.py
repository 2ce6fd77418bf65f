"""The client finds its server again, sends no row twice, and gives back the errors that were raised."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from interlock.core.errors import (
    InterlockError,
    InvalidInput,
    NotFound,
    Overloaded,
    SchemaMismatch,
    TimedOut,
    Unavailable,
)
from interlock.server.serve import listen
from interlock.server.serve_app import ServeApp
from interlock.server.wire.serving import serving_wire
from interlock.serving import client as clients
from interlock.serving.client import EndpointClient, problem_of
from interlock.serving.problems import read_problem, write_problem
from tests.serving_examples import Shelf, fresh_stores, hosted, loaded

ROWS = {"x": [0.25, 0.5], "n": [1, 2], "city": ["JFK", "EWR"]}


@contextmanager
def served() -> Iterator[str]:
    with hosted(fresh_stores(), Shelf(loaded())) as host:
        app = ServeApp(host)
        try:
            with serving_wire(app, listen("127.0.0.1", 0)) as url:
                yield url
        finally:
            app.close()


@pytest.fixture
def url() -> Iterator[str]:
    with served() as found:
        yield found


def asking(url: str) -> EndpointClient:
    return EndpointClient("delay", lambda is_gone: (url, None))


def test_rows_are_asked_and_answered(url: str) -> None:
    client = asking(url)
    found = client.infer(ROWS, ids=["a", "b"], params={"context": [{"flight": "UA1"}, {}]})
    assert found.ids == ["a", "b"] and found.models == ["model:delay@1"] * 2
    assert found.values == {"probability": [0.25, 0.5], "label": [0, 0]}
    assert client.feedback([{"prediction_id": "a", "truth": 1}])["accepted"] == 1
    assert client.get("/stats")["model_stats"][0]["inference_count"] == 2
    client.reload()


def test_many_rows_go_in_several_requests(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_MOST_ROWS", 40)
    monkeypatch.setattr(clients, "_BODY_BYTES", 900)
    rows = 100
    columns = {"x": np.arange(rows) / rows, "n": np.arange(rows), "city": ["JFK"] * rows}
    found = asking(url).infer(columns, ids=[f"p{row}" for row in range(rows)], params={})
    assert found.values["probability"] == columns["x"].tolist() and found.ids[-1] == "p99"
    assert asking(url).get("/stats")["model_stats"][0]["execution_count"] > 3


@pytest.mark.parametrize(
    ("columns", "kind", "words"),
    [
        ({**ROWS, "x": ["far", "near"]}, SchemaMismatch, "row 0, column 'x'"),
        ({**ROWS, "city": ["nowhere", "JFK"]}, InvalidInput, "the model refused"),
        ({**ROWS, "wind": [1.0, 2.0]}, SchemaMismatch, "wind"),
    ],
)
def test_errors_come_back_whole(url: str, columns: dict[str, object], kind: type[InterlockError], words: str) -> None:
    with pytest.raises(kind, match=words) as refused:
        asking(url).infer(columns, ids=["a", "b"], params={})
    assert type(refused.value) is kind and refused.value.why


def test_a_server_that_moved_is_found_again() -> None:
    with served() as first, served() as second:
        told: list[bool] = []

        def locate(is_gone: bool) -> tuple[str, str | None]:
            told.append(is_gone)
            return (second if any(told) else "http://127.0.0.1:9"), None

        client = EndpointClient("delay", locate)
        assert client.infer(ROWS, ids=["a", "b"], params={}).ids == ["a", "b"]
        assert any(told)
        # a kept connection leads nowhere else
        client._locate = lambda is_gone: (first, None)
        assert client.infer(ROWS, ids=["a", "b"], params={}).ids == ["a", "b"]


def test_nobody_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_PAUSES_S", (0.0, 0.0))
    with pytest.raises(Unavailable, match="does not answer"):
        asking("http://127.0.0.1:9").get("")


def test_a_server_that_falls_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "TIMEOUT_S", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TimedOut, match="in time"):
            asking(f"http://127.0.0.1:{silent.getsockname()[1]}").get("")


def test_an_answer_that_is_none_is_named() -> None:
    with socket.socket() as odd:
        odd.bind(("127.0.0.1", 0))
        odd.listen()

        def answer() -> None:
            connection, _ = odd.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwhat")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(InvalidInput, match="cannot be read"):
            asking(f"http://127.0.0.1:{odd.getsockname()[1]}").get("")
        thread.join()


def test_problems_travel_in_a_header() -> None:
    error = NotFound("größer\nals", why="x" * 5_000, fix="try: 'this'")
    header = write_problem(error)
    assert header.isascii() and header.isprintable()
    found = problem_of(500, header, b"")
    assert type(found) is NotFound and found.what == error.what and found.fix == error.fix
    assert found.why == "x" * 1_000
    assert read_problem("nonsense") is None and read_problem("{}") is None


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (404, b'{"error": "there is no endpoint"}', NotFound, "there is no endpoint"),
        (429, b'{"message": "later"}', Overloaded, "later"),
        (503, b'{"what": "not ready", "why": "it loads"}', Unavailable, "not ready"),
        (418, b"\xff", InterlockError, "the server answered 418"),
        (500, b"{}", InterlockError, "the server answered 500"),
    ],
)
def test_other_servers_errors_are_told_by_their_status(
    status: int, body: bytes, kind: type[InterlockError], words: str
) -> None:
    found = problem_of(status, "no problem", body)
    assert type(found) is kind and found.what == words
