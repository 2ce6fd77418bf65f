"""List experiments, folder by folder or as a tree."""

from __future__ import annotations

from interlock.cli.noun import Here
from interlock.cli.output import Answer, listing
from interlock.experiments.folders import ExperimentRow, Folder, counted, level, within
from interlock.ports.run_store import Run, RunFilter
from interlock.ports.search import AllOf, Compare, Field
from interlock.ports.stores import Stores
from interlock.workspace import open_workspace

_EMPTY = 'no such experiments: with interlock.run("vision/resnet") as run: …'

COLUMNS = {
    "experiment": lambda one: f"{one.path}/" if isinstance(one, Folder) else one.experiment.name,
    "experiments": lambda one: one.experiments if isinstance(one, Folder) else "",
    "runs": lambda one: one.runs if isinstance(one, ExperimentRow) else "",
    "newest": lambda one: one.newest_at if isinstance(one, ExperimentRow) else "",
}


def experiments(
    *, folder: str = "", match: str = "", tree: bool = False, limit: int = 100, after: str = "", session: Here
) -> Answer:
    """List experiments in their folders, which the slashes in their names make.

    Args:
        folder: Only what lies in this folder.
        match: Only those whose names hold this, in all folders.
        tree: With all that lies in the folders, indented.
        limit: At most so many experiments.
        after: Go on after the experiment of this name.
    """
    under = folder.removesuffix("/")
    with open_workspace(session.uri, create=False) as workspace:
        stores = workspace.stores
        if tree:
            names = [one for one in within(stores.experiments, under) if match.casefold() in one.name.casefold()]
            rows = [counted(one, stores.runs) for one in names if one.name > after][:limit]
            return Answer(rows, ("\n".join(_tree(rows, under)) or _EMPTY,))
        found = level(stores.experiments, under, match=match, after=after, limit=limit)
        described = [counted(one, stores.runs) for one in found.experiments]
    answer = listing([*found.folders, *described], COLUMNS, empty=_EMPTY)
    data = {"under": under, "folders": found.folders, "experiments": described, "after": found.after}
    return Answer(data, answer.blocks)


def runs_in(folder: str, stores: Stores, *, where: RunFilter, limit: int) -> list[Run]:
    """Return the newest runs of the experiments in a folder that match."""
    names = tuple(one.name for one in within(stores.experiments, folder.removesuffix("/")))
    if where.experiment is not None:
        names = tuple(name for name in names if name == where.experiment)
    if not names:
        return []
    wanted = {name: getattr(where, name) for name in ("kind", "status", "parent")}
    clauses = tuple(Compare(Field("attribute", name), "=", value) for name, value in wanted.items() if value)
    return list(stores.runs.search(experiments=names, where=AllOf(clauses) if clauses else None, limit=limit).runs)


def _tree(rows: list[ExperimentRow], under: str) -> list[str]:
    lines: list[str] = []
    open_parts: list[str] = []
    for row in rows:
        *parts, leaf = row.experiment.name[len(under) + 1 if under else 0 :].split("/")
        same = next((at for at, pair in enumerate(zip(parts, open_parts, strict=False)) if pair[0] != pair[1]), None)
        same = min(len(parts), len(open_parts)) if same is None else same
        lines += [f"{'  ' * at}{parts[at]}/" for at in range(same, len(parts))]
        open_parts = parts
        lines.append(f"{'  ' * len(parts)}{leaf}  {row.runs} run{'' if row.runs == 1 else 's'}")
    return lines
