"""Find the server of a workspace's endpoints on this machine, and start one in the background where there is none."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from interlock.core.background import in_background
from interlock.core.errors import Unavailable
from interlock.core.ids import new_id
from interlock.core.processes import is_running, machine, start_of
from interlock.ports.endpoint_servers import EndpointServer, EndpointServers, ServerKind

HOST = "127.0.0.1"
LOG = "endpoints.log"
GRACE_S = 15.0
"""How long a server may take to finish its requests before it is ended the hard way."""

_MODULE = "interlock.server.serve_process"
_BACKGROUND = "background.json"
_LOG_MOST_BYTES = 10_000_000
_BY_RANK: tuple[ServerKind, ...] = ("background", "serve", "up", "thread", "remote")
_decode = msgspec.json.Decoder(EndpointServer).decode


class LocalEndpointServers(EndpointServers):
    """Servers by their records in a folder; the record of a process that has ended counts for nothing.

    A server that is started here gets its socket from here, so that its address is known at once and requests wait in
    the socket's queue until it has come up. It ends by itself when its record is gone or names another.

    Args:
        uri: The workspace, as the server opens it.
        folder: Where records and the log are kept.
        project: The folder that the server works in.
        environ: The environment, where that is not the process's.
    """

    def __init__(
        self, uri: str, folder: Path, *, project: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self._uri = uri
        self._folder = folder
        self._project = project
        self._environ = environ
        self._started: list[subprocess.Popen[bytes]] = []

    def find(self) -> EndpointServer | None:
        found = [server for path in self._records() if (server := self._read(path)) is not None]
        return min(found, key=lambda server: _BY_RANK.index(server.kind), default=None)

    def start(self, *, keep: bool = True) -> EndpointServer:
        server = self.find()
        if server is None or (keep and not server.keep):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with _locked(self._folder / "lock"):
                server = self.find()
                if server is None:
                    self._forget_ended()
                    server = self._spawn(keep=keep)
                if keep and not server.keep:
                    server = msgspec.structs.replace(server, keep=True)
                    self._write(server)
        return server

    def announce(self, server: EndpointServer) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._write(server)

    def withdraw(self, server: EndpointServer) -> None:
        path = self._path(server)
        known = self._read(path)
        if known is not None and known.pid == server.pid:
            path.unlink(missing_ok=True)

    def stop(self) -> EndpointServer | None:
        if not self._folder.is_dir():
            return None
        with _locked(self._folder / "lock"):
            server = self._read(self._folder / _BACKGROUND)
            if server is not None:
                _end(server.pid, server.start)
                (self._folder / _BACKGROUND).unlink(missing_ok=True)
            return server

    def close(self) -> None:
        # what is not kept ends when its standard input does
        for process in self._started:
            assert process.stdin is not None
            process.stdin.close()
        self._started.clear()

    def log(self, *, lines: int = 100) -> list[str]:
        try:
            with (self._folder / LOG).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - lines * 1_000))
                text = file.read().decode(errors="replace")
        except OSError:
            return []
        return text.splitlines()[-lines:]

    def _spawn(self, *, keep: bool) -> EndpointServer:
        environ = dict(os.environ if self._environ is None else self._environ)
        token = environ.get("INTERLOCK_TOKEN", "").strip() or None
        log = self._folder / LOG
        with contextlib.suppress(OSError):
            if log.stat().st_size > _LOG_MOST_BYTES:
                log.replace(log.with_suffix(".log.1"))
        with contextlib.closing(self._listen()) as listener, log.open("ab") as output:
            # by its environment: what is in a command line can be read by everybody on the machine
            command = [sys.executable, "-m", _MODULE, str(listener.fileno()), str(self._folder / _BACKGROUND)]
            try:
                process = subprocess.Popen(
                    command,
                    cwd=self._project,
                    env=environ | {"INTERLOCK_URI": self._uri},
                    stdin=subprocess.DEVNULL if keep else subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    pass_fds=[listener.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                raise Unavailable("a server for the endpoints cannot be started", why=str(error)) from error
            port = listener.getsockname()[1]
        # whoever ends first: a process that nobody waits for stays in the table of processes
        in_background(process.wait, name="interlock-reaper")
        if not keep:
            # its pipe is open as long as this process lives
            self._started.append(process)
        server = EndpointServer(
            url=f"http://{HOST}:{port}",
            kind="background",
            token=token,
            pid=process.pid,
            start=start_of(process.pid),
            machine=machine(),
            keep=keep,
        )
        self._write(server)
        (self._folder / "port").write_text(str(port))
        return server

    def _listen(self) -> socket.socket:
        """Return a socket that listens where the last server did, so that addresses last, else on any free port."""
        try:
            last = int((self._folder / "port").read_text())
        except (OSError, ValueError):
            last = 0
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, last))
        except (OSError, OverflowError):
            listener.bind((HOST, 0))
        listener.listen(2048)
        return listener

    def _records(self) -> list[Path]:
        return [path for path in self._folder.glob("*.json") if not path.name.startswith(".")]

    def _path(self, server: EndpointServer) -> Path:
        return self._folder / (_BACKGROUND if server.kind == "background" else f"{server.kind}-{server.pid}.json")

    def _read(self, path: Path) -> EndpointServer | None:
        """Return the server of a record if it runs, and on this machine."""
        server = _record(path)
        here = server is not None and server.machine == machine()
        return server if server is not None and here and is_running(server.pid, server.start) else None

    def _forget_ended(self) -> None:
        """Remove what is left of servers that were killed; only ever under the lock."""
        for path in self._records():
            known = _record(path)
            if known is None or (known.machine == machine() and not is_running(known.pid, known.start)):
                path.unlink(missing_ok=True)

    def _write(self, server: EndpointServer) -> None:
        new = self._folder / f".{new_id()}"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(server))
        new.replace(self._path(server))


def _record(path: Path) -> EndpointServer | None:
    try:
        return _decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def _end(pid: int, start: str) -> None:
    """End a process, gently at first, and return when it has ended."""
    for wish in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, wish)
        if _has_ended(pid, start, within_s=GRACE_S):
            return


def _has_ended(pid: int, start: str, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    with contextlib.suppress(OSError, AttributeError):
        # only Linux lets one wait for a process that is not one's child
        file = os.pidfd_open(pid)
        try:
            select.select([file], [], [], within_s)
        finally:
            os.close(file)
    while is_running(pid, start) and time.monotonic() < deadline:
        pause.wait(0.01)
    return not is_running(pid, start)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep every other process out of the block."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        # a copy of the descriptor in a process that was forked meanwhile must not hold on to the lock
        fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)
