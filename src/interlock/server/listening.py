"""Bind the address that a server answers at."""

from __future__ import annotations

import errno
import socket

from interlock.core.errors import InvalidInput, PortTaken
from interlock.server.guard import check_exposure

WAITING = 2_048
"""How many callers may wait to be accepted."""


def listen(host: str, port: int, *, token: str | None = None, is_guarded: bool = False) -> socket.socket:
    """Bind the address before anything else is done, so that a taken port costs nothing.

    Args:
        host: Address or name; one beyond this machine needs a token.
        port: 0 for any free one.
        token: The token that callers will have to show, if any.
        is_guarded: Whether a platform stands in front and decides who comes through, as before a container.

    Raises:
        PortTaken: Another process listens there.
        Refused: The address reaches beyond this machine, and there is no token.
        InvalidInput: There is no such address or port.
    """
    if not is_guarded:
        check_exposure(host, token=token)
    return _listen(host, port, shared=False)


def listen_for_each(
    host: str, port: int, workers: int, *, token: str | None = None, is_guarded: bool = False
) -> list[socket.socket]:
    """Bind an address once for each worker: the kernel shares out who connects (`SO_REUSEPORT`).

    Raises:
        PortTaken: Another process listens there.
        Refused: The address reaches beyond this machine, and there is no token.
        InvalidInput: There is no such address or port.
    """
    first = listen(host, port, token=token, is_guarded=is_guarded)
    if workers == 1:
        return [first]
    # bound alone first: a shared address would be shared with another server, too
    port = first.getsockname()[1]
    first.close()
    return [_listen(host, port, shared=True) for _ in range(workers)]


def _listen(host: str, port: int, *, shared: bool) -> socket.socket:
    bare = host.strip("[]")
    listener = socket.socket(socket.AF_INET6 if ":" in bare else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((bare, port))
        # listening now lets callers queue up while the application is put together
        listener.listen(WAITING)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {port} on {host} is taken",
                why="another process listens there",
                fix=f"interlock up --port {port + 1}, or --port 0 for any free port",
            ) from error
        raise InvalidInput(
            f"interlock cannot listen on {host}:{port}", why=str(error), fix="interlock up --host 127.0.0.1 --port 8080"
        ) from error
    listener.set_inheritable(False)
    return listener


def address(listener: socket.socket) -> str:
    """Return the URL under which this machine reaches a listener."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
