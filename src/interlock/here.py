"""Use the workspace of this folder: what `interlock.run`, `interlock.deploy` and their like stand on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from interlock.core.clock import SystemClock
from interlock.core.errors import Overloaded, TimedOut, Unavailable
from interlock.core.settings import find_workspace_uri
from interlock.experiments.asking import asked
from interlock.experiments.autolog.switching import switch_off, switch_on
from interlock.ports.stores import Stores
from interlock.workspace import Workspace, cache_folder, open_workspace

if TYPE_CHECKING:
    from interlock.experiments.active import ActiveRun
    from interlock.loop.endpoints import Endpoint

_OPEN_PATIENCE_S = 3.0
_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


@lru_cache(maxsize=4)
def _shared(uri: str) -> Workspace:
    """Return the workspace that this process uses for its runs; one that does not answer costs it nothing."""
    if not uri.startswith(("postgresql:", "postgres:")):
        return open_workspace(uri)
    try:
        return asked(lambda: open_workspace(uri), within_s=_OPEN_PATIENCE_S)
    except (Overloaded, TimedOut, Unavailable):
        stores = _Later(lambda: open_workspace(uri).stores)
        return Workspace(uri, folder=cache_folder(uri, os.environ), stores=stores.bundle(), clock=SystemClock())


class _Later:
    """Stores that are opened when they are first asked, and asked again as long as they cannot be."""

    def __init__(self, open_stores: Callable[[], Stores]) -> None:
        self._open = open_stores
        self._opened: Stores | None = None
        self._lock = threading.Lock()

    def bundle(self) -> Stores:
        """Return one stand-in for each store."""
        return Stores(**{field.name: _Port(self, field.name) for field in fields(Stores)})

    def store(self, name: str) -> Any:
        """Return a store, opened."""
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return getattr(self._opened, name)


class _Port:
    """Stands for one store until it is there."""

    def __init__(self, later: _Later, name: str) -> None:
        self._later = later
        self._name = name

    def __getattr__(self, method: str) -> Any:
        return getattr(self._later.store(self._name), method)


@overload
def run(experiment: str = "default", **options: Any) -> ActiveRun: ...
@overload
def run(experiment: Callable[_Params, _Result]) -> Callable[_Params, _Result]: ...
def run(experiment: str | Callable[..., Any] = "default", **options: Any) -> Any:
    """Start a run in the workspace of this folder; see `Experiments.run` for the options.

    A context manager, a decorator (with or without the name of an experiment), or an object to be ended by hand or by
    the end of the program. The workspace is opened once per process and found as `open_workspace` finds it.
    """
    experiments = _shared(find_workspace_uri()).experiments
    if callable(experiment):
        return experiments.run(**options)(experiment)
    return experiments.run(experiment, **options)


def deploy(model: Any, *, name: str | None = None, example: Any = None, **options: Any) -> Endpoint:
    """Put a model behind an endpoint of this folder's workspace; see `deploying.deploy_as` for the options."""
    return _shared(find_workspace_uri()).deploy(model, name=name, example=example, **options)


def endpoint(name: str) -> Endpoint:
    """Return an endpoint of this folder's workspace.

    Raises:
        NotFound: There is none of the name.
    """
    return _shared(find_workspace_uri()).endpoint(name)


def autolog(*frameworks: str, disable: bool = False, **options: Any) -> None:
    """Record every training of the frameworks in use as a run, from now on; see `Autolog` for the options.

    Args:
        frameworks: Which ones (`sklearn`, `xgboost`, `lightgbm`, `catboost`, `pytorch`, `lightning`, `keras`,
            `statsmodels`); all of them if none is named. One that is imported later is seen to then.
        disable: Whether to stop that.
        options: What to record.
    """
    if disable:
        switch_off(*frameworks)
    else:
        switch_on(*frameworks, open_run=run, **options)
