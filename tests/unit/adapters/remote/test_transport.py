"""Connections are kept and renewed; nothing is sent twice; every failure says what to do."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interlock.adapters.remote import transport as module
from interlock.adapters.remote.transport import Transport
from interlock.core.errors import Conflict, InterlockError, InvalidInput, TimedOut, Unavailable
from tests.forks import play

KIND = "application/msgpack"


class Recorder(http.server.ThreadingHTTPServer):
    """A server that answers as it is told and counts what reaches it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.answer: Callable[[Handler], None] = echo
        self.open: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        self.open.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients hang up on purpose here."""

    def hang_up(self) -> None:
        """Close every connection, as a server that restarts."""
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.open.clear()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        body = b""
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies.append(body)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.server.paths.append(self.path)
        self.server.answer(self)

    def reply(self, status: int, body: bytes, kind: str = KIND, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def echo(handler: Handler) -> None:
    handler.reply(200, handler.server.bodies[-1])


def answering(status: int, body: bytes, kind: str = KIND, length: int | None = None) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.reply(status, body, kind, length)
        if length is not None:
            handler.close_connection = True

    return answer


@pytest.fixture
def server() -> Iterator[Recorder]:
    with Recorder() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield made
        made.hang_up()
        made.shutdown()
        thread.join()


@pytest.fixture
def transport(server: Recorder) -> Transport:
    return Transport(server.url, timeout_s=5)


def call(transport: Transport, body: bytes = b"x") -> bytes:
    return transport.call("/a", body, media_type=KIND, answer_type=KIND)


FORKS = """
from interlock.adapters.remote.transport import Transport
from tests.unit.adapters.remote.test_transport import call

transport = Transport(sys.argv[1], timeout_s=5)
call(transport)
in_child(lambda: call(transport, b"child"))
call(transport, b"parent")
"""


class TestConnections:
    def test_calls_in_a_row_share_one(self, server: Recorder, transport: Transport) -> None:
        assert [call(transport, body) for body in (b"a", b"b", b"c")] == [b"a", b"b", b"c"]
        assert server.connections == 1

    def test_calls_at_once_have_their_own(self, server: Recorder, transport: Transport) -> None:
        barrier = threading.Barrier(3)

        def answer(handler: Handler) -> None:
            barrier.wait(5)
            echo(handler)

        server.answer = answer
        threads = [threading.Thread(target=call, args=(transport,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.connections == 3

    def test_one_that_the_server_closed_is_not_used(self, server: Recorder, transport: Transport) -> None:
        call(transport)
        server.hang_up()
        assert call(transport) == b"x"
        assert (server.connections, len(server.bodies)) == (2, 2)

    def test_one_that_lay_idle_for_long_is_not_used(
        self, server: Recorder, transport: Transport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        call(transport)
        monkeypatch.setattr(module, "IDLE_S", 0.0)
        call(transport)
        assert server.connections == 2

    def test_an_error_does_not_cost_the_connection(self, server: Recorder, transport: Transport) -> None:
        server.answer = answering(409, b'{"code":"IL409","what":"it moved","why":"","fix":""}', "application/json")
        for _ in range(2):
            with pytest.raises(Conflict):
                call(transport)
        assert server.connections == 1

    def test_a_fork_opens_its_own(self, server: Recorder) -> None:
        play(FORKS, server.url)
        assert server.bodies == [b"x", b"child", b"parent"]
        assert server.connections == 2

    def test_a_download_that_is_left_halfway_is_closed(self, server: Recorder, transport: Transport) -> None:
        server.answer = answering(200, b"x" * 200_000)
        chunks = transport.download("/a", b"", media_type=KIND, answer_type=KIND)
        assert next(chunks)
        chunks.close()  # type: ignore[attr-defined]
        assert call(transport)
        assert server.connections == 2

    def test_another_call_may_run_during_a_download(self, server: Recorder, transport: Transport) -> None:
        server.answer = answering(200, b"x" * 200_000)
        size = 0
        for chunk in transport.download("/a", b"", media_type=KIND, answer_type=KIND):
            size += len(chunk)
            assert len(call(transport)) == 200_000
        assert size == 200_000
        assert server.connections == 2


class TestRequests:
    def test_the_token_and_the_kind_are_shown(self, server: Recorder) -> None:
        call(Transport(server.url, token="secret"))
        assert server.headers[0]["authorization"] == "Bearer secret"
        assert server.headers[0]["content-type"] == KIND
        call(Transport(server.url))
        assert "authorization" not in server.headers[1]

    def test_a_path_before_the_api_is_kept(self, server: Recorder) -> None:
        call(Transport(server.url + "/team/"))
        assert server.paths == ["/team/a"]

    def test_pieces_are_sent_as_they_come(self, server: Recorder, transport: Transport) -> None:
        sent = transport.upload("/a", iter([b"ab", b"c"]), {"content-type": KIND}, answer_type=KIND)
        assert (sent, server.headers[0]["transfer-encoding"]) == (b"abc", "chunked")

    def test_what_the_pieces_raise_stays_its_own(self, server: Recorder, transport: Transport) -> None:
        def pieces() -> Iterator[bytes]:
            yield b"ab"
            raise FileNotFoundError("the file is gone")

        with pytest.raises(FileNotFoundError):
            transport.upload("/a", pieces(), {"content-type": KIND}, answer_type=KIND)
        assert call(transport) == b"x"


class TestFailures:
    @pytest.mark.parametrize(
        "address",
        ["", "localhost:8080", "ftp://host", "http://", "http://host:port", "http://[::1", "file:///etc/passwd"],
    )
    def test_an_address_that_is_none_is_refused(self, address: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            Transport(address)
        assert caught.value.fix

    def test_a_server_that_is_not_there(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with pytest.raises(Unavailable) as caught:
            call(Transport(f"http://127.0.0.1:{port}"))
        assert caught.value.fix == f"start it: interlock up --port {port}"

    def test_a_name_that_is_unknown(self) -> None:
        with pytest.raises(Unavailable):
            call(Transport("http://no.such.host.invalid"))

    def test_a_server_that_is_silent(self, server: Recorder) -> None:
        done = threading.Event()
        server.answer = lambda handler: done.wait(5) and None
        with pytest.raises(TimedOut) as caught:
            call(Transport(server.url, timeout_s=0.05))
        done.set()
        assert "0.05 s" in caught.value.why

    def test_a_call_that_fails_is_not_sent_again(self, server: Recorder, transport: Transport) -> None:
        call(transport)

        def hang_up(handler: Handler) -> None:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)

        server.answer = hang_up
        with pytest.raises(Unavailable):
            call(transport)
        assert len(server.bodies) == 2

    def test_an_answer_that_is_cut_short(self, server: Recorder, transport: Transport) -> None:
        server.answer = answering(200, b"x" * 10, length=20)
        with pytest.raises(Unavailable):
            call(transport)

    @pytest.mark.parametrize(
        "answer",
        [
            answering(200, b"<html>", "text/html"),
            answering(502, b"<html>Bad gateway", "text/html"),
            answering(500, b"\xff\xfe", "application/json"),
            answering(404, b'{"error":"of another server"}', "application/json"),
            answering(302, b"", "text/plain"),
        ],
    )
    def test_another_kind_of_server(
        self, server: Recorder, transport: Transport, answer: Callable[[Handler], None]
    ) -> None:
        server.answer = answer
        with pytest.raises(Unavailable) as caught:
            call(transport)
        assert "Interlock server" in caught.value.what

    def test_an_error_of_the_future_is_still_an_error(self, server: Recorder, transport: Transport) -> None:
        server.answer = answering(418, b'{"code":"IL418","what":"a teapot","why":"w","fix":"f"}', "application/json")
        with pytest.raises(InterlockError) as caught:
            call(transport)
        assert (caught.value.what, caught.value.why, caught.value.fix) == ("a teapot", "w", "f")
