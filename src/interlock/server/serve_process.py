"""Answer for all endpoints of a workspace in the background: the process that a deployment starts.

It ends when it is told to (SIGTERM); when its record is gone or names another process, as after its workspace was
deleted; and, unless it is to be kept, with the process that started it.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import msgspec

from interlock.core.background import in_background
from interlock.ports.endpoint_servers import EndpointServer
from interlock.server.serve_endpoint import run_serve
from interlock.server.surroundings import ACCESS_LOG

LOOK_EVERY_S = 2.0


def main(descriptor: str, record: str) -> None:
    """Serve until told to stop.

    Args:
        descriptor: The number of the listening socket, which was inherited.
        record: Path of the file that names this process as the server.
    """
    place = Path(record)
    in_background(lambda: _end_without(place), name="interlock-record")
    in_background(lambda: _end_with_parent(place), name="interlock-parent")
    run_serve(
        None,
        listener=socket.socket(fileno=int(descriptor)),
        access_log=os.environ.get(ACCESS_LOG, "").strip() or "on",
        on_ready=lambda url: _prepare(),
    )


def _prepare() -> None:
    """Load, while the first model is being packaged, what will most likely run it."""
    if importlib.util.find_spec("onnxruntime") is not None:
        in_background(lambda: importlib.import_module("onnxruntime"), name="interlock-prepare")


def _end_without(record: Path) -> None:
    """End this process when it is no longer the server of its workspace."""
    pause = threading.Event()
    while not pause.wait(LOOK_EVERY_S):
        if _named(record) is None:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _end_with_parent(record: Path) -> None:
    """End this process when its standard input ends and its record does not say that it is to be kept."""
    # one that is kept from the start has no input at all: it ends here at once
    while os.read(0, 4096):
        pass
    known = _named(record)
    if known is not None and not known.keep:
        # who asks from now on starts another, rather than wait for this one to finish
        record.unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGTERM)


def _named(record: Path) -> EndpointServer | None:
    try:
        server = msgspec.json.decode(record.read_bytes(), type=EndpointServer)
    except (OSError, msgspec.MsgspecError):
        return None
    return server if server.pid == os.getpid() else None


if __name__ == "__main__":
    main(*sys.argv[1:])
