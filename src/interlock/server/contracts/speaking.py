"""Say which protocols a process speaks: all of them, and those of its platform first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from interlock.server.answering import Answering
from interlock.server.contracts import (
    azureml,
    kserve_v1,
    model_openapi,
    sagemaker,
    sagemaker_runtime,
    vertex,
)
from interlock.server.contracts.entry_script import EntryScript
from interlock.server.contracts.environments import NOWHERE, Environment
from interlock.server.contracts.model_folders import ModelFolders
from interlock.server.data_routes import DataRoute

Protocol = Callable[[Answering], Sequence[DataRoute]]

ALWAYS: tuple[Protocol, ...] = (
    kserve_v1.routes,
    sagemaker_runtime.routes,
    vertex.routes,
    model_openapi.routes,
)
"""The contracts of other platforms that are spoken everywhere; none claims a path of another."""


@dataclass(frozen=True)
class Spoken:
    """The protocols of one process.

    Args:
        environment: Where it runs.
        folders: The folders whose models are loaded and unloaded by calls, if they are.
        script: What answers Azure ML's `/score` in the model's place, if something does.
    """

    environment: Environment = NOWHERE
    folders: ModelFolders | None = None
    script: EntryScript | None = None

    def routes(self, answering: Answering, own: Iterable[DataRoute]) -> list[DataRoute]:
        """Return every route; where a platform has chosen a path, what it wants answers there.

        Args:
            answering: The ground to stand on.
            own: The routes of the protocols that are no platform's.
        """
        chosen = list(vertex.chosen_routes(answering, self.environment))
        azure = azureml.routes(answering, self.environment, self.script)
        amazon = sagemaker.routes(answering, self.environment)
        if self.folders is not None and self.environment.is_multi_model:
            chosen += sagemaker.model_routes(answering, self.folders)
        if self.environment.platform == "azureml":
            chosen += azure
        always = [route for protocol in ALWAYS for route in protocol(answering)]
        spoken = [*_distinct(chosen), *_others(chosen, [*own, *always, *azure, *amazon])]
        # whoever explains has the path
        unexplained = [*kserve_v1.unexplained_routes(answering), *vertex.unexplained_routes(answering)]
        return [*spoken, *_others(spoken, unexplained)]


def _distinct(routes: Iterable[DataRoute]) -> list[DataRoute]:
    """Return routes without those whose path an earlier one has: a platform may choose one path twice."""
    return list({(route.method, route.path): route for route in reversed(list(routes))}.values())


def _others(chosen: Sequence[DataRoute], routes: Iterable[DataRoute]) -> list[DataRoute]:
    taken = {(route.method, route.path) for route in chosen}
    return [route for route in routes if (route.method, route.path) not in taken]
