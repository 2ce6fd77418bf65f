"""Serve predictions of one workspace, and nothing else: `interlock serve`."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping

from interlock.core.errors import InvalidInput
from interlock.core.refs import Ref
from interlock.ports.deployment_store import Deployment
from interlock.server.announcing import announced
from interlock.server.dataplane import DATA_LIMITS, DataPlane
from interlock.server.grpc_oip.listening import grpc_serving, place_of, reserve
from interlock.server.guard import Guard
from interlock.server.hosting import EndpointHost
from interlock.server.listening import address, listen, listen_for_each
from interlock.server.serve_app import ServeApp
from interlock.server.serve_workers import ServeProcess, ended_hard, run_worker, tell_deaths, worker_of
from interlock.server.surroundings import Surroundings, surroundings
from interlock.server.wire.serving import serving_wire
from interlock.serving.naming import endpoint_name
from interlock.serving.statistics import StatisticsBook
from interlock.workspace import Workspace, open_workspace

PORT = 8081


@contextlib.contextmanager
def data_plane(
    workspace: Workspace,
    around: Surroundings | None = None,
    token: str | None = None,
    *,
    grpc_port: int | None = None,
    grpc_host: str = "127.0.0.1",
    on_grpc: Callable[[str], None] | None = None,
) -> Iterator[DataPlane]:
    """Open what answers for every endpoint of a workspace, for use beside a control plane.

    Args:
        workspace: Whose endpoints.
        around: What counts and logs requests, and admits callers by their keys.
        token: What callers must show who have no key.
        grpc_port: Port to answer gRPC on, if that is wanted; 0 for any free one.
        grpc_host: Address to answer gRPC on.
        on_grpc: Called with the address of gRPC once calls are answered.
    """
    stores = workspace.stores
    admit = Guard(token=token, keys=around.keys).admit if around is not None else None
    with (
        EndpointHost(
            stores.deployments,
            stores.journal,
            load=lambda ref: workspace.load_model(ref),
            log=stores.predictions,
            clock=workspace.clock,
            wait=False,
            statistics=around.statistics if around is not None else None,
        ) as endpoints,
        contextlib.closing(
            DataPlane(
                endpoints,
                admit=admit,
                observer=around.observer if around is not None else None,
                explaining=around.explaining if around is not None else None,
            )
        ) as app,
        contextlib.ExitStack() as exits,
    ):
        if grpc_port is not None:
            observer = around.observer if around is not None else None
            listened = grpc_serving(
                endpoints, grpc_host, grpc_port, limits=DATA_LIMITS, admit=admit, token=token, observer=observer
            )
            tell(on_grpc, exits.enter_context(listened))
        yield app


def run_serve(
    ref: str | None,
    uri: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    listener: socket.socket | None = None,
    access_log: str | None = None,
    process: ServeProcess = ServeProcess(),  # noqa: B008 (frozen)
    environ: Mapping[str, str] | None = None,
    on_ready: Callable[[str], None] | None = None,
    on_grpc: Callable[[str], None] | None = None,
) -> None:
    """Serve every endpoint, one of them, or one model version until SIGINT or SIGTERM.

    Args:
        ref: `endpoint:delay`, whose routing is followed as it changes, or `model:delay@7`, which is served as it is
            under the model's name, as far as an endpoint can have it; a bare name is an endpoint. None for every
            endpoint that there is and comes to be; deployments then find this process.
        uri: The workspace, as for `open_workspace`; it must exist.
        host: Address to listen on; one beyond this machine needs `INTERLOCK_TOKEN`.
        port: Port to listen on; 0 for any free one.
        listener: What listens already, in place of an address; whoever made it has told others of it.
        access_log: Where a line for each request is written: a path, `-` for standard output, `on` for a file in the
            workspace's folder, or `off`.
        process: How many workers serve, how much memory they may have, and how long an answer may take.
        environ: The environment, where that is not the process's; see `run_up` and `surroundings`.
        on_ready: Called with the server's address once requests are answered.
        on_grpc: Called with the address of gRPC before that.

    Raises:
        PortTaken: Another process listens there.
        Refused: The address reaches beyond this machine, and there is no token.
        NotFound: There is no such endpoint or version.
        InvalidInput: The Ref is of another kind.
        MissingExtra: gRPC is wanted, and its library is not installed.
    """
    env = os.environ if environ is None else environ
    token = env.get("INTERLOCK_TOKEN", "").strip() or None
    names = [name.strip() for name in env.get("INTERLOCK_ALLOWED_HOSTS", "").split(",") if name.strip()]
    with contextlib.ExitStack() as exits:
        is_known = listener is not None
        listeners = [listener] if listener else listen_for_each(host, port, max(1, process.workers), token=token)
        for one in listeners:
            exits.enter_context(one)
        url = address(listeners[0])

        def ready() -> None:
            if on_ready is not None:
                on_ready(url)

        grpc = None
        if process.grpc_port is not None:
            grpc = exits.enter_context(reserve(host, process.grpc_port, token=token))
            tell(on_grpc, place_of(grpc))
        worker = worker_of(process, listeners, ready)
        if worker is None:
            return
        end_hard = exits.enter_context(ended_hard())
        workspace = exits.enter_context(open_workspace(uri, create=False, environ=env))
        around = exits.enter_context(surroundings(workspace, env, access_log=access_log))
        endpoints = _host(workspace, ref, exits, around.statistics, memory_bytes=process.memory_bytes)
        exits.enter_context(endpoints)
        tell_deaths(worker, workspace.stores.journal, endpoints.engines)
        app = ServeApp(
            endpoints,
            host=host,
            token=token,
            allowed_hosts=names,
            limits=process.limits(DATA_LIMITS),
            keys=around.keys,
            observer=around.observer,
            explaining=around.explaining,
        )
        exits.callback(app.close)
        if grpc is not None:
            listened = grpc_serving(
                endpoints,
                host,
                grpc.getsockname()[1],
                limits=app.limits,
                admit=app.admit,
                token=token,
                observer=around.observer,
                shared=True,
            )
            exits.enter_context(listened)
        if ref is None and not is_known and worker.number == 0:
            exits.enter_context(announced(workspace.servers, url, kind="serve", token=token))
        run_worker(worker, app, process, on_ready=ready, on_stuck=end_hard)


@contextlib.contextmanager
def serve_here(workspace: Workspace) -> Iterator[str]:
    """Serve every endpoint of a workspace from a thread for the length of a block; give the address."""
    with (
        surroundings(workspace, os.environ) as around,
        _host(workspace, None, contextlib.ExitStack(), around.statistics) as endpoints,
    ):
        app = ServeApp(endpoints, keys=around.keys, observer=around.observer, explaining=around.explaining)
        with contextlib.closing(app), serving_wire(app, listen("127.0.0.1", 0)) as url:
            yield url


def tell(listener: Callable[[str], None] | None, address: str) -> None:
    """Call with an address whoever wants to know it."""
    if listener is not None:
        listener(address)


def _host(
    workspace: Workspace,
    text: str | None,
    exits: contextlib.ExitStack,
    statistics: StatisticsBook | None = None,
    *,
    memory_bytes: int | None = None,
) -> EndpointHost:
    stores = workspace.stores
    if text is None:
        return EndpointHost(
            stores.deployments,
            stores.journal,
            load=workspace.load_model,
            log=stores.predictions,
            clock=workspace.clock,
            statistics=statistics,
            memory_bytes=memory_bytes,
        )
    ref = Ref.parse(text if ":" in text else f"endpoint:{text}")
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
    # a version that cannot be loaded is told to who starts the server, not to its first caller
    at_hand = {one.model: workspace.load_model(one.model) for one in stores.deployments.get(name).deployments}
    return EndpointHost(
        stores.deployments,
        stores.journal,
        load=lambda model: at_hand.pop(model, None) or workspace.load_model(model),
        log=workspace.stores.predictions,
        clock=workspace.clock,
        endpoints=[name],
        statistics=statistics,
    )
