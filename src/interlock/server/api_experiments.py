"""Answer about experiments: by name, and in the folders that their names make."""

from __future__ import annotations

from typing import Annotated

import msgspec

from interlock.experiments.folders import counted, level
from interlock.ports.experiment_store import Experiment
from interlock.server.view_routes import Limit, Source, View
from interlock.server.views import ExperimentLevel

_Some = Annotated[int, msgspec.Meta(ge=1, le=200)]


class NamesQuery(msgspec.Struct, frozen=True):
    """Which experiments to list: those whose names come after one, by name."""

    after: str = ""
    limit: Limit = 1000


class LevelQuery(msgspec.Struct, frozen=True):
    """Which folder to show, or what in it to find by its name; `after` is what the page before returned."""

    under: str = ""
    match: str = ""
    after: str = ""
    limit: _Some = 100


def list_experiments(source: Source, query: NamesQuery) -> list[Experiment]:
    """List the active experiments by name."""
    return source.stores.experiments.experiments(after=query.after, limit=query.limit)


def show_level(source: Source, query: LevelQuery) -> ExperimentLevel:
    """Show what lies in one folder of experiments."""
    under = query.under.removesuffix("/")
    found = level(source.stores.experiments, under, match=query.match, after=query.after, limit=query.limit)
    return ExperimentLevel(
        under=under,
        folders=found.folders,
        experiments=tuple(counted(one, source.stores.runs) for one in found.experiments),
        total=found.total,
        after=found.after,
    )


VIEWS = (
    View(path="/experiments", read=list_experiments, query=NamesQuery),
    View(path="/experiments/level", read=show_level, query=LevelQuery),
)
