"""The upstream server is reached over kept connections, and missed when it goes."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Iterator

import pytest

from interlock.core.errors import InvalidInput, Unavailable
from interlock.server.spool.upstream import Reply, Upstream, authorization
from tests.unit.server.spooled import API, Place, Tracking

LOGGED = b'{"run_id": "r", "key": "k", "value": 1, "timestamp": 1}'
JSON = {"content-type": "application/json"}


class Scripted:
    """A server that answers each request on each connection with the next of some bytes, or hangs."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/prefix/"
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Scripted:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        while self._answers:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                while self._answers and (request := connection.recv(65536)):
                    self.requests.append(request)
                    answer = self._answers.pop(0)
                    if answer == HANG:
                        connection.recv(65536)
                        break
                    connection.sendall(answer)
                    if answer in (b"", CUT) or b"close" in answer:
                        break


HANG = b"hang"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
LAST = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"


@contextlib.contextmanager
def reached(url: str, **options: str) -> Iterator[Upstream]:
    upstream = Upstream(url, **options)
    try:
        yield upstream
    finally:
        upstream.close()


def test_calls_share_a_connection_and_carry_the_prefix() -> None:
    with Scripted(OK, OK, LAST) as server, reached(server.url) as upstream:
        for _ in range(3):
            assert upstream.call("GET", "/a?b=c", {}) == Reply(200, [*JSON_HEADERS, ("Content-Length", "2")], b"{}")
        assert server.connections == 1
        assert server.requests[0].startswith(b"GET /prefix/a?b=c HTTP/1.1\r\n")


JSON_HEADERS = [("Content-Type", "application/json")]


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    with Scripted(LAST, OK) as server, reached(server.url) as upstream:
        assert [upstream.call("GET", "/", {}).status for _ in range(2)] == [200, 200]
        assert server.connections == 2


@pytest.mark.parametrize(
    ("given", "shown"),
    [({}, b"Bearer own"), ({"authorization": "Basic theirs"}, b"Basic theirs")],
)
def test_the_clients_credentials_come_before_its_own(given: dict[str, str], shown: bytes) -> None:
    with Scripted(LAST) as server, reached(server.url, authorization="Bearer own") as upstream:
        upstream.call("POST", "/", {**given, "connection": "keep-alive", "transfer-encoding": "chunked"}, b"{}")
        head = server.requests[0].partition(b"\r\n\r\n")[0].lower()
        assert b"authorization: " + shown.lower() in head
        assert b"chunked" not in head and b"content-length: 2" in head


@pytest.mark.parametrize("answer", [b"", CUT, b"nonsense\r\n\r\n"])
def test_a_server_that_breaks_off_is_away(answer: bytes) -> None:
    with Scripted(answer) as server, reached(server.url) as upstream:
        with pytest.raises(Unavailable):
            upstream.call("GET", "/", {})
        assert upstream.away_since is not None and upstream.trouble


def test_a_server_that_is_silent_is_away() -> None:
    with Scripted(HANG) as server, reached(server.url) as upstream:
        with pytest.raises(Unavailable):
            upstream.call("GET", "/", {}, timeout_s=0.05)
        assert upstream.trouble == "it was silent for too long"


def test_a_server_that_is_not_there_is_away_until_it_answers_again() -> None:
    place = Place(Tracking())
    with reached(place.url) as upstream:
        for _ in range(2):
            with pytest.raises(Unavailable):
                upstream.call("GET", "/version", {})
        since = upstream.away_since
        assert since is not None and "refused" in upstream.trouble
        place.come()
        assert upstream.call("GET", "/version", {}).body == b"3.17.0"
        assert upstream.away_since == since, "who asks decides whether it is well"
        upstream.mark_there()
        assert (upstream.away_since, upstream.trouble) == (None, "")
        place.go()
        with pytest.raises(Unavailable):
            upstream.call("GET", "/version", {})


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_may_say_that_it_is_away(status: int) -> None:
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()
    with Scripted(answer) as server, reached(server.url) as upstream:
        assert upstream.call("GET", "/", {}).status == status
        assert upstream.away_since is not None


@pytest.mark.parametrize(
    ("status", "busy", "passing"),
    [
        (200, False, False),
        (302, False, True),
        (400, False, False),
        (401, False, True),
        (403, False, False),
        (404, False, False),
        (408, True, True),
        (429, True, True),
        (500, True, True),
        (501, False, False),
        (503, True, True),
        (507, True, True),
    ],
)
def test_which_failures_may_pass(status: int, busy: bool, passing: bool) -> None:
    reply = Reply(status, [("X-Y", "1")], b"")
    assert (reply.busy, reply.passing, reply.header("x-y"), reply.header("z")) == (busy, passing, "1", "")


def test_files_are_sent_and_answers_can_be_read_bit_by_bit() -> None:
    tracking = Tracking()
    place = Place(tracking)
    place.come()
    data = bytes(range(256)) * 5000
    with reached(place.url) as upstream:
        target = "/api/2.0/mlflow-artifacts/artifacts/0/a/f"
        upstream.call("PUT", target, {"content-length": str(len(data))}, io.BytesIO(data))
        assert tracking.artifacts["0/a/f"] == data
        reply = upstream.open("GET", f"{API}/experiments/search", {})
        assert (reply.status, reply.media_type) == (200, "application/json")
        assert b"".join(reply.chunks()).startswith(b'{"experiments"')
    place.go()


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:5000", "ftp://x", "http://", "http://h:port", "http://me:pw@h:1", "http://h/?a=b", "http://h/#a"],
)
def test_what_is_no_address_is_told_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="not the address of a tracking server") as refusal:
        Upstream(url)
    assert "pw@" not in str(refusal.value)


@pytest.mark.parametrize(
    ("environ", "header"),
    [
        ({}, ""),
        ({"MLFLOW_TRACKING_TOKEN": " t "}, "Bearer t"),
        ({"INTERLOCK_TOKEN": "i", "MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"}, "Bearer i"),
        ({"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p"}, "Basic dTpw"),
        ({"MLFLOW_TRACKING_USERNAME": "u"}, ""),
    ],
)
def test_credentials_are_those_of_an_mlflow_client(environ: dict[str, str], header: str) -> None:
    assert authorization(environ) == header
