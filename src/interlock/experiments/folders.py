"""See experiments in folders: a `/` in a name puts it into one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from interlock.ports.experiment_store import Experiment, ExperimentStore
from interlock.ports.run_store import RunFilter, RunStore

_AT_ONCE = 1000


class Folder(msgspec.Struct, frozen=True):
    """A folder of experiments.

    Args:
        path: Its name with those of the folders around it.
        experiments: How many are in it, those in its own folders too.
    """

    path: str
    experiments: int


class Level(msgspec.Struct, frozen=True):
    """What lies in one folder: its folders, and some of its experiments by name.

    Args:
        under: The folder; empty is where all begin.
        folders: The folders in it.
        experiments: Experiments in it.
        total: How many experiments are in it, those in its folders too.
        after: What to pass for the next experiments, None at the end.
    """

    under: str
    folders: tuple[Folder, ...]
    experiments: tuple[Experiment, ...]
    total: int
    after: str | None


class ExperimentRow(msgspec.Struct, frozen=True):
    """An experiment with how many runs it has, and when the newest began."""

    experiment: Experiment
    runs: int
    newest_at: datetime | None


def counted(experiment: Experiment, runs: RunStore) -> ExperimentRow:
    """Return an experiment with how many runs it has."""
    where = RunFilter(experiment=experiment.name)
    newest = runs.runs(where=where, limit=1)
    if not newest:
        return ExperimentRow(experiment=experiment, runs=0, newest_at=None)
    return ExperimentRow(experiment=experiment, runs=runs.count(where=where), newest_at=newest[0].started_at)


def within(store: ExperimentStore, folder: str) -> Iterator[Experiment]:
    """Yield the active experiments in a folder and in its folders, by name; in the empty one lie all."""
    start = f"{folder}/" if folder else ""
    after = start
    while True:
        found = store.experiments(after=after, limit=_AT_ONCE)
        for one in found:
            if not one.name.startswith(start):
                return
            yield one
        if len(found) < _AT_ONCE:
            return
        after = found[-1].name


def level(store: ExperimentStore, under: str = "", *, match: str = "", after: str = "", limit: int = 100) -> Level:
    """Return what lies in a folder; with `match`, all in and below it whose names hold that, in any case.

    Cost: reads the names of all experiments in the folder.
    """
    folders: dict[str, int] = {}
    here: list[Experiment] = []
    total = 0
    wanted = match.casefold()
    for one in within(store, under):
        if wanted and wanted not in one.name.casefold():
            continue
        total += 1
        folder = "" if wanted else _next_folder(one.name, under)
        if folder:
            folders[folder] = folders.get(folder, 0) + 1
        elif one.name > after and len(here) <= limit:
            here.append(one)
    more = here[limit - 1].name if len(here) > limit else None
    return Level(
        under=under,
        folders=tuple(Folder(path, count) for path, count in folders.items()),
        experiments=tuple(here[:limit]),
        total=total,
        after=more,
    )


def _next_folder(name: str, under: str) -> str:
    """Return the folder right below `under` in which an experiment lies; empty if it lies in `under` itself.

    Example:
        >>> _next_folder("vision/resnet/ablation", "vision"), _next_folder("/Users/ann", ""), _next_folder("a", "")
        ('vision/resnet', '/Users', '')
    """
    # a name may begin with a slash, which ends no folder
    cut = name.find("/", len(under) + 1 if under else 1)
    return name[:cut] if cut > 0 else ""
