"""Reach the upstream server over kept connections, and know whether it is there."""

from __future__ import annotations

import base64
import http.client
import selectors
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

from interlock.core.errors import InvalidInput, Unavailable

CONNECT_S = 3.0
IDLE_S = 4.0
"""A connection that lay idle for longer is not used again: some servers close theirs after five seconds."""
_KEPT = 64
_CHUNK_BYTES = 1 << 18
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})

AWAY = frozenset({502, 503, 504})
"""What a gateway answers in the place of a server that is away."""


@dataclass(frozen=True)
class Reply:
    """An answer of the upstream server, whole."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header, empty where it is not there."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def busy(self) -> bool:
        """Whether the server fails for a reason that lies with it and may pass."""
        return (self.status >= 500 and self.status not in (501, 505)) or self.status in (408, 425, 429)

    @property
    def passing(self) -> bool:
        """Whether the same request may well succeed later, be it after someone has put something right."""
        return self.busy or 300 <= self.status < 400 or self.status in (401, 407)


class OpenReply:
    """An answer of the upstream server whose body is still to be read, once, by `read` or `chunks`.

    Args:
        upstream: Where it comes from.
        connection: The connection it comes over, which is kept once it was read to the end.
        response: The answer.
    """

    def __init__(
        self, upstream: Upstream, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        self._upstream = upstream
        self._connection = connection
        self._response = response
        self.status = response.status
        self.headers = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP]
        self.size_bytes = response.length
        self.media_type = response.headers.get_content_type()

    def read(self) -> Reply:
        """Return the answer whole.

        Raises:
            Unavailable: The server went away meanwhile.
        """
        with self._upstream.watched(), self._closing():
            return Reply(self.status, self.headers, self._response.read())

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            Unavailable: The server went away meanwhile.
        """
        with self._upstream.watched(), self._closing():
            while chunk := self._response.read1(_CHUNK_BYTES):
                yield chunk

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._upstream.give_back(self._connection, self._response)


class Upstream:
    """The server that writes are forwarded to; thread-safe.

    Args:
        url: Its address, as an MLflow client would be given it.
        authorization: The `Authorization` header for requests that come without one.

    Raises:
        InvalidInput: The address is none.
    """

    def __init__(self, url: str, *, authorization: str = "") -> None:
        self.url = url.rstrip("/")
        try:
            parts = urlsplit(self.url)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError as error:
            raise _not_an_address(url) from error
        if parts.scheme not in ("http", "https") or not self._host or parts.username or parts.query or parts.fragment:
            raise _not_an_address(url)
        self._secure = parts.scheme == "https"
        self._prefix = parts.path
        self._authorization = authorization
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        self.away_since: float | None = None
        """When it went away, in seconds since 1970; None while it is there."""
        self.trouble = ""
        """Why it is thought to be away, or what it last complained of."""

    def open(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | BinaryIO = b"",
        *,
        timeout_s: float = 20.0,
    ) -> OpenReply:
        """Send a request and return the answer as soon as its head is here.

        Args:
            method: HTTP method.
            target: Path and query below the server's address.
            headers: What to send, names in lower case; the length of a body that is a file has to be among them.
            body: What to send after them.
            timeout_s: How long the server may be silent.

        Raises:
            Unavailable: It does not answer. It may have got the request all the same.
        """
        sent = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP}
        if self._authorization:
            sent.setdefault("authorization", self._authorization)
        connection = self._take()
        try:
            with self.watched():
                if connection.sock is None:
                    connection.connect()
                connection.sock.settimeout(timeout_s)
                connection.request(method, self._prefix + target, body or None, sent)
                return OpenReply(self, connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    def call(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | BinaryIO = b"",
        *,
        timeout_s: float = 20.0,
    ) -> Reply:
        """Send a request and return the whole answer, as `open` does."""
        reply = self.open(method, target, headers, body, timeout_s=timeout_s).read()
        if reply.status in AWAY:
            self.mark_away(f"it answers with status {reply.status}")
        return reply

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Notice when the server goes away in the middle of something."""
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            why = (
                "it was silent for too long" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
            )
            self.mark_away(why)
            raise Unavailable(f"{self.url} does not answer", why=why) from error

    def mark_away(self, why: str) -> None:
        """Note that the server is away."""
        self.trouble = why
        if self.away_since is None:
            self.away_since = time.time()

    def mark_there(self) -> None:
        """Note that the server is there."""
        self.away_since, self.trouble = None, ""

    def give_back(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        """Keep a connection whose answer was read to the end; close any other."""
        if response.isclosed() and connection.sock is not None and len(self._idle) < _KEPT:
            self._idle.append((connection, time.monotonic()))
        else:
            response.close()
            connection.close()

    def _take(self) -> http.client.HTTPConnection:
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                break
            if time.monotonic() - since < IDLE_S and _is_quiet(connection):
                return connection
            connection.close()
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=CONNECT_S, blocksize=_CHUNK_BYTES)

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop()[0].close()


def authorization(environ: Mapping[str, str]) -> str:
    """Return the `Authorization` header that an MLflow client would send with these settings, empty for none."""
    token = environ.get("MLFLOW_TRACKING_TOKEN") or environ.get("INTERLOCK_TOKEN")
    if token:
        return f"Bearer {token.strip()}"
    name, word = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
    return f"Basic {base64.b64encode(f'{name}:{word}'.encode()).decode()}" if name and word else ""


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Say whether the server has neither closed the connection nor sent what nobody asked for."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection.sock, selectors.EVENT_READ)
        return not selector.select(0)


def _not_an_address(url: str) -> InvalidInput:
    return InvalidInput(
        f"'{url.rpartition('@')[2]}' is not the address of a tracking server",
        why="expected http://HOST:PORT or https://HOST:PORT, with an account, if any, in MLFLOW_TRACKING_USERNAME",
        fix="interlock spool --to http://127.0.0.1:5000",
    )
