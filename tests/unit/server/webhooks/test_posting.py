"""Posts to real sockets on loopback: receivers that answer, redirect, hang, drip, flood and break the protocol."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from interlock.core.errors import Refused, TimedOut, Unavailable
from interlock.server.webhooks import addresses, posting
from interlock.server.webhooks.posting import LONGEST_ANSWER_BYTES, PostAnswer, post

Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what starts a receiver of one connection and gives its URL."""
    with ExitStack() as exits:

        def start(handle: Callable[[socket.socket], None]) -> str:
            listener = exits.enter_context(socket.create_server(("127.0.0.1", 0)))

            def run() -> None:
                with suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        handle(connection)

            thread = threading.Thread(target=run)
            thread.start()
            exits.callback(thread.join)
            exits.callback(listener.shutdown, socket.SHUT_RDWR)
            return f"http://127.0.0.1:{listener.getsockname()[1]}/hook?a=b"

        yield start


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"}"):
        data += connection.recv(65536)
    return data


def _answering(answer: bytes, got: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        request = _request(connection)
        if got is not None:
            got.append(request)
        connection.sendall(answer)

    return handle


def test_a_post_arrives_and_its_answer_comes_back(serve: Serve) -> None:
    got: list[bytes] = []
    url = serve(_answering(b"HTTP/1.1 201 Made\r\nContent-Length: 3\r\n\r\nyes", got))
    assert post(url, b"{}", {"X-Id": "1"}, private=True) == PostAnswer(201, "yes")
    head, _, body = got[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert (lines[0], body) == ("POST /hook?a=b HTTP/1.1", b"{}")
    named = dict(line.split(": ", 1) for line in lines[1:])
    assert (named["Host"], named["X-Id"], named["Content-Type"]) == (url[7:].partition("/")[0], "1", "application/json")


def test_a_redirect_comes_back_as_it_is(serve: Serve) -> None:
    url = serve(_answering(b"HTTP/1.1 302 Go\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"))
    assert post(url, b"{}", {}, private=True).status == 302


def test_a_flood_is_cut(serve: Serve) -> None:
    def flood(connection: socket.socket) -> None:
        _request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            for _ in range(10_000):
                connection.sendall(b"x" * 65536)

    assert post(serve(flood), b"{}", {}, private=True) == PostAnswer(200, "x" * LONGEST_ANSWER_BYTES)


@pytest.mark.parametrize(
    "drip", [b"", b"H", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"]
)
def test_nobody_holds_a_post_for_longer_than_it_may_take(serve: Serve, drip: bytes) -> None:
    over = threading.Event()

    def hold(connection: socket.socket) -> None:
        _request(connection)
        with suppress(OSError):
            connection.sendall(drip)
            # never silent for long, so that no time-out of a single read ends it
            while not over.wait(0.02):
                connection.sendall(b"x" if drip else b"")

    url = serve(hold)
    began = time.monotonic()
    try:
        answer = post(url, b"{}", {}, private=True, timeout_s=0.3)
        # its head was whole, and so the receiver has been told
        assert (answer.status, answer.body.strip("x")) == (200, "")
        assert drip.endswith(b"\r\n\r\n")
    except TimedOut:
        assert not drip.endswith(b"\r\n\r\n")
    finally:
        over.set()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"],
)
def test_what_is_not_http_is_an_outage(serve: Serve, answer: bytes) -> None:
    with pytest.raises(Unavailable):
        post(serve(_answering(answer)), b"{}", {}, private=True)


def test_who_speaks_no_tls_is_an_outage(serve: Serve) -> None:
    url = serve(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n"))
    with pytest.raises(Unavailable):
        post(url.replace("http:", "https:"), b"{}", {}, private=True)


def test_a_closed_port_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable):
        post(f"http://127.0.0.1:{port}/", b"{}", {}, private=True)


def test_a_name_is_resolved_once_and_only_checked_addresses_are_dialled(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[bytes] = []
    port = int(serve(_answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", got)).split(":")[2].partition("/")[0])
    asked: list[str] = []

    def rebinding(host: str, port: int, **options: Any) -> list[Any]:
        asked.append(host)
        # a public address for the check, this machine for whoever asks again
        ip = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", rebinding)
    assert post(f"http://hook.example:{port}/", b"{}", {}, private=True).status == 200
    assert asked == ["hook.example"]
    assert b"Host: hook.example:" in got[0]


def test_nothing_is_dialled_where_one_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, 1, 6, "", (ip, 80)) for ip in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **options: answer)
    monkeypatch.setattr(posting.socket, "socket", None)
    with pytest.raises(Refused):
        post("http://hook.example/", b"{}", {}, private=False)


def test_no_proxy_is_asked(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    url = serve(_answering(b"HTTP/1.1 204 No\r\n\r\n"))
    assert post(url, b"{}", {}, private=True) == PostAnswer(204, "")
