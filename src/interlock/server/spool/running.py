"""Run a spool until it is told to stop: `interlock spool`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from interlock.server.serve import address, listen, serve
from interlock.server.spool.app import SpoolApp
from interlock.server.spool.forwarder import Forwarder
from interlock.server.spool.status import ADDRESS
from interlock.server.spool.store import open_store
from interlock.server.spool.upstream import Upstream, authorization

PORT = 5001
MAX_BYTES = 10 << 30


def run_spool(
    to: str,
    folder: Path,
    *,
    port: int = PORT,
    max_bytes: int = MAX_BYTES,
    retry_refused: bool = False,
    environ: Mapping[str, str] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Stand between MLflow clients of this machine and their tracking server until SIGINT or SIGTERM.

    Args:
        to: The server's address, as clients would be given it.
        folder: Where what waits is kept.
        port: Port to listen on; 0 for any free one.
        max_bytes: How large the folder may become.
        retry_refused: Whether to send once more what the server refused.
        environ: The environment, where that is not the process's: the credentials of an MLflow client
            (`MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`).
        on_ready: Called with the spool's address once requests are answered.

    Raises:
        PortTaken: Another process listens there.
        InvalidInput: There is no such server address.
        Conflict: Another spool has the folder, or it belongs to another server.
        Corrupt: Something in the folder is damaged.
    """
    upstream = Upstream(to, authorization=authorization(os.environ if environ is None else environ))
    with contextlib.ExitStack() as exits:
        listener = exits.enter_context(listen("127.0.0.1", port))
        store = open_store(folder, upstream=upstream.url, max_bytes=max_bytes, retry_refused=retry_refused)
        exits.callback(store.close)
        exits.callback(upstream.close)
        forwarder = Forwarder(store, upstream)
        exits.callback(forwarder.close)
        app = exits.enter_context(contextlib.closing(SpoolApp(store, upstream, forwarder)))
        url = address(listener)
        (folder / ADDRESS).write_text(url)
        forwarder.start()
        serve(app, listener, on_ready=lambda: on_ready(url) if on_ready else None)
