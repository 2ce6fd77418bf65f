"""Serve predictions of one workspace, and nothing else: `interlock serve`."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping

from interlock.core.errors import InvalidInput
from interlock.core.refs import Ref
from interlock.ports.deployment_store import Deployment
from interlock.server.dataplane import DataPlane
from interlock.server.hosting import EndpointHost
from interlock.server.serve import address, listen, serve
from interlock.server.serve_app import ServeApp
from interlock.workspace import Workspace, open_workspace

PORT = 8081
_LONGEST_NAME = 250


@contextlib.contextmanager
def data_plane(workspace: Workspace) -> Iterator[DataPlane]:
    """Open what answers for every endpoint of a workspace, for use beside a control plane."""
    stores = workspace.stores
    with (
        EndpointHost(
            stores.deployments,
            stores.journal,
            load=lambda ref: workspace.load_model(ref),
            log=stores.predictions,
            clock=workspace.clock,
            wait=False,
        ) as endpoints,
        contextlib.closing(DataPlane(endpoints)) as app,
    ):
        yield app


def run_serve(
    ref: str,
    uri: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    environ: Mapping[str, str] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve one endpoint or one model version until SIGINT or SIGTERM.

    Args:
        ref: `endpoint:delay`, whose routing is followed as it changes, or `model:delay@7`, which is served as it is
            under the model's name, as far as an endpoint can have it; a bare name is an endpoint.
        uri: The workspace, as for `open_workspace`; it must exist.
        host: Address to listen on; one beyond this machine needs `INTERLOCK_TOKEN`.
        port: Port to listen on; 0 for any free one.
        environ: The environment, where that is not the process's; see `run_up`.
        on_ready: Called with the server's address once requests are answered.

    Raises:
        PortTaken: Another process listens there.
        Refused: The address reaches beyond this machine, and there is no token.
        NotFound: There is no such endpoint or version.
        InvalidInput: The Ref is of another kind.
    """
    env = os.environ if environ is None else environ
    token = env.get("INTERLOCK_TOKEN", "").strip() or None
    names = [name.strip() for name in env.get("INTERLOCK_ALLOWED_HOSTS", "").split(",") if name.strip()]
    with contextlib.ExitStack() as exits:
        listener = exits.enter_context(listen(host, port, token=token))
        workspace = exits.enter_context(open_workspace(uri, create=False, environ=env))
        endpoints = exits.enter_context(_host(workspace, ref, exits))
        app = exits.enter_context(contextlib.closing(ServeApp(endpoints, host=host, token=token, allowed_hosts=names)))
        url = address(listener)
        serve(app, listener, on_ready=lambda: on_ready(url) if on_ready else None)


def _host(workspace: Workspace, text: str, exits: contextlib.ExitStack) -> EndpointHost:
    ref = Ref.parse(text if ":" in text else f"endpoint:{text}")
    stores = workspace.stores
    name = ref.name
    if ref.kind == "model":
        # a routing in memory, so that serving a version changes nothing that others see
        stores = exits.enter_context(open_workspace("memory:")).stores
        name = endpoint_name(ref.name)
        stores.deployments.route(name, [Deployment(workspace.registry.resolve(text).ref, "live", 1.0)])
    elif ref.kind != "endpoint":
        raise InvalidInput(
            f"'{text}' cannot be served",
            why=f"expected an endpoint or a model, got a {ref.kind}",
            fix="interlock serve endpoint:NAME, or interlock serve model:NAME@VERSION",
        )
    live = stores.deployments.get(name).deployments
    for deployment in live:
        # a version that cannot be loaded is told to who starts the server, not to its first caller
        workspace.load_model(deployment.model)
    return EndpointHost(
        stores.deployments,
        stores.journal,
        load=workspace.load_model,
        log=workspace.stores.predictions,
        clock=workspace.clock,
        endpoints=[name],
    )


def endpoint_name(model: str) -> str:
    """Return the name of an endpoint for a model, which may have any name.

    Example:
        >>> endpoint_name("delay"), endpoint_name("Flight delay: EWR")
        ('delay', 'Flight-delay-EWR')
    """
    name = "-".join(re.findall(r"[A-Za-z0-9._/-]+", model)).strip("-._/")
    return re.sub(r"\.\.+|//+", "-", name)[:_LONGEST_NAME] or "model"
