"""Listen, serve until told to stop, and stop gracefully: one process, one event loop."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from interlock.core.errors import Unavailable
from interlock.server.http import AsgiApp
from interlock.server.listening import address, listen
from interlock.server.protocol import BoundedHttpProtocol

__all__ = ["Server", "address", "listen", "serve", "serving"]

KEEP_ALIVE_S = 75
"""Longer than clients keep an idle connection, so that none is closed under a request."""
GRACE_S = 10
"""How long requests may still run after a signal."""


class Server(uvicorn.Server):
    """A uvicorn server that ends its streams when told to stop, and exits with 0.

    Args:
        app: What answers.
        on_ready: Called once requests are answered.
        on_stop: Called when the stop begins, before open requests are waited for.
    """

    def __init__(
        self, app: AsgiApp, *, on_ready: Callable[[], None] | None = None, on_stop: Callable[[], None] | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedHttpProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        # what was made by now stays for good, and requests leave next to nothing in cycles: the collector may rest
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End streams, finish requests, close connections."""
        if self._on_stop is not None:
            self._on_stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to stop; a second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully; when told again, at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def serve(
    app: AsgiApp,
    listener: socket.socket,
    *,
    on_ready: Callable[[], None] | None = None,
    on_stop: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; then finish what runs and return."""
    Server(app, on_ready=on_ready, on_stop=on_stop).run([listener])


@contextlib.contextmanager
def serving(app: AsgiApp, listener: socket.socket, *, on_stop: Callable[[], None] | None = None) -> Iterator[str]:
    """Serve from a thread for the length of a block; give the address.

    Example:
        with serving(app, listen("127.0.0.1", 0)) as url:
            httpx.get(url + "/healthz")
    """
    ready = threading.Event()
    server = Server(app, on_ready=ready.set, on_stop=on_stop)
    thread = threading.Thread(target=server.run, args=([listener],), name="interlock-server", daemon=True)
    url = address(listener)
    thread.start()
    try:
        while not ready.wait(0.05):
            if not thread.is_alive():
                raise Unavailable("the server ended before it was ready", why=f"nothing answers at {url}")
        yield url
    finally:
        server.should_exit = True
        thread.join()
