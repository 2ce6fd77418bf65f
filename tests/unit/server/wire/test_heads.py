"""What a head means."""

from __future__ import annotations

import pytest

from interlock.server.http import Rejection
from interlock.server.limits import Limits
from interlock.server.wire.heads import CHUNKED, Head, read_head


def read(text: str, limits: Limits | None = None) -> Head:
    return read_head(text.replace("\n", "\r\n").encode("latin-1"), limits or Limits())


def test_what_a_head_says() -> None:
    head = read("POST /v2/a%20b?x=1&y=%20 HTTP/1.1\nHost: LOCAL\nContent-Length: 12\nX-A: 1\nX-A: 2\n\n")
    assert (head.method, head.raw_path, head.length, head.keeps_alive) == ("POST", b"/v2/a%20b", 12, True)
    assert head.headers == {b"host": b"LOCAL", b"content-length": b"12", b"x-a": b"2"}
    assert head.scope["path"] == "/v2/a b"
    assert head.scope["query_string"] == b"x=1&y=%20"
    assert head.scope["headers"][-2:] == [(b"x-a", b"1"), (b"x-a", b"2")]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("GET / HTTP/1.1\nHost: a\n\n", 0),
        ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n", CHUNKED),
        ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked\n\n", CHUNKED),
    ],
)
def test_how_long_the_body_is(text: str, length: int) -> None:
    assert read(text).length == length


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        ("GET / HTTP/1.1\nHost: a\n\n", True),
        ("GET / HTTP/1.1\nHost: a\nConnection: Close\n\n", False),
        ("GET / HTTP/1.0\nHost: a\n\n", False),
        ("GET / HTTP/1.0\nHost: a\nConnection: Keep-Alive\n\n", True),
    ],
)
def test_whether_the_connection_is_kept(text: str, keeps: bool) -> None:
    assert read(text).keeps_alive is keeps


@pytest.mark.parametrize(
    ("text", "awaits"),
    [
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: 100-Continue\n\n", True),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 0\nExpect: 100-continue\n\n", False),
        ("POST / HTTP/1.0\nHost: a\nContent-Length: 3\nExpect: 100-continue\n\n", False),
    ],
)
def test_whether_the_client_waits_to_be_asked_for_the_body(text: str, awaits: bool) -> None:
    assert read(text).awaits_continue is awaits


@pytest.mark.parametrize(
    ("target", "path"),
    [("http://a/v2?x", b"/v2"), ("HTTP://A", b"/"), ("http://a?x", b"/"), ("/v2//x", b"/v2//x")],
)
def test_targets(target: str, path: bytes) -> None:
    assert read(f"GET {target} HTTP/1.1\nHost: a\n\n").raw_path == path


def test_the_target_of_all_options() -> None:
    assert read("OPTIONS * HTTP/1.1\nHost: a\n\n").raw_path == b"/*"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("GET / HTTP/1.1\nHost : a\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\n folded\n\n", 400),
        ("GET / HTTP/1.1\nHost: a\x07\n\n", 400),
        ("GET / HTTP/3.0\nHost: a\n\n", 400),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Length: 1\n\n", 400),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 1\nTransfer-Encoding: chunked\n\n", 400),
        ("POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n", 400),
        ("POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked\n\n", 400),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 1_0\n\n", 400),
        ("POST / HTTP/1.1\nHost: a\nContent-Length: 101\n\n", 413),
        ("POST / HTTP/1.1\nHost: a\nExpect: more\nContent-Length: 1\n\n", 417),
        ("CONNECT a:80 HTTP/1.1\nHost: a\n\n", 405),
        ("GET http://b/ HTTP/1.1\nHost: a\n\n", 400),
    ],
)
def test_what_could_be_taken_in_two_ways_is_refused(text: str, status: int) -> None:
    with pytest.raises(Rejection) as caught:
        read(text, Limits(body_bytes=100))
    assert caught.value.status == status


def test_an_upgrade_is_an_ordinary_request() -> None:
    assert read("GET /v2 HTTP/1.1\nHost: a\nConnection: upgrade\nUpgrade: websocket\n\n").raw_path == b"/v2"
