"""What reaches the parser and is not fit for a handler gets a Problem, and memory stays bounded."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from interlock.server.app import App
from interlock.server.serve import listen, serving


class TestProtocol:
    """What reaches the parser and is not fit for a handler."""

    def talk(self, url: str, data: bytes) -> tuple[bytes, dict[str, str]]:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the server may have hung up already; its answer is still to be read
            received = b""
            try:
                while piece := connection.recv(65_536):
                    received += piece
            except ConnectionResetError:
                pass
        head, _, body = received.partition(b"\r\n\r\n")
        return head, json.loads(body) if body else {}

    @pytest.fixture
    def url(self, make_app: Callable[..., App]) -> object:
        with serving(make_app(), listen("127.0.0.1", 0)) as url:
            yield url

    @pytest.mark.parametrize(
        "data",
        [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
         b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
         b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    )  # fmt: skip
    def test_what_is_not_http_gets_a_problem(self, url: str, data: bytes) -> None:
        head, problem = self.talk(url, data)
        assert head.startswith(b"HTTP/1.1 400")
        assert problem["code"] == "IL400"

    def test_an_endless_head_is_cut_off(self, url: str) -> None:
        head, problem = self.talk(url, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2_000_000)
        assert head.startswith(b"HTTP/1.1 400") or head == b""

    def test_a_long_head_is_431(self, url: str) -> None:
        head, problem = self.talk(url, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431")
        assert problem["code"] == "IL413"

    def test_a_request_without_host_is_400(self, url: str) -> None:
        head, problem = self.talk(url, b"GET /healthz HTTP/1.0\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert "Host" in problem["why"]

    def test_requests_may_follow_each_other_on_one_connection(self, url: str) -> None:
        host = url.removeprefix("http://")
        one = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        last = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        with socket.create_connection((host.partition(":")[0], int(host.partition(":")[2])), timeout=10) as connection:
            connection.sendall(one + one + last)
            received = b""
            while piece := connection.recv(65_536):
                received += piece
        assert received.count(b'{"status":"ok"}') == 3
