"""Listen for gRPC beside HTTP: a thread with an event loop of its own, over the same endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from interlock.core.errors import InterlockError, InvalidInput, PortTaken, Unavailable, missing_extra
from interlock.server.answering import Answering
from interlock.server.grpc_oip.calls import Admit
from interlock.server.grpc_oip.service import InferenceService
from interlock.server.guard import check_exposure
from interlock.server.hosting import EndpointHost
from interlock.server.limits import Limits
from interlock.server.listening import address, listen
from interlock.server.observing import Observer

GRACE_S = 10.0
"""How long calls may still run after the server was told to stop."""
_STARTED_S = 30.0


@contextlib.contextmanager
def grpc_serving(
    host: EndpointHost,
    bind_to: str,
    port: int,
    *,
    limits: Limits,
    version: str = "0.1.0",
    admit: Admit | None = None,
    token: str | None = None,
    observer: Observer | None = None,
    shared: bool = False,
) -> Iterator[str]:
    """Answer gRPC for the length of a block; give the address (`127.0.0.1:8001`).

    Args:
        host: The endpoints of this process.
        bind_to: Address to listen on; one beyond this machine needs a token.
        port: Port to listen on; 0 for any free one.
        limits: What a request may bring, and how many calls may run at once; more are refused as exhausted.
        version: What the server calls its version.
        admit: Says who may call.
        token: The token that callers have to show, if any.
        observer: Counts and logs calls.
        shared: Whether other processes of this server listen on the same port.

    Raises:
        MissingExtra: The library of gRPC is not installed.
        PortTaken: Another process listens there.
        Refused: The address reaches beyond this machine, and there is no token.
        InvalidInput: There is no such port.

    Example:
        with grpc_serving(host, "127.0.0.1", 8001, limits=DATA_LIMITS) as address:
            tritonclient.grpc.InferenceServerClient(address)
    """
    check_exposure(bind_to, token=token)
    if not 0 <= port <= 65_535:
        raise InvalidInput(f"{port} is no port", why="ports are 0 (any free one) to 65535")
    with contextlib.closing(Answering(host, limits=limits, version=version)) as answering:
        service = InferenceService(answering, admit=admit, observer=observer)
        server = _Server(service, bind_to, port, limits=limits, shared=shared)
        bound = server.start()
        try:
            yield bound
        finally:
            server.stop()


def reserve(bind_to: str, port: int, *, token: str | None = None) -> socket.socket:
    """Bind a port that processes which are yet to come will answer gRPC on together; nothing listens on it by this.

    Args:
        bind_to: Address to listen on; one beyond this machine needs a token.
        port: Port to listen on; 0 for any free one.
        token: The token that callers have to show, if any.

    Raises:
        MissingExtra: The library of gRPC is not installed.
        PortTaken: Another process listens there.
        Refused: The address reaches beyond this machine, and there is no token.
        InvalidInput: There is no such address or port.
    """
    # only looked for: its threads would not survive a fork
    if importlib.util.find_spec("grpc") is None:
        raise missing_extra("grpcio", extra="grpc", purpose="gRPC")
    # bound alone first: a shared port would be shared with another server, too
    with listen(bind_to, port, token=token) as alone:
        place = alone.getsockname()
    held = socket.socket(alone.family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(place)
    return held


def place_of(held: socket.socket) -> str:
    """Return where gRPC will be answered on a reserved port, as this machine reaches it."""
    return address(held).partition("://")[2]


def _host_of(bind_to: str) -> str:
    bare = bind_to.strip("[]")
    return f"[{bare}]" if ":" in bare else bare


def _quickest_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes event loops here: a sixth of a call's cost is the loop's."""
    if sys.platform == "win32":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


class _Server:
    """A gRPC server in a thread."""

    def __init__(self, service: InferenceService, bind_to: str, port: int, *, limits: Limits, shared: bool) -> None:
        try:
            import grpc.aio
        except ImportError as error:
            raise missing_extra("grpcio", extra="grpc", purpose="gRPC") from error
        self._grpc: Any = grpc.aio
        self._service = service
        self._bind_to = bind_to
        self._port = port
        self._limits = limits
        self._shared = shared
        self._ready = threading.Event()
        self._problem: InterlockError | None = None
        self._bound = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="interlock-grpc", daemon=True)

    def start(self) -> str:
        self._thread.start()
        if not self._ready.wait(_STARTED_S):
            raise Unavailable("gRPC did not start", why=f"nothing listens after {_STARTED_S:g} s")
        if self._problem is not None:
            self._thread.join()
            raise self._problem
        return self._bound

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_quickest_loop()) as runner:
                runner.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = self._grpc.server(
            options=(
                ("grpc.so_reuseport", int(self._shared)),
                ("grpc.max_receive_message_length", self._limits.body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", self._limits.head_bytes),
            ),
            maximum_concurrent_rpcs=self._limits.in_flight,
        )
        server.add_generic_rpc_handlers((self._service.handler(),))
        host = _host_of(self._bind_to)
        try:
            port = server.add_insecure_port(f"{host}:{self._port}")
        except RuntimeError as error:
            port = 0
            why = str(error)
        else:
            why = "the address cannot be bound"
        if not port:
            self._problem = PortTaken(
                f"gRPC cannot listen on {host}:{self._port}",
                why=why,
                fix="--grpc-port 0 takes any free port",
            )
            return
        await server.start()
        shown = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104
        self._bound = f"{shown}:{port}"
        self._ready.set()
        await self._stop.wait()
        await server.stop(GRACE_S)
