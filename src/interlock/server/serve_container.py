"""Serve the model of a container, as its platform asks for it: no workspace, no arguments."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from interlock.core.errors import NotFound
from interlock.ports.model_store import ModelVersion
from interlock.ports.prediction_log import PredictionLog
from interlock.server.access_log import AccessLog
from interlock.server.contracts.entry_script import EntryScript
from interlock.server.contracts.environments import Environment
from interlock.server.contracts.model_folders import Adopt, ModelFolders, served_name
from interlock.server.contracts.speaking import Spoken
from interlock.server.contracts.unlogged import Unlogged
from interlock.server.dataplane import DATA_LIMITS
from interlock.server.guard import ANY_HOST
from interlock.server.hosting import EndpointHost
from interlock.server.limits import Limits
from interlock.server.listening import address, listen_for_each
from interlock.server.observing import Observer
from interlock.server.serve_app import ServeApp
from interlock.server.serve_workers import ServeProcess, run_worker, worker_of
from interlock.server.surroundings import ACCESS_LOG
from interlock.serving.loading import LoadedModel, ModelLoader
from interlock.serving.naming import endpoint_name
from interlock.workspace import Workspace, open_workspace

HOST = "0.0.0.0"  # noqa: S104 (a container's own network)
TRUSTED = "INTERLOCK_TRUSTED_TYPES"
_MEGABYTE = 1_048_576
_PLATFORM_MB = {"vertex": 10}
"""The largest request of a platform, where it is larger than ours."""


def run_container(
    environment: Environment,
    *,
    host: str = HOST,
    port: int | None = None,
    process: ServeProcess = ServeProcess(),  # noqa: B008 (frozen)
    access_log: str | None = None,
    environ: Mapping[str, str],
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        environment: What the platform said.
        host: Address to listen on.
        port: Port to listen on, in place of the platform's; 0 for any free one.
        process: How many workers serve and how long an answer may take, where the platform does not say.
        access_log: Where a line for each request is written, in place of the environment.
        environ: The environment: `INTERLOCK_ACCESS_LOG` names the access log; `INTERLOCK_TOKEN` is what callers must
            show beyond what the platform asks of them; `INTERLOCK_TRUSTED_TYPES` names types, or `pickle`, that a model
            of MLflow's may hold.
        on_ready: Called with the server's address once requests are answered.

    Raises:
        PortTaken: Another process listens there.
        NotFound: There is no model in the folder.
        InvalidInput: Nothing here can serve it.
    """
    token = environ.get("INTERLOCK_TOKEN", "").strip() or None
    process = _told(process, environment)
    with contextlib.ExitStack() as exits:
        listeners = listen_for_each(
            host,
            environment.port if port is None else port,
            max(1, process.workers),
            token=token,
            is_guarded=True,
        )
        for listener in listeners:
            exits.enter_context(listener)
        url = address(listeners[0])

        def ready() -> None:
            if on_ready is not None:
                on_ready(url)

        worker = worker_of(process, listeners, ready)
        if worker is None:
            return
        app = exits.enter_context(
            container_app(
                environment,
                host=host,
                token=token,
                trusted=_trusted(environ),
                process=process,
                access_log=access_log or environ.get(ACCESS_LOG, "").strip(),
            )
        )
        run_worker(worker, app, process, on_ready=ready)


def _told(process: ServeProcess, environment: Environment) -> ServeProcess:
    """Return how to serve, as the platform says; one worker alone knows which models calls have loaded."""
    workers = environment.workers or process.workers
    return dataclasses.replace(
        process,
        workers=min(workers, 1) if environment.is_multi_model else workers,
        timeout_s=process.timeout_s if process.timeout_s is not None else environment.timeout_s or None,
    )


def _trusted(environ: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name.strip() for name in environ.get(TRUSTED, "").split(",") if name.strip())


@contextlib.contextmanager
def container_app(
    environment: Environment,
    *,
    host: str = HOST,
    token: str | None = None,
    trusted: Sequence[str] = (),
    process: ServeProcess = ServeProcess(),  # noqa: B008 (frozen)
    access_log: str = "off",
) -> Iterator[ServeApp]:
    """Open the application of a container for the length of a block.

    Args:
        environment: What the platform said.
        host: The address that is listened on.
        token: What callers must show.
        trusted: Types that a model of MLflow's may hold.
        process: How long an answer may take.
        access_log: Where a line for each request is written: a path, `-` for standard output, or `off`.

    Raises:
        NotFound: There is no model in the folder.
        InvalidInput: Nothing here can serve it.
        StepFailed: The entry script fails when it is loaded.
    """
    with contextlib.ExitStack() as exits:
        here = exits.enter_context(open_workspace("memory:"))
        stores = here.stores
        within = environment.model if environment.is_multi_model else None
        folders = ModelFolders(stores.deployments, within=within, adopt=_adopting(here, trusted))
        load = ModelLoader(folders.resolve, folders.folder, here.runtimes)
        at_hand: dict[str, LoadedModel] = {}
        script = _script(environment, exits)
        if environment.model is not None and not environment.is_multi_model and script is None:
            name = served_name(environment.model, default=environment.name)
            folders.add(name, str(environment.model))
            # a model that cannot be loaded is told to who starts the container, not to its first caller
            ref = stores.deployments.get(name).deployments[0].model
            at_hand[ref] = load(ref)
        elif script is None and not environment.is_multi_model:
            raise NotFound(
                f"the environment is {environment.platform}'s, but names no model",
                why="expected a folder with an MLmodel file",
                fix="set INTERLOCK_MODEL_DIR to it",
            )
        endpoints = exits.enter_context(
            EndpointHost(
                stores.deployments,
                stores.journal,
                load=lambda model: at_hand.pop(model, None) or load(model),
                log=_log(environment.log, exits),
                clock=here.clock,
            )
        )
        spoken = Spoken(environment, folders, script)
        app = ServeApp(
            endpoints,
            host=host,
            token=token,
            allowed_hosts=[ANY_HOST],
            limits=_limits(environment, process),
            observer=_observer(access_log, exits),
            spoken=spoken,
        )
        exits.callback(app.close)
        yield app


def _script(environment: Environment, exits: contextlib.ExitStack) -> EntryScript | None:
    if environment.entry_script is None:
        return None
    return exits.enter_context(contextlib.closing(EntryScript(environment.entry_script)))


def _observer(access_log: str, exits: contextlib.ExitStack) -> Observer:
    if access_log in ("", "on", "off"):
        return Observer()
    return Observer(access_log=exits.enter_context(contextlib.closing(AccessLog(access_log))))


def _log(folder: Path | None, exits: contextlib.ExitStack) -> PredictionLog:
    if folder is None:
        return Unlogged()
    return exits.enter_context(open_workspace(folder)).stores.predictions


def _adopting(here: Workspace, trusted: Sequence[str]) -> Adopt:
    """Return what packages a folder of MLflow's anew, in this process alone."""

    def adopt(name: str, folder: Path) -> tuple[ModelVersion, Path]:
        version = here.registry.register(endpoint_name(name), str(folder), example=None, trusted_types=trusted)
        return version, here.registry.package_folder(version)

    return adopt


def _limits(environment: Environment, process: ServeProcess) -> Limits:
    most = max(_PLATFORM_MB.get(environment.platform, 0), environment.batch.payload_mb) * _MEGABYTE
    return msgspec.structs.replace(process.limits(DATA_LIMITS), body_bytes=max(DATA_LIMITS.body_bytes, most))
