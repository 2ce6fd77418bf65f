"""Speak to a server by a raw socket, as clients should not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.serving_examples import ROW, oip_inputs

BODY = json.dumps({"inputs": oip_inputs(ROW)}).encode()
HOST = b"Host: localhost\r\n"
PATH = b"/v2/models/delay/infer"


def request(
    body: bytes = BODY, *headers: bytes, line: bytes = b"POST " + PATH + b" HTTP/1.1", host: bytes = HOST
) -> bytes:
    """Return a request whose length is told."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return line + b"\r\n" + host + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", headers: bytes = b"") -> bytes:
    """Return a request in chunks."""
    head = b"POST " + PATH + b" HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n" + headers + b"\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


@dataclass
class Answer:
    """One answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Talk:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._read = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, *, head_only: bool = False) -> Answer:
        """Read one answer; an end of the connection instead fails the test."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(first.split()[1])
        if status == 100:
            return Answer(100, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, b"" if head_only else self._chunks())
        length = 0 if head_only else int(headers["content-length"])
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return Answer(status, headers, body)

    def ended(self) -> bool:
        """Say whether the server closes, within the socket's patience, without another byte."""
        try:
            return not self._read and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._read:
                self._more()
            size, _, self._read = self._read.partition(b"\r\n")
            while len(self._read) < int(size, 16) + 2:
                self._more()
            body += self._read[: int(size, 16)]
            self._read = self._read[int(size, 16) + 2 :]
            if not int(size, 16):
                return body

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        assert data, f"the connection ended after {self._read!r}"
        self._read += data


@contextmanager
def talk(url: str) -> Iterator[Talk]:
    """Connect for the length of a block."""
    place = urlsplit(url)
    assert place.hostname is not None
    with socket.create_connection((place.hostname, place.port or 80), timeout=20) as connection:
        yield Talk(connection)
