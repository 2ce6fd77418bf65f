"""Name what the loop needs of a workspace, so that it depends on rooms and ports and on nothing above."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from interlock.core.clock import Clock
from interlock.ports.stores import Stores

if TYPE_CHECKING:
    from interlock.data.snapshots import Datasets
    from interlock.experiments.tracking import Experiments
    from interlock.labels.labels import Labels
    from interlock.monitoring.monitors import Monitors
    from interlock.pipelines.runner import Pipelines
    from interlock.ports.endpoint_servers import EndpointServers
    from interlock.registry.models import Models
    from interlock.serving.loading import LoadedModel


class Ground(Protocol):
    """The stores and rooms that the loop joins; a `Workspace` is one."""

    @property
    def uri(self) -> str:
        """Where the workspace is."""
        ...

    @property
    def folder(self) -> Path:
        """Where it keeps files on this machine."""
        ...

    @property
    def stores(self) -> Stores:
        """One of each store."""
        ...

    @property
    def clock(self) -> Clock:
        """What tells the time."""
        ...

    @property
    def data(self) -> Datasets:
        """Datasets."""
        ...

    @property
    def labels(self) -> Labels:
        """Label sets."""
        ...

    @property
    def experiments(self) -> Experiments:
        """Runs."""
        ...

    @property
    def pipelines(self) -> Pipelines:
        """Pipelines."""
        ...

    @property
    def registry(self) -> Models:
        """Models."""
        ...

    @property
    def monitoring(self) -> Monitors:
        """Monitors."""
        ...

    @property
    def secret(self) -> bytes:
        """The key that its owner alone can read."""
        ...

    @property
    def servers(self) -> EndpointServers:
        """Who answers over HTTP for the endpoints."""
        ...

    @property
    def load_model(self) -> Callable[[str], LoadedModel]:
        """What loads a model version."""
        ...
