"""Start the whole platform in one process: `interlock up`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from interlock.loop.stations import stations
from interlock.loop.tracing import trace
from interlock.server.announcing import announced
from interlock.server.app import create_app
from interlock.server.http import AsgiApp
from interlock.server.mlflow.webhook_topics import LANGUAGE
from interlock.server.mlflow_ui import find_build
from interlock.server.scheduler import Scheduler, Tick
from interlock.server.serve import address, listen, serve
from interlock.server.surroundings import Surroundings, surroundings
from interlock.server.turning import LoopTurner
from interlock.server.webhooks.addresses import private_allowed
from interlock.server.webhooks.delivery import WebhookDelivery
from interlock.workspace import Workspace, open_workspace

PORT = 8080


def run_up(
    uri: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    data_plane: Callable[[Workspace, Surroundings, str | None], AbstractContextManager[AsgiApp]] | None = None,
    mlflow_ui: Path | None = None,
    environ: Mapping[str, str] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a workspace until SIGINT or SIGTERM.

    The address is bound before the workspace is opened, so that a taken port changes nothing.

    Args:
        uri: The workspace, as for `open_workspace`.
        host: Address to listen on; one beyond this machine needs `INTERLOCK_TOKEN`.
        port: Port to listen on; 0 for any free one.
        data_plane: Opens what answers predictions, with what stands around it and the token that callers must show,
            and closes it before the workspace.
        mlflow_ui: Where the user's own MLflow is installed, to show its web interface at `/mlflow/`.
        environ: The environment, where that is not the process's: `INTERLOCK_TOKEN` is what callers must show,
            `INTERLOCK_ALLOWED_HOSTS` are further names of the server, separated by commas;
            `INTERLOCK_PRIVATE_WEBHOOKS=1` lets webhooks reach private addresses.
        on_ready: Called with the server's address once requests are answered.

    Raises:
        PortTaken: Another process listens there.
        Refused: The address reaches beyond this machine, and there is no token.
        NotFound: No web interface of MLflow is there.
    """
    build = find_build(mlflow_ui) if mlflow_ui is not None else None
    env = os.environ if environ is None else environ
    token = env.get("INTERLOCK_TOKEN", "").strip() or None
    names = [name.strip() for name in env.get("INTERLOCK_ALLOWED_HOSTS", "").split(",") if name.strip()]
    with contextlib.ExitStack() as exits:
        listener = exits.enter_context(listen(host, port, token=token))
        url = address(listener)
        workspace = exits.enter_context(open_workspace(uri, environ=env))
        around = exits.enter_context(surroundings(workspace, env)) if data_plane is not None else None
        app = create_app(
            workspace,
            stations=lambda: stations(workspace),
            trace=lambda ref: trace(workspace, ref),
            data_plane=exits.enter_context(data_plane(workspace, around, token)) if data_plane and around else None,
            around=around,
            deploy=workspace.deploy if around is not None else None,
            answers_at=lambda: found.url if (found := workspace.servers.find()) else None,
            host=host,
            token=token,
            allowed_hosts=names,
            commits=workspace.commits,
            mlflow_ui=build,
        )
        exits.callback(app.close)
        webhooks = WebhookDelivery(workspace.stores, LANGUAGE, private=private_allowed(env), clock=workspace.clock)
        exits.callback(webhooks.close)
        ticks: list[Tick] = [turner(workspace, exits), webhooks]
        if data_plane is not None:
            exits.enter_context(announced(workspace.servers, url, kind="up", token=token))
        exits.enter_context(Scheduler(workspace.stores.leases, ticks, clock=workspace.clock))
        serve(app, listener, on_ready=lambda: on_ready(url) if on_ready else None, on_stop=app.stop_streams)


def turner(workspace: Workspace, exits: contextlib.ExitStack) -> Tick:
    """Return what turns the loop: another process, or this one where no other can see the workspace."""
    if workspace.uri.startswith("memory:"):
        return lambda now: _turn_here(workspace, now)
    own_process = LoopTurner(workspace.uri, workspace.stores)
    exits.callback(own_process.close)
    return own_process


def _turn_here(workspace: Workspace, now: datetime) -> None:
    if workspace.stores.triggers.triggers() or workspace.stores.deployments.endpoints(limit=1):
        workspace.loop.tick(upto=now)
