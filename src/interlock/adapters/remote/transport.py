"""Carry calls to a server over kept-alive HTTP connections, one call at a time on each."""

from __future__ import annotations

import http.client
import os
import selectors
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, TimedOut, Unavailable
from interlock.ports.framing import rebuild

CONNECT_S = 5.0
IDLE_S = 30.0
"""A connection that lay idle for longer is not used again; the server closes its own later than that."""

_CHUNK_BYTES = 1 << 16
_KEPT = 32


_Idle = tuple[http.client.HTTPConnection, int, float]
"""A connection, the process that opened it, and since when it lies idle."""


class _Problem(msgspec.Struct):
    code: str
    what: str
    why: str
    fix: str


class Transport:
    """Sends requests to one server.

    Thread-safe, and usable after a fork: each call has a connection of its own while it runs. Nothing is sent
    twice: a call that fails after it was sent may have been executed, and only the caller knows whether it may
    be repeated.

    Args:
        base_url: Where the server is (`http://127.0.0.1:8080`).
        token: What to show it, where it wants a token.
        timeout_s: How long the server may fall silent.

    Raises:
        InvalidInput: The address is none.
    """

    def __init__(self, base_url: str, *, token: str | None = None, timeout_s: float = 60.0) -> None:
        self._url = base_url.rstrip("/")
        try:
            parts = urlsplit(self._url)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError as error:
            raise _not_an_address(base_url) from error
        if parts.scheme not in ("http", "https") or not self._host:
            raise _not_an_address(base_url)
        self._secure = parts.scheme == "https"
        self._prefix = parts.path
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s
        self._idle: list[_Idle] = []
        weakref.finalize(self, _close_all, self._idle)

    def call(self, path: str, body: bytes, *, media_type: str, answer_type: str) -> bytes:
        """Send a body and return the whole answer."""
        with self._exchange(path, body, {"content-type": media_type}, answer_type) as response, self._translated():
            return response.read()

    def upload(self, path: str, chunks: Iterable[bytes], headers: dict[str, str], *, answer_type: str) -> bytes:
        """Send a body piece by piece and return the whole answer; what the iterator raises stays its own."""
        with self._exchange(path, chunks, headers, answer_type) as response, self._translated():
            return response.read()

    def download(self, path: str, body: bytes, *, media_type: str, answer_type: str) -> Iterator[bytes]:
        """Send a body and yield the answer as it arrives."""
        with self._exchange(path, body, {"content-type": media_type}, answer_type) as response:
            while True:
                with self._translated():
                    data = response.read1(_CHUNK_BYTES)
                if not data:
                    return
                yield data

    @contextmanager
    def _exchange(
        self, path: str, body: bytes | Iterable[bytes], headers: dict[str, str], answer_type: str
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._take()
        response = None
        try:
            self._send(connection, self._prefix + path, body, {**self._headers, **headers})
            with self._translated():
                response = connection.getresponse()
                if response.status != 200:
                    raise self._error(response.status, response.read())
            found = response.headers.get_content_type()
            if found != answer_type:
                raise self._foreign(f"expected an answer of {answer_type}, got {found}")
            yield response
        finally:
            # a connection is fit for another call only when its last answer was read to the end
            if response is not None and response.isclosed() and connection.sock is not None and len(self._idle) < _KEPT:
                self._idle.append((connection, os.getpid(), time.monotonic()))
            else:
                connection.close()

    def _send(
        self, connection: http.client.HTTPConnection, path: str, body: bytes | Iterable[bytes], headers: dict[str, str]
    ) -> None:
        if isinstance(body, bytes):
            with self._translated():
                connection.request("POST", path, body, headers)
            return
        with self._translated():
            connection.putrequest("POST", path)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.putheader("transfer-encoding", "chunked")
            connection.endheaders()
        for chunk in body:
            with self._translated():
                connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        with self._translated():
            connection.send(b"0\r\n\r\n")

    def _take(self) -> http.client.HTTPConnection:
        """Return a kept connection that the server still holds, or open a new one."""
        while True:
            try:
                connection, pid, since = self._idle.pop()
            except IndexError:
                break
            if pid == os.getpid() and time.monotonic() - since < IDLE_S and _is_quiet(connection):
                return connection
            connection.close()
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=CONNECT_S)
        with self._translated():
            connection.connect()
        connection.sock.settimeout(self._timeout_s)
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except InterlockError:
            raise
        except TimeoutError as error:
            raise TimedOut(
                f"{self._url} did not answer in time",
                why=f"it was silent for {self._timeout_s:g} s",
                fix=f"look whether it is overloaded: curl {self._url}/healthz",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"{self._url} does not answer",
                why=f"{type(error).__name__}: {error}",
                fix=f"start it: interlock up --port {self._port or 80}",
            ) from error

    def _error(self, status: int, body: bytes) -> InterlockError:
        try:
            problem = msgspec.json.decode(body, type=_Problem)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._foreign(f"its answer has status {status} and does not say why")
        return rebuild(problem.code, problem.what, problem.why, problem.fix)

    def _foreign(self, why: str) -> Unavailable:
        return Unavailable(f"{self._url} does not answer as an Interlock server", why=why, fix="look at the address")


def _not_an_address(text: str) -> InvalidInput:
    return InvalidInput(
        f"'{text}' is not the address of a server",
        why="expected http://HOST:PORT or https://HOST:PORT",
        fix="INTERLOCK_URI=http://127.0.0.1:8080",
    )


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Say whether the server has neither closed the connection nor sent what nobody asked for."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection.sock, selectors.EVENT_READ)
        return not selector.select(0)


def _close_all(idle: list[_Idle]) -> None:
    for connection, _, _ in idle:
        connection.close()
