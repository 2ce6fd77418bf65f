"""Put the control plane together: one ASGI application over one workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from interlock.core.clock import Clock
from interlock.core.errors import NotFound
from interlock.core.sealing import Seal
from interlock.loop.stations import Station
from interlock.loop.tracing import Trace
from interlock.ports.shared_commit import SharedCommit
from interlock.ports.stores import Stores
from interlock.server.api import VIEWS
from interlock.server.api_deploy import Deployer, deploy_route
from interlock.server.downloads import download_route
from interlock.server.events import EventStreams
from interlock.server.frames import frame_routes
from interlock.server.guard import Guard
from interlock.server.http import Answer, AsgiApp, Receive, Request, Scope, Send, json_response
from interlock.server.limits import Limits
from interlock.server.mlflow.surface import ERROR_SHAPES, mlflow_routes
from interlock.server.mlflow.wire import Ground
from interlock.server.mlflow_ui import PLACE, MlflowUi
from interlock.server.openapi import openapi_route
from interlock.server.router import TAIL, Mount, Route, Router
from interlock.server.stores_api import StoresApi
from interlock.server.surroundings import Surroundings
from interlock.server.ui_files import DIST, UiFiles
from interlock.server.view_routes import API, Source, view_route
from interlock.server.workers import Workers

PROBES = ("/ping", "/health", "/v2/health/live", "/v2/health/ready")
"""What an orchestrator asks; it has no token."""
DATA_PATHS = (
    "/v2",
    "/v1/models",
    "/v1/endpoints",
    "/v1/projects",
    "/invocations",
    "/endpoints/{name}/invocations",
    "/endpoints/{name}/invocations-response-stream",
    "/endpoints/{name}/async-invocations",
    "/execution-parameters",
    "/score",
    "/swagger.json",
    f"{API}/feedback",
    "/metrics",
)
"""Where predictions are asked for and feedback is given."""


class OpenWorkspace(Protocol):
    """What the control plane needs of a workspace."""

    @property
    def stores(self) -> Stores:
        """One of each store."""
        ...

    @property
    def uri(self) -> str:
        """Where it is."""
        ...

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        ...

    @property
    def seal(self) -> Seal:
        """What seals the secrets that users hand in."""
        ...


class App:
    """The control plane, as an ASGI application.

    Args:
        router: Its one table of routes.
        events: Those who follow events.
        workers: The threads in which stores are called.
    """

    def __init__(self, router: Router, events: EventStreams, workers: Workers) -> None:
        self.router = router
        self._events = events
        self._workers = workers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.router(scope, receive, send)

    def stop_streams(self) -> None:
        """End the answers that would never end by themselves."""
        self._events.close()

    def close(self) -> None:
        """Wait for calls that run and end the threads."""
        self._workers.close()


def create_app(
    workspace: OpenWorkspace,
    *,
    stations: Callable[[], Sequence[Station]],
    trace: Callable[[str], Trace],
    data_plane: AsgiApp | None = None,
    host: str = "127.0.0.1",
    token: str | None = None,
    allowed_hosts: Iterable[str] = (),
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    ui_folder: Path = DIST,
    commits: SharedCommit | None = None,
    mlflow_ui: Path | None = None,
    around: Surroundings | None = None,
    deploy: Deployer | None = None,
    answers_at: Callable[[], str | None] = lambda: None,
) -> App:
    """Build the application over an open workspace; it does not close the workspace.

    Args:
        workspace: What is served.
        stations: What the stations of the loop are doing now.
        trace: The ways back and forward from a Ref.
        data_plane: What answers predictions, if it is to run in the same process.
        host: The address the server listens on.
        token: What callers must show.
        allowed_hosts: Further names under which the server is reached.
        limits: What a request may bring.
        ui_folder: Where the web interface was built.
        commits: What commits the writes of several calls together, if the workspace can.
        mlflow_ui: Where MLflow's own web interface was built, if it is to be shown too.
        around: What stands around the data plane: what it counted, and the API keys that its callers may show.
        deploy: Brings a registered version behind an endpoint, if that may be asked for here.
        answers_at: Says where a process answers for the endpoints, if one does.
    """
    workers = Workers(commits=commits)
    events = EventStreams(workspace.stores.journal, workers)
    keys = around.keys if around is not None else None
    source = Source(
        stores=workspace.stores,
        uri=workspace.uri,
        stations=stations,
        trace=trace,
        counted=around.statistics.read if around is not None else dict,
        answers_at=answers_at,
    )
    router = Router(
        (
            Route(method="GET", path="/healthz", access="open", handler=_healthz),
            openapi_route(workers),
            *(view_route(view, source, workers) for view in VIEWS),
            *([deploy_route(deploy, workers)] if deploy is not None else ()),
            events.route(),
            download_route(workspace.stores.artifacts, workers),
            *frame_routes(),
            *StoresApi(workspace.stores, workers).routes(),
            *mlflow_routes(
                Ground(stores=workspace.stores, clock=workspace.clock, workers=workers, seal=workspace.seal)
            ),
            Route(method="GET", path=f"/api/{TAIL}", access="api", handler=_nothing),
            UiFiles(ui_folder).route(),
        ),
        mounts=(
            *(_mounts(data_plane) if data_plane is not None else ()),
            *(_mlflow_ui(mlflow_ui, lambda *call: router(*call), workers) if mlflow_ui is not None else ()),
        ),
        guard=Guard(host=host, token=token, allowed_hosts=allowed_hosts, limits=limits, keys=keys),
        limits=limits,
        shapes=ERROR_SHAPES,
    )
    return App(router, events, workers)


def _mounts(data_plane: AsgiApp) -> tuple[Mount, ...]:
    return (
        *(Mount(path=path, access="open", app=data_plane) for path in PROBES),
        *(Mount(path=path, access="data", app=data_plane) for path in DATA_PATHS),
    )


def _mlflow_ui(build: Path, api: AsgiApp, workers: Workers) -> tuple[Mount, ...]:
    # open as our own pages are: the files are public, and each call is admitted by the route it reaches
    return (Mount(path=PLACE, access="open", app=MlflowUi(build, api=api, workers=workers)),)


async def _healthz(request: Request) -> Answer:
    return json_response({"status": "ok"})


async def _nothing(request: Request) -> Answer:
    # without this row a browser that asks for an API address would get the index page of the UI
    raise NotFound("there is nothing at this address", why="no route matches it", fix="GET /openapi.json")
