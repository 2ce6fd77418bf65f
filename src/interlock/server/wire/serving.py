"""Serve the data plane from one event loop: what its connections share, and how they begin and end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

from interlock.core.errors import Overloaded, Unavailable
from interlock.server.calls import Reply, WholeCall
from interlock.server.http import Rejection, Scope
from interlock.server.limits import Limits
from interlock.server.listening import address
from interlock.server.wire.connection import Connection
from interlock.server.wire.heads import Head, read_head

KEEP_ALIVE_S = 75.0
"""Longer than clients keep an idle connection, so that none is closed under a request."""
GRACE_S = 10.0
"""How long requests may still run after a signal."""
_LOOK_EVERY_S = 0.5
_MOST_HEADS = 1_024
_LONGEST_REMEMBERED = 2_048
_STOPS = (signal.SIGINT, signal.SIGTERM)


class DataApp(Protocol):
    """What answers."""

    limits: Limits

    def inspect(self, scope: Scope) -> Reply | None:
        """Return the answer to a request that is not for this server, or None."""
        ...

    def refusal(self, scope: Scope) -> Reply | None:
        """Return the answer to a request that is refused whatever its body says, or None."""
        ...

    def error_reply(self, error: Rejection) -> Reply:
        """Return the answer to what is no request."""
        ...

    def begins_at_once(self, scope: Scope) -> bool:
        """Say whether `answer` may begin outside a task."""
        ...

    def answer(self, call: WholeCall) -> Coroutine[Any, Any, Reply]:
        """Answer a request."""
        ...


class Ground:
    """What all connections of a server share.

    Args:
        app: What answers.
        on_look: Called twice a second.

    Attributes:
        heads: Heads that were read before and were in order: callers send the same few over and over.
        is_stopping: Whether the server takes no more requests.
        idle_until: Until when a connection that has nothing to do from now on is kept. Unit: seconds of the loop.
    """

    def __init__(self, app: DataApp, *, on_look: Callable[[], None] | None = None) -> None:
        self.app = app
        self._on_look = on_look
        self.limits = app.limits
        self.heads: dict[bytes, Head] = {}
        self.is_stopping = False
        self._loop = asyncio.get_running_loop()
        self._connections: set[Connection] = set()
        self._held: dict[Connection, int] = {}
        self._held_bytes = 0
        self._sweep: asyncio.TimerHandle | None = None
        self.idle_until = 0.0
        self._look()

    def now(self) -> float:
        """Return the loop's time. Unit: seconds."""
        return self._loop.time()

    def enters(self, connection: Connection) -> bool:
        """Take in a connection; say no where there are too many."""
        if len(self._connections) >= self.limits.connections:
            return False
        self._connections.add(connection)
        return True

    def leaves(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        self.let_go(connection)

    def hold(self, connection: Connection, size_bytes: int) -> None:
        """Count a part of a body that waits for the rest of it.

        Raises:
            Rejection: Too much waits already (429).
        """
        self._held[connection] = self._held.get(connection, 0) + size_bytes
        self._held_bytes += size_bytes
        if self._held_bytes > self.limits.waiting_bytes:
            error = Overloaded("the server is busy", why="too many large requests arrive at once", fix="try again soon")
            raise Rejection(error, status=429, headers=((b"retry-after", b"1"),))

    def let_go(self, connection: Connection) -> None:
        """Count no more what a connection held."""
        self._held_bytes -= self._held.pop(connection, 0)

    def read(self, raw: bytes) -> Head | Reply:
        """Read a head; return the answer where the request is not for this server.

        Raises:
            Rejection: It is not in order.
        """
        head = read_head(raw, self.limits)
        refusal = self.app.inspect(head.scope)
        if refusal is not None:
            return refusal
        head.begins_at_once = self.app.begins_at_once(head.scope)
        if len(raw) <= _LONGEST_REMEMBERED and head.length >= 0 and not head.awaits_continue:
            if len(self.heads) >= _MOST_HEADS:
                self.heads.clear()
            self.heads[raw] = head
        return head

    def stop(self) -> None:
        """Let every connection end as soon as nothing is on its way."""
        for connection in tuple(self._connections):
            connection.finish()

    async def ended(self, within_s: float, *, cut: bool = True) -> None:
        """Return when all connections have ended, or time is up; then they are `cut`."""
        until = self.now() + within_s
        while self._connections and self.now() < until:
            await asyncio.sleep(0.01)
        if cut:
            if self._sweep is not None:
                self._sweep.cancel()
            for connection in tuple(self._connections):
                connection.cut()

    def _look(self) -> None:
        """End what has gone on for too long: one look at all connections costs less than a timer for each request."""
        now = self.now()
        self.idle_until = now + KEEP_ALIVE_S
        for connection in [one for one in self._connections if one.deadline < now]:
            connection.expire()
        if self._on_look is not None:
            self._on_look()
        self._sweep = self._loop.call_later(_LOOK_EVERY_S, self._look)


class WireServer:
    """A server of the data plane.

    Args:
        app: What answers.
        on_ready: Called once requests are answered.
        on_stop: Called when the stop begins, before open requests are waited for.
        on_look: Called twice a second, on the event loop.
        grace_s: How long requests may run on after that.
        linger_s: How long, before that, connections that are kept may bring one more request, whose answer then tells
            them to come back on another: a client that is just sending would otherwise find its connection closed.
    """

    def __init__(
        self,
        app: DataApp,
        *,
        on_ready: Callable[[], None] | None = None,
        on_stop: Callable[[], None] | None = None,
        on_look: Callable[[], None] | None = None,
        grace_s: float = GRACE_S,
        linger_s: float = 0.0,
    ) -> None:
        self._app = app
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._on_look = on_look
        self._grace_s = grace_s
        self._linger_s = linger_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._wanted = False

    def run(self, listener: socket.socket) -> None:
        """Serve until told to stop; then finish what runs, and return."""
        with _signals_given_back(), asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(self._serve(listener))

    def stop(self) -> None:
        """Stop gracefully; thread-safe. When told again, at once."""
        again, self._wanted = self._wanted, True
        loop, stopping = self._loop, self._stopping
        if loop is None or stopping is None:
            return
        if again:
            self._grace_s = 0.0
        with contextlib.suppress(RuntimeError):  # it has ended
            loop.call_soon_threadsafe(stopping.set)

    async def _serve(self, listener: socket.socket) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        ground = Ground(self._app, on_look=self._on_look)
        server = await loop.create_server(lambda: Connection(ground), sock=listener, backlog=2_048)
        if threading.current_thread() is threading.main_thread():
            for one in _STOPS:
                loop.add_signal_handler(one, self.stop)
        settle()
        if self._on_ready is not None:
            self._on_ready()
        if self._wanted:
            self._stopping.set()
        await self._stopping.wait()
        if self._on_stop is not None:
            self._on_stop()
        server.close()
        ground.is_stopping = True
        await ground.ended(self._linger_s, cut=False)
        ground.stop()
        await ground.ended(self._grace_s)


@contextlib.contextmanager
def _signals_given_back() -> Iterator[None]:
    """Leave the handlers as they were: uvloop's stay behind its loop, and Ctrl-C would do nothing any more."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # None stands for a handler that is not Python's, and cannot be set
    before = {one: handler for one in _STOPS if (handler := signal.getsignal(one)) is not None}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def settle() -> None:
    """Let the collector rest: what was made by now stays for good, and requests leave next to nothing in cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # where it does not exist, as on Windows
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


@contextlib.contextmanager
def serving_wire(app: DataApp, listener: socket.socket) -> Iterator[str]:
    """Serve from a thread for the length of a block; give the address.

    Example:
        with serving_wire(app, listen("127.0.0.1", 0)) as url:
            httpx.get(url + "/ping")
    """
    ready = threading.Event()
    server = WireServer(app, on_ready=ready.set)
    thread = threading.Thread(target=server.run, args=(listener,), name="interlock-data-server", daemon=True)
    url = address(listener)
    thread.start()
    try:
        while not ready.wait(0.05):
            if not thread.is_alive():
                raise Unavailable("the server ended before it was ready", why=f"nothing answers at {url}")
        yield url
    finally:
        server.stop()
        thread.join()
        listener.close()
