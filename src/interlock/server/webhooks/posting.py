"""Post a small text to an address of a client's choice: bounded in time and size, and nowhere that was not checked."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence

import msgspec

from interlock.core.errors import InterlockError, TimedOut, Unavailable
from interlock.server.webhooks.addresses import Address, SocketAddress, read_url, resolve

TIMEOUT_S = 10.0
LONGEST_ANSWER_BYTES = 16_384
USER_AGENT = "interlock-webhooks/1"


class PostAnswer(msgspec.Struct, frozen=True):
    """What came back: the status, and the beginning of the body."""

    status: int
    body: str


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, private: bool, timeout_s: float = TIMEOUT_S
) -> PostAnswer:
    """Post JSON to a URL once; redirects are not followed and no proxy is asked.

    The name is resolved once, every address it has is checked, and the connection goes to one of those.

    Args:
        url: Where to.
        body: The JSON.
        headers: Beside those that every request has.
        private: Whether private addresses may be reached.
        timeout_s: How long all of it may take.

    Raises:
        InvalidInput: The URL is none.
        Refused: It leads where webhooks may not go.
        TimedOut: It took too long.
        Unavailable: Nobody answers there, or not in HTTP, or not with a certificate that is trusted.
    """
    address = read_url(url, private=private)
    deadline = _Deadline(timeout_s)
    try:
        with contextlib.closing(_connect(address, resolve(address, private=private), deadline)) as connection:
            return _exchange(connection, address, body, headers, deadline)
    except InterlockError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        if deadline.passed or isinstance(error, TimeoutError):
            raise TimedOut(f"{address.authority} did not answer", why=f"within {timeout_s:g} s") from error
        raise Unavailable(f"{address.authority} did not answer", why=str(error) or type(error).__name__) from error
    finally:
        deadline.end()


class _Deadline:
    """Cuts a connection off when its time is over, however slowly it goes on."""

    def __init__(self, timeout_s: float) -> None:
        self._end_s = time.monotonic() + timeout_s
        self.passed = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(timeout_s, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, connection: socket.socket) -> None:
        """Cut this one.

        Raises:
            TimeoutError: It is too late for it.
        """
        self._socket = connection
        left_s = self._end_s - time.monotonic()
        if self.passed or left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)

    def end(self) -> None:
        """Cut nothing any more."""
        self._timer.cancel()

    def _cut(self) -> None:
        self.passed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _connect(address: Address, places: Sequence[SocketAddress], deadline: _Deadline) -> socket.socket:
    """Return a connection to the first of some places that takes one."""
    trouble: OSError | None = None
    for family, place in places:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            deadline.watch(connection)
            connection.connect(place)
            return _secured(connection, address.host, deadline) if address.secure else connection
        except OSError as error:
            connection.close()
            trouble = error
            if deadline.passed:
                break
    assert trouble is not None
    raise trouble


def _secured(plain: socket.socket, host: str, deadline: _Deadline) -> socket.socket:
    """Return a connection in TLS, to a host whose certificate is trusted."""
    context = ssl.create_default_context()
    secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    try:
        deadline.watch(secured)
        secured.do_handshake()
    except OSError:
        secured.close()
        raise
    return secured


def _exchange(
    connection: socket.socket, address: Address, body: bytes, headers: Mapping[str, str], deadline: _Deadline
) -> PostAnswer:
    client = http.client.HTTPConnection(address.host, address.port)
    client.sock = connection
    sent = {"Host": address.authority, "User-Agent": USER_AGENT, "Content-Type": "application/json", **headers}
    client.request("POST", address.target, body, {**sent, "Connection": "close"})
    with contextlib.closing(client.getresponse()) as answer:
        if deadline.passed:
            # a head that was cut off reads like one that ended
            raise TimeoutError
        text = b""
        # the status has come, so that the event was told; how the body goes on changes nothing
        with contextlib.suppress(OSError, http.client.HTTPException):
            text = answer.read(LONGEST_ANSWER_BYTES)
        return PostAnswer(answer.status, text.decode("utf-8", errors="replace"))
