"""Read the head of an HTTP/1.1 request, strictly: what two readers could take for different things is refused.

Source: RFC 9110 and 9112; what a head may say of the length of its body is their section 6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import httptools
import msgspec

from interlock.core.errors import InvalidInput, LimitExceeded
from interlock.server.http import Rejection
from interlock.server.limits import Limits

END = b"\r\n\r\n"
CHUNKED = -1
"""In place of a body's length, where only its end will tell."""

_LOOSE_LINE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\n[ \t]")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LENGTH = re.compile(rb"\d{1,15}")
_ABSOLUTE = re.compile(rb"https?://([^/?]+)(.*)", re.IGNORECASE | re.DOTALL)


class Head(msgspec.Struct, gc=False):
    """What came before the body of a request.

    Args:
        method: `POST`.
        raw_path: The path of the target as it came, without the query.
        headers: By name in lower case; of repeated ones the last.
        scope: The same as an ASGI application is told it.
        length: How long the body is, or `CHUNKED`. Unit: bytes.
        keeps_alive: Whether the connection goes on after the answer.
        awaits_continue: Whether the client sends the body only when it is asked to.
        begins_at_once: Whether the answer may begin outside a task.
    """

    method: str
    raw_path: bytes
    headers: Mapping[bytes, bytes]
    scope: dict[str, Any]
    length: int
    keeps_alive: bool
    awaits_continue: bool
    begins_at_once: bool = False


class _Fields:
    """What the parser found."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))


def read_head(data: bytes, limits: Limits) -> Head:
    """Return what a head says, with its closing empty line.

    Raises:
        Rejection: It is no HTTP/1 (400, 505), says something of its body that could be taken in two ways (400), says
            what is not done here (417, 501), or announces too large a body (413).
    """
    if _LOOSE_LINE.search(data) or _CONTROL.search(data):
        raise _not_http("a line ends, or goes on, as it may not, or a control character is in it")
    fields = _Fields()
    parser = httptools.HttpRequestParser(fields)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise _not_http(str(error)) from error
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise Rejection(InvalidInput("the version of HTTP is not spoken", why="expected HTTP/1.1"), status=505)
    # the parser knows other protocols by their names, too
    if b" HTTP/" not in data[: data.find(b"\r\n")]:
        raise _not_http("the protocol's name is HTTP")
    headers = dict(fields.headers)
    method = parser.get_method().decode("latin-1")
    target = _origin_form(fields, method)
    raw_path, _, query = target.partition(b"?")
    length = _length(fields.headers, headers, version=version, limits=limits)
    connection = headers.get(b"connection", b"").lower()
    scope = {
        "type": "http",
        "http_version": version,
        "method": method,
        "path": unquote(raw_path),
        "raw_path": raw_path,
        "query_string": query,
        "headers": fields.headers,
    }
    return Head(
        method=method,
        raw_path=raw_path,
        headers=headers,
        scope=scope,
        length=length,
        keeps_alive=b"close" not in connection and (version == "1.1" or b"keep-alive" in connection),
        awaits_continue=_awaits_continue(headers, version) and length != 0,
    )


def _origin_form(fields: _Fields, method: str) -> bytes:
    """Return the target as a path, also where a client wrote it as for a proxy."""
    target = fields.target
    if method == "CONNECT":
        raise Rejection(InvalidInput("this is no proxy", why="CONNECT is for proxies"), status=405)
    if b"#" in target:
        raise _not_http("a target has no fragment")
    if target == b"*" and method == "OPTIONS":
        return b"/*"
    if absolute := _ABSOLUTE.fullmatch(target):
        hosts = [value for name, value in fields.headers if name == b"host"]
        if hosts and hosts[0].lower() != absolute[1].lower():
            raise _not_http("the target and the Host header name different hosts")
        target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    if not target.startswith(b"/"):
        raise _not_http("the target is no path")
    return target


def _length(listed: list[tuple[bytes, bytes]], headers: Mapping[bytes, bytes], *, version: str, limits: Limits) -> int:
    lengths = [value for name, value in listed if name == b"content-length"]
    codings = [value for name, value in listed if name == b"transfer-encoding"]
    if codings:
        if lengths or version != "1.1":
            raise _not_http("a body has either a length or a transfer encoding, and the latter in HTTP/1.1 only")
        if codings != [b"chunked"] and [one.lower() for one in codings] != [b"chunked"]:
            raise Rejection(InvalidInput("the transfer encoding is not taken", why="expected chunked"), status=501)
        return CHUNKED
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise _not_http("Content-Length is given once, in figures")
    length = int(lengths[0])
    if length > limits.body_bytes:
        raise too_large(limits)
    return length


def _awaits_continue(headers: Mapping[bytes, bytes], version: str) -> bool:
    expected = headers.get(b"expect")
    if expected is None or version == "1.0":
        return False
    if expected.lower() != b"100-continue":
        raise Rejection(InvalidInput("the expectation cannot be met", why="expected 100-continue"), status=417)
    return True


def too_large(limits: Limits) -> Rejection:
    """Return the refusal of a body."""
    error = LimitExceeded("the request body is too large", why=f"the limit is {limits.body_bytes} bytes")
    return Rejection(error, status=413)


def _not_http(why: str) -> Rejection:
    return Rejection(InvalidInput("the request cannot be read", why=f"it is not HTTP/1.1: {why[:200]}"), status=400)
