"""Write answers as bytes: as much as possible once and for all."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from interlock.server.calls import JSON, Header, Reply

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
STREAM_END = b"0\r\n\r\n"

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_USUAL = (JSON,)
_USUAL_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


def whole_of(reply: Reply, *, stays: bool, head_only: bool = False) -> bytes:
    """Return an answer that lies in memory.

    Args:
        reply: The answer.
        stays: Whether the connection is kept.
        head_only: Whether only its head is wanted.
    """
    body = reply.body
    if stays and reply.status == 200 and reply.headers == _USUAL and not head_only:
        return _USUAL_HEAD % (len(body), body)
    lines = [_first_lines(reply.status, reply.headers, stays=stays), b"content-length: %d\r\n\r\n" % len(body)]
    return b"".join(lines if head_only else [*lines, body])


def head_of(status: int, headers: Sequence[Header], *, stays: bool, chunked: bool) -> bytes:
    """Return the head of an answer whose length is not known yet."""
    framing = b"transfer-encoding: chunked\r\n\r\n" if chunked else b"\r\n"
    return _first_lines(status, headers, stays=stays) + framing


def chunk_of(part: bytes) -> bytes:
    """Return a part of such an answer."""
    return b"%x\r\n%b\r\n" % (len(part), part)


def _first_lines(status: int, headers: Sequence[Header], *, stays: bool) -> bytes:
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, "").encode())]
    lines += [b"%b: %b\r\n" % header for header in headers]
    if not stays:
        lines.append(b"connection: close\r\n")
    return b"".join(lines)
