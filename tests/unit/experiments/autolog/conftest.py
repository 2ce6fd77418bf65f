"""Switch the recording on over memory stores, and off again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interlock.experiments.autolog import sessions
from interlock.experiments.autolog.switching import switch_off, switch_on
from interlock.experiments.tracking import Experiments
from interlock.ports.run_store import Run
from interlock.ports.stores import Stores


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    sessions._told.clear()


@pytest.fixture
def autolog(experiments: Experiments) -> Iterator[Callable[..., None]]:
    """Return `interlock.autolog`, over the stores of the test."""

    def switch(*frameworks: str, **options: Any) -> None:
        def opened(*args: Any, **kwargs: Any) -> Any:
            return experiments.run(*args, console=False, system_every_s=0, **kwargs)

        switch_on(*frameworks, open_run=opened, **options)

    yield switch
    switch_off()


class Recorded:
    """What was recorded, oldest first."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @property
    def runs(self) -> list[Run]:
        return self._stores.runs.runs()[::-1]

    @property
    def one(self) -> Run:
        [run] = self.runs
        return run

    def files(self, run: Run) -> dict[str, bytes]:
        return {
            entry.path: self._stores.artifacts.get(entry.digest)
            for entry in self._stores.runs.artifacts(run.id)
            if not entry.path.startswith(("environment/", "media/index/"))
        }

    def described(self, run: Run) -> dict[str, Any]:
        """Return what the MLmodel file of the run's model says."""
        found: dict[str, Any] = json.loads(self.files(run)["model/MLmodel"])
        return found


@pytest.fixture
def recorded(stores: Stores) -> Recorded:
    return Recorded(stores)
