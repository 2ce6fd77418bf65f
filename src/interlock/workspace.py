"""Open a workspace: the composition root, and the only module that picks adapters.

Rooms are imported when they are first used, so that a command pays for what it needs and no more.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import Corrupt, InvalidInput, did_you_mean
from interlock.core.hashing import digest_of
from interlock.core.settings import FOLDER, PROJECT_VARIABLE, find_workspace_uri
from interlock.ports.artifact_store import Damage
from interlock.ports.stores import Stores

if TYPE_CHECKING:
    from interlock.core.sealing import Seal
    from interlock.core.signing import Signer
    from interlock.data.snapshots import Datasets
    from interlock.experiments.tracking import Experiments
    from interlock.features.views import Features
    from interlock.labels.labels import Labels
    from interlock.loop.endpoints import Endpoint
    from interlock.loop.loop import Loop
    from interlock.monitoring.monitors import Monitors
    from interlock.pipelines.runner import Pipelines
    from interlock.ports.endpoint_servers import EndpointServers
    from interlock.ports.executor import Executor
    from interlock.ports.model_runtime import ModelRuntime
    from interlock.ports.run_spool import RunSpool
    from interlock.ports.shared_commit import SharedCommit
    from interlock.registry.models import Models
    from interlock.serving.explaining import ModelExplainer
    from interlock.serving.loading import LoadedModel, ModelLoader
    from interlock.tuning.studies import Studies


RUN_SPOOL = "runs"
"""The folder, in that of a workspace, where runs write first."""

PLUG_INS = "interlock.adapters"
"""The entry-point group in which other packages name the stores they bring, by URI scheme."""


class _Endpoints:
    """What a workspace does about endpoints."""

    @cached_property
    def servers(self: Workspace) -> EndpointServers:  # type: ignore[misc]
        """Who answers over HTTP for the endpoints."""
        return _servers(self)

    @cached_property
    def load_model(self: Workspace) -> ModelLoader:  # type: ignore[misc]
        """What loads a model version with the engine that it was verified for."""
        from interlock.serving.loading import ModelLoader

        return ModelLoader(self.registry.resolve, self.registry.package_folder, self.runtimes)

    def deploy(  # type: ignore[misc]
        self: Workspace,
        model: Any,
        *,
        name: str | None = None,
        example: Any = None,
        **options: Any,
    ) -> Endpoint:
        """Put a model behind an endpoint that answers over HTTP when this returns; see `deploying.deploy_as`."""
        from interlock.loop.deploying import deploy_as

        return deploy_as(self, model, name=name, example=example, **options)

    def endpoint(self: Workspace, name: str) -> Endpoint:  # type: ignore[misc]
        """Return an endpoint.

        Raises:
            NotFound: There is none of the name.
        """
        from interlock.core.refs import Ref
        from interlock.loop.endpoints import Endpoint

        return Endpoint(self, self.stores.deployments.get(Ref.parse(name, kind="endpoint").name).name)


class Workspace(_Endpoints):
    """Everything Interlock knows, opened.

    Thread-safe. Use it as a context manager, or call `close`.

    Args:
        uri: Where it is: a folder, `postgresql://…`, `http://…` or `memory:`.
        folder: Local folder for caches, spools and the secret.
        stores: One of each store.
        clock: What tells it the time.
        commits: What commits the writes of several calls together, if the stores can.
        on_close: Closes what it stands on.

    Example:
        >>> with open_workspace("memory:") as workspace:
        ...     workspace.stores.journal.last_seq()
        0
    """

    def __init__(
        self,
        uri: str,
        *,
        folder: Path,
        stores: Stores,
        clock: Clock,
        commits: SharedCommit | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.uri = uri
        self.folder = folder
        self.stores = stores
        self.clock = clock
        self.commits = commits
        self._on_close = on_close
        self._engines: dict[str, Executor] = {}
        self._opening = threading.Lock()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Workspace({self.uri!r})"

    def close(self) -> None:
        """Write what is pending and free connections, files and workers; closing twice is harmless."""
        closing, self._on_close = self._on_close, None
        if "servers" in self.__dict__:
            self.servers.close()
        for engine in self._engines.values():
            engine.close()
        if self.__dict__.get("run_spool") is not None:
            self.__dict__["run_spool"].close()
        if closing is not None:
            closing()

    def verify(self) -> list[Damage]:
        """Read everything back and name what is damaged; an empty list means whole."""
        self.stores.predictions.flush()
        return [*self.stores.artifacts.check(), *self.loop.missing_artifacts()]

    @property
    def project(self) -> Path | None:
        """The folder of the code: `INTERLOCK_PROJECT`, or beside `.interlock`; if None, the current folder counts."""
        if named := os.environ.get(PROJECT_VARIABLE):
            return Path(named)
        return self.folder.parent if self.folder.name == FOLDER else None

    @cached_property
    def data(self) -> Datasets:
        """Datasets and their snapshots."""
        from interlock.data.snapshots import Datasets

        return Datasets(self.stores.datasets, self.stores.artifacts, clock=self.clock)

    @cached_property
    def labels(self) -> Labels:
        """Annotations and label sets."""
        from interlock.labels.labels import Labels

        return Labels(self.stores.labels, clock=self.clock)

    @cached_property
    def features(self) -> Features:
        """Feature views, point-in-time joins and online lookups."""
        from interlock.adapters.duckdb.offline_store import DuckDbOfflineStore
        from interlock.features.views import Features

        return Features(
            self.stores.features,
            self.stores.online,
            DuckDbOfflineStore(),
            self.data.read,
            self.stores.journal,
            clock=self.clock,
        )

    @cached_property
    def experiments(self) -> Experiments:
        """Experiments and runs."""
        from interlock.experiments.tracking import Experiments

        return Experiments(
            self.stores.runs,
            self.stores.artifacts,
            self.stores.journal,
            clock=self.clock,
            project=self.project,
            spool=self.run_spool,
        )

    @cached_property
    def run_spool(self) -> RunSpool | None:
        """Where runs write first; none for a workspace in memory, which does not outlive its process anyway."""
        from interlock.adapters.localfs.artifact_store import LocalArtifactStore
        from interlock.adapters.localfs.run_spool import LocalRunSpool

        if self.uri.startswith("memory:"):
            return None
        return LocalRunSpool(
            self.folder / RUN_SPOOL,
            lambda: (self.stores.runs, self.stores.artifacts),
            keeps_contents=not isinstance(self.stores.artifacts, LocalArtifactStore),
        )

    @cached_property
    def tuning(self) -> Studies:
        """Studies and trials."""
        from interlock.tuning.studies import Studies

        return Studies(self.experiments, self.stores.runs)

    @cached_property
    def executor(self) -> Executor:
        """Where steps run unless they are told: short ones here, long ones in a pool."""
        return self.engine("auto")

    def engine(self, name: str) -> Executor:
        """Return where steps run, by name; the workspace keeps it until it is closed.

        Args:
            name: `auto`, `inline`, `pool`, `ray` or `dask`; behind a colon the number of workers of a pool, or the
                address of a cluster.

        Raises:
            InvalidInput: There is no such engine.
            MissingExtra: Its library is not installed.
        """
        with self._opening:
            if name not in self._engines:
                self._engines[name] = _engine(name, self.folder / "environments")
            return self._engines[name]

    @cached_property
    def pipelines(self) -> Pipelines:
        """Steps, pipelines and their cache."""
        from interlock.experiments.capture import capture
        from interlock.pipelines.runner import Pipelines

        return Pipelines(
            self.stores.runs,
            self.stores.steps,
            self.stores.artifacts,
            self.stores.journal,
            executor=self.executor,
            secret=self.secret,
            clock=self.clock,
            provenance=lambda: capture(self.project),
            folder=self.folder / "steps",
            engines=self.engine,
        )

    @cached_property
    def registry(self) -> Models:
        """Registered models and their versions."""
        from interlock.registry.models import Models

        return Models(
            self.stores.models,
            self.stores.artifacts,
            self.folder / "cache",
            runtimes=self.runtimes,
            clock=self.clock,
            signer=self._signer,
        )

    @cached_property
    def runtimes(self) -> tuple[ModelRuntime, ...]:
        """The engines that models run on."""
        from interlock.adapters.catboost.runtime import CatboostRuntime
        from interlock.adapters.graphs.runtime import GraphRuntime
        from interlock.adapters.keras.runtime import KerasRuntime
        from interlock.adapters.lightgbm.runtime import LightgbmRuntime
        from interlock.adapters.mlflow.runtime import MlflowRuntime
        from interlock.adapters.onnx.runtime import OnnxRuntime
        from interlock.adapters.python.runtime import PythonRuntime
        from interlock.adapters.sklearn.runtime import SklearnRuntime
        from interlock.adapters.statsmodels.runtime import LinearRuntime
        from interlock.adapters.torch.runtime import TorchRuntime
        from interlock.adapters.treelite.runtime import TreeliteRuntime
        from interlock.adapters.xgboost.runtime import XgboostRuntime

        return (
            OnnxRuntime(),
            SklearnRuntime(),
            XgboostRuntime(),
            LightgbmRuntime(),
            CatboostRuntime(),
            TreeliteRuntime(),
            LinearRuntime(),
            PythonRuntime(self._signer),
            MlflowRuntime(self._signer),
            TorchRuntime(self._signer),
            KerasRuntime(self._signer),
            GraphRuntime(self._load_member, self._signer),
        )

    def _load_member(self, ref: str) -> LoadedModel:
        return self.load_model(ref)

    @cached_property
    def monitoring(self) -> Monitors:
        """Monitors, reports and alerts."""
        from interlock.monitoring.monitors import Monitors

        return Monitors(
            self.stores.monitors,
            self.stores.predictions,
            resolve_version=self.registry.resolve,
            reference=self.loop.reference,
        )

    @cached_property
    def loop(self) -> Loop:
        """Gates, triggers, rollouts and traces: where the stations lock."""
        from interlock.loop.loop import Loop

        return Loop(self)

    @cached_property
    def secret(self) -> bytes:
        """The key that signs what only this workspace may load again: 32 bytes, readable by its owner only."""
        return _secret_in(self.folder)

    @cached_property
    def _signer(self) -> Signer:
        """What signs models that bring Python code, and knows those that were signed here."""
        from interlock.core.signing import Signer

        return Signer(_keys_in(self.folder))

    @cached_property
    def seal(self) -> Seal:
        """What seals the secrets that users hand in, before any store keeps them."""
        return _seal_in(self.folder)

    @cached_property
    def explain_model(self) -> ModelExplainer:
        """What says how the columns of a row made a version answer as it does."""
        from interlock.serving.explaining import ModelExplainer

        return ModelExplainer(
            self.registry.resolve,
            self.registry.package_folder,
            self.runtimes,
            load=lambda ref: self.load_model(ref).predictor,
            example_of=self.registry.example,
        )


def _servers(workspace: Workspace) -> EndpointServers:
    from importlib import import_module

    from interlock.adapters.local.endpoint_servers import LocalEndpointServers
    from interlock.adapters.memory.endpoint_servers import ThreadEndpointServers
    from interlock.adapters.remote.endpoint_servers import RemoteEndpointServers

    if workspace.uri.startswith("memory:"):
        # the server stands above this module: as a command's, its code is found by name
        serve_here = import_module("interlock.server.serve_endpoint").serve_here
        return ThreadEndpointServers(lambda: serve_here(workspace))
    if workspace.uri.startswith(("http:", "https:")):
        return RemoteEndpointServers(workspace.uri, token=os.environ.get("INTERLOCK_TOKEN"))
    return LocalEndpointServers(workspace.uri, workspace.folder / "servers", project=workspace.project)


def _secret_in(folder: Path) -> bytes:
    """Return the key that lies in a folder, making it if there is none."""
    path, new = folder / "secret", folder / f"secret.{secrets.token_hex(8)}"
    if not path.exists():
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        # whole or not at all, and of two processes the first
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
        new.unlink()
    key = path.read_bytes()
    if len(key) != 32:
        raise Corrupt(f"{path} does not hold a key", why=f"expected 32 bytes, found {len(key)}", fix=f"rm {path}")
    return key


def _seal_in(folder: Path) -> Seal:
    """Return what seals with the passphrase that is set, else with the key that lies in a folder, and opens both."""
    from interlock.core.sealing import Seal

    return Seal(_keys_in(folder))


def _keys_in(folder: Path) -> Callable[[], list[bytes]]:
    """Return what gives the key of the passphrase that is set, if one is, and the key that lies in a folder."""
    from interlock.core.sealing import PASSPHRASES, key_of_passphrase

    def keys() -> list[bytes]:
        phrases = [os.environ[name] for name in PASSPHRASES if os.environ.get(name)]
        return [*map(key_of_passphrase, phrases[:1]), _secret_in(folder)]

    return keys


def open_workspace(
    uri: str | os.PathLike[str] | None = None,
    *,
    actor: str = "user",
    create: bool = True,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
) -> Workspace:
    """Open a workspace, making it if it does not exist yet.

    Args:
        uri: A folder, `postgresql://…`, `http://…`, `memory:`, or a scheme that another package plugs in; by default
            `INTERLOCK_URI`, else the folder `.interlock` here or above, found upwards like `.git`.
        actor: Who is working; written into every event.
        create: Whether a missing folder is made.
        clock: What tells the time, where that is not the machine's clock.
        environ: The environment, where that is not the process's.

    Raises:
        NotFound: There is no workspace and `create` is False.
        InvalidInput: The folder holds something else, or the URI has an unknown scheme.
        Corrupt: The workspace is damaged.
        NewerSchema: A newer version of Interlock wrote it.
        Unavailable: The server does not answer.
    """
    env = os.environ if environ is None else environ
    where = os.fspath(uri) if uri is not None else find_workspace_uri(environ=env)
    ticking = clock or SystemClock()
    scheme = urlsplit(where).scheme if "://" in where or where.startswith("memory:") else ""
    if scheme == "memory":
        return _open_memory(where, actor=actor, clock=ticking)
    if scheme in ("postgresql", "postgres"):
        opened = _open_postgres(where, actor=actor, clock=ticking, cache=cache_folder(where, env))
    elif scheme in ("http", "https"):
        token = env.get("INTERLOCK_TOKEN")
        opened = _open_remote(where, clock=ticking, cache=cache_folder(where, env), token=token)
    elif scheme not in ("", "file"):
        opened = _open_plugged_in(where, scheme, actor=actor, clock=ticking, cache=cache_folder(where, env))
    else:
        folder = Path(urlsplit(where).path if scheme == "file" else where).expanduser()
        opened = _open_folder(folder, actor=actor, create=create, clock=ticking)
    _fetch_what_is_left_over(opened, patience_s=1.0 if scheme in ("", "file") else 0.0)
    return opened


def _fetch_what_is_left_over(workspace: Workspace, *, patience_s: float) -> None:
    """Take in what runs wrote whose process is gone, or that were cut off from their store."""
    if (workspace.folder / RUN_SPOOL).is_dir() and workspace.run_spool is not None and workspace.run_spool.is_used:
        workspace.run_spool.settle(patience_s=patience_s)


def _engine(name: str, environments: Path) -> Executor:
    from interlock.adapters.local.environments import EnvironmentFolder
    from interlock.adapters.local.executors import AdaptiveExecutor, InlineExecutor
    from interlock.adapters.local.pool import ProcessExecutor

    kind, _, detail = name.partition(":")
    if kind in ("auto", "pool"):
        if detail and not detail.isdecimal():
            raise InvalidInput(f"'{name}' is no engine", why="expected a number of workers", fix=f"on='{kind}:4'")

        def pool() -> Executor:
            return ProcessExecutor(int(detail) if detail else None, environments=EnvironmentFolder(environments))

        return AdaptiveExecutor(pool) if kind == "auto" else pool()
    if kind == "inline" and not detail:
        return InlineExecutor()
    if kind == "ray":
        from interlock.adapters.ray.executor import RayExecutor

        return RayExecutor(detail or None)
    if kind == "dask":
        from interlock.adapters.dask.executor import DaskExecutor

        return DaskExecutor(detail or None)
    raise InvalidInput(f"'{name}' is no engine", why=did_you_mean(kind, ("auto", "inline", "pool", "ray", "dask")))


def _open_folder(folder: Path, *, actor: str, create: bool, clock: Clock) -> Workspace:
    from interlock.adapters.localfs.artifact_store import LocalArtifactStore
    from interlock.adapters.localfs.prediction_spool import SpooledPredictionLog
    from interlock.adapters.localfs.workspace_folder import MARKER, prepare_folder
    from interlock.adapters.sql.database import Database
    from interlock.adapters.sql.dialect import SqliteDialect
    from interlock.adapters.sql.stores import sql_stores

    if folder.name != FOLDER and (folder / FOLDER / MARKER).is_file():
        folder = folder / FOLDER
    prepare_folder(folder, create=create)
    database = Database(SqliteDialect(folder / "metadata.db"), actor=actor, clock=clock)
    with contextlib.ExitStack() as opened:
        opened.callback(database.close)
        artifacts = LocalArtifactStore(folder / "artifacts")
        opened.callback(artifacts.close)
        plain = sql_stores(database, artifacts=artifacts, seal=_seal_in(folder))
        spool = SpooledPredictionLog(plain.predictions, folder / "predictions")
        opened.callback(spool.close)
        stores = replace(plain, predictions=spool)
        close = opened.pop_all().close
        return Workspace(str(folder), folder=folder, stores=stores, clock=clock, commits=database, on_close=close)


def _open_memory(uri: str, *, actor: str, clock: Clock) -> Workspace:
    import shutil
    import tempfile

    from interlock.adapters.memory.stores import memory_stores

    folder = Path(tempfile.mkdtemp(prefix="interlock-"))
    return Workspace(
        uri,
        folder=folder,
        stores=memory_stores(actor=actor, clock=clock),
        clock=clock,
        on_close=lambda: shutil.rmtree(folder, ignore_errors=True),
    )


def _open_postgres(uri: str, *, actor: str, clock: Clock, cache: Path) -> Workspace:
    from interlock.adapters.sql.database import Database
    from interlock.adapters.sql.dialect import PostgresDialect
    from interlock.adapters.sql.stores import sql_stores

    database = Database(PostgresDialect(uri), actor=actor, clock=clock)
    stores = sql_stores(database, seal=_seal_in(cache))
    return Workspace(uri, folder=cache, stores=stores, clock=clock, commits=database, on_close=database.close)


def _open_remote(uri: str, *, clock: Clock, cache: Path, token: str | None) -> Workspace:
    from interlock.adapters.remote.stores import remote_stores

    return Workspace(uri, folder=cache, stores=remote_stores(uri, token=token), clock=clock)


def _open_plugged_in(uri: str, scheme: str, *, actor: str, clock: Clock, cache: Path) -> Workspace:
    """Open a workspace whose stores come from another package.

    The package names, in the entry-point group `interlock.adapters`, a function under the scheme it serves; it is
    called with the URI, `actor=` and `clock=`, and returns `Stores`.
    """
    from importlib.metadata import entry_points

    known = {point.name: point for point in entry_points(group=PLUG_INS)}
    if scheme not in known:
        raise InvalidInput(
            f"'{uri}' has an unknown scheme",
            why=f"'{scheme}' is none of: a folder, postgresql, http, https, memory"
            + "".join(f", {name}" for name in sorted(known)),
            fix="interlock --dir FOLDER …",
        )
    stores: Stores = known[scheme].load()(uri, actor=actor, clock=clock)
    return Workspace(uri, folder=cache, stores=stores, clock=clock)


def cache_folder(uri: str, env: Mapping[str, str]) -> Path:
    """Return the folder for caches, spools and the secret of a workspace that is none itself."""
    root = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "/tmp")) / ".cache")  # noqa: S108
    folder = root / "interlock" / digest_of(uri.encode())[3:19]
    folder.mkdir(parents=True, exist_ok=True)
    return folder
