"""Start the whole platform in one process: `interlock up`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime

from interlock.loop.stations import stations
from interlock.ports.stores import Stores
from interlock.server.app import create_app
from interlock.server.http import AsgiApp
from interlock.server.scheduler import Scheduler
from interlock.server.serve import address, listen, serve
from interlock.workspace import Workspace, open_workspace

PORT = 8080


def run_up(
    uri: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    data_plane: Callable[[Workspace], AbstractContextManager[AsgiApp]] | None = None,
    environ: Mapping[str, str] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a workspace until SIGINT or SIGTERM.

    The address is bound before the workspace is opened, so that a taken port changes nothing.

    Args:
        uri: The workspace, as for `open_workspace`.
        host: Address to listen on; one beyond this machine needs `INTERLOCK_TOKEN`.
        port: Port to listen on; 0 for any free one.
        data_plane: Opens what answers predictions, and closes it before the workspace.
        environ: The environment, where that is not the process's: `INTERLOCK_TOKEN` is what callers must show,
            `INTERLOCK_ALLOWED_HOSTS` are further names of the server, separated by commas.
        on_ready: Called with the server's address once requests are answered.

    Raises:
        PortTaken: Another process listens there.
        Refused: The address reaches beyond this machine, and there is no token.
    """
    env = os.environ if environ is None else environ
    token = env.get("INTERLOCK_TOKEN", "").strip() or None
    names = [name.strip() for name in env.get("INTERLOCK_ALLOWED_HOSTS", "").split(",") if name.strip()]
    with contextlib.ExitStack() as exits:
        listener = exits.enter_context(listen(host, port, token=token))
        url = address(listener)
        workspace = exits.enter_context(open_workspace(uri, environ=env))
        app = create_app(
            workspace,
            stations=lambda: stations(workspace),
            data_plane=exits.enter_context(data_plane(workspace)) if data_plane is not None else None,
            host=host,
            token=token,
            allowed_hosts=names,
        )
        exits.callback(app.close)
        exits.enter_context(Scheduler(workspace.stores.leases, [turn_of(workspace)], clock=workspace.clock))
        serve(app, listener, on_ready=lambda: on_ready(url) if on_ready else None, on_stop=app.stop_streams)


def turn_of(workspace: Workspace) -> Callable[[datetime], None]:
    """Return the tick that turns the loop; it costs one small query while there is nothing to turn."""

    def tick(now: datetime) -> None:
        if _is_watched(workspace.stores):
            workspace.loop.tick(upto=now)

    return tick


def _is_watched(stores: Stores) -> bool:
    return bool(stores.triggers.triggers() or stores.deployments.endpoints(limit=1))
