"""Answers as bytes."""

from __future__ import annotations

from interlock.server.calls import JSON, Reply
from interlock.server.wire.replies import chunk_of, head_of, whole_of


def test_a_usual_answer() -> None:
    assert whole_of(Reply(b"{}"), stays=True) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )


def test_the_head_of_an_answer_tells_the_length_of_its_body() -> None:
    assert whole_of(Reply(b"{}"), stays=True, head_only=True) == whole_of(Reply(b"{}"), stays=True)[:-2]


def test_an_unusual_answer() -> None:
    reply = Reply(b"late", 504, ((b"content-type", b"text/plain"), (b"retry-after", b"1")))
    assert whole_of(reply, stays=False) == (
        b"HTTP/1.1 504 Gateway Timeout\r\ncontent-type: text/plain\r\nretry-after: 1\r\nconnection: close\r\n"
        b"content-length: 4\r\n\r\nlate"
    )


def test_an_answer_that_comes_in_parts() -> None:
    assert head_of(200, (JSON,), stays=True, chunked=True).endswith(b"transfer-encoding: chunked\r\n\r\n")
    assert b"transfer-encoding" not in head_of(200, (JSON,), stays=False, chunked=False)
    assert chunk_of(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"
