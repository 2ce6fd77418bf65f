"""Read the replies of a server strictly: what a client could take for two different things is told as a fault."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]*")
_FIELD = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([^\r\n\x00]*)")
_LARGEST = 64 * 1024 * 1024


class Malformed(Exception):
    """A reply that is not HTTP/1.1."""


class Reply(msgspec.Struct):
    """One reply.

    Args:
        status: Its status.
        headers: Its headers by name in lower case.
        body: Its body, put together and decompressed.
        took_s: How long it took from the last byte that was sent. Unit: seconds.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float = 0.0

    @property
    def is_json(self) -> bool:
        """Whether it says that it is JSON."""
        return self.headers.get("content-type", "").partition(";")[0].strip() == "application/json"

    def json(self) -> Any:
        """Return what it says; with the extension of binary tensors, its JSON part."""
        length = self.headers.get("inference-header-content-length")
        return json.loads(self.body if length is None else self.body[: int(length)])


class Stream:
    """What a server sends on a connection.

    Args:
        connection: The connection.
        patience_s: How long to wait for each byte.
    """

    def __init__(self, connection: socket.socket, *, patience_s: float) -> None:
        self._connection = connection
        self._buffer = b""
        self.has_ended = False
        self.was_reset = False
        self.is_late = False
        connection.settimeout(patience_s)

    @property
    def left(self) -> bytes:
        """What has arrived and belongs to no reply."""
        return self._buffer

    def reply(self, *, head_only: bool = False) -> Reply | None:
        """Return the next reply; None where the connection ends before one, or nothing comes.

        Raises:
            Malformed: It is none, or ends too early.
        """
        began = time.perf_counter()
        while True:
            head = self._until(b"\r\n\r\n", most=65_536)
            if head is None:
                if self._buffer and not self.was_reset and not self.is_late:
                    raise Malformed(f"the connection ended within a head: {self._buffer[:80]!r}")
                return None
            status, headers = _head(head)
            if status != 100:
                break
        body = b"" if head_only or status in (204, 304) else self._body(headers)
        coding = headers.get("content-encoding")
        try:
            body = _decompressed(body, coding) if body else body
        except (zlib.error, OSError, EOFError) as error:
            raise Malformed(f"the body is not {coding}: {error}") from error
        return Reply(status, headers, body, time.perf_counter() - began)

    def drain(self) -> None:
        """Read until the connection ends or falls silent."""
        while self._more():
            if len(self._buffer) > _LARGEST:
                raise Malformed("the server sends without an end")

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            if "content-length" in headers:
                raise Malformed("a reply has both a length and chunks")
            return b"".join(self._chunks())
        length = headers.get("content-length")
        if length is None:
            if headers.get("connection") != "close":
                raise Malformed("a reply has neither a length nor chunks, and the connection stays")
            self.drain()
            body, self._buffer = self._buffer, b""
            return body
        body_or_none = self._exactly(int(length))
        if body_or_none is None:
            raise Malformed(f"a body of {length} bytes ended after {len(self._buffer)}")
        return body_or_none

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._until(b"\r\n", most=128)
            if line is None:
                raise Malformed("a chunked reply ended too early")
            size = int(line, 16)
            chunk = self._exactly(size + 2)
            if chunk is None or not chunk.endswith(b"\r\n"):
                raise Malformed("a chunk is not as long as it says")
            if size == 0:
                return
            yield chunk[:-2]

    def _until(self, end: bytes, *, most: int) -> bytes | None:
        while (cut := self._buffer.find(end)) < 0:
            if len(self._buffer) > most:
                raise Malformed(f"no end after {most} bytes: {self._buffer[:80]!r}")
            if not self._more():
                return None
        found, self._buffer = self._buffer[:cut], self._buffer[cut + len(end) :]
        return found

    def _exactly(self, size: int) -> bytes | None:
        if size > _LARGEST:
            raise Malformed(f"a body of {size} bytes")
        while len(self._buffer) < size:
            if not self._more():
                return None
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> bool:
        try:
            data = self._connection.recv(262_144)
        except TimeoutError:
            self.is_late = True
            return False
        except (ConnectionError, OSError):
            self.was_reset = self.has_ended = True
            return False
        if not data:
            self.has_ended = True
            return False
        self._buffer += data
        return True


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise Malformed(f"no status line: {first[:80]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Malformed(f"no header: {line[:80]!r}")
        name = field[1].decode().lower()
        if name in headers and name in ("content-length", "transfer-encoding", "content-type"):
            raise Malformed(f"{name} comes twice")
        headers[name] = field[2].decode("latin-1")
    return int(status[1]), headers


def _decompressed(body: bytes, coding: str | None) -> bytes:
    match coding:
        case None:
            return body
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
    raise Malformed(f"the body has the unknown coding {coding}")


def ids_of(reply: Reply) -> set[str]:
    """Return the prediction ids that a reply names, in whatever protocol it speaks."""
    if reply.status != 200:
        return set()
    header = reply.headers.get("x-interlock-prediction-ids")
    if header:
        return set(header.split(","))
    try:
        said = reply.json()
    except ValueError:
        return set()
    if not isinstance(said, dict):
        return set()
    found = said.get("prediction_ids")
    for place in ("parameters", "metadata"):
        inner = said.get(place)
        if found is None and isinstance(inner, dict):
            found = inner.get("prediction_ids")
    if isinstance(said.get("prediction_id"), str):
        found = [said["prediction_id"]]
    return set(found) if isinstance(found, list) else set()
