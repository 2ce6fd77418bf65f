"""List, read, search and compare runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cyclopts import App

from interlock.cli.experiments import experiments, runs_in
from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, Table, fields, listing, table
from interlock.cli.session import Session
from interlock.core.units import human_bytes, human_seconds
from interlock.experiments.comparing import Difference
from interlock.experiments.comparing import compare as compare_runs
from interlock.experiments.groups import difference, group_by
from interlock.loop.importing.files import without_secrets
from interlock.loop.querying import TABLES
from interlock.loop.transfers import check_destination, copy_to, copy_within, move_to, move_within
from interlock.ports.run_store import Run, RunFilter
from interlock.workspace import open_workspace

app = App(name="run", help="List, read, search and compare runs.")
app.command(experiments)

COLUMNS = {
    "run": lambda run: run.id,
    "experiment": lambda run: run.experiment,
    "kind": lambda run: run.kind,
    "name": lambda run: run.name,
    "status": lambda run: run.status,
    "started": lambda run: run.started_at,
    "took": lambda run: took(run),
    "metrics": lambda run: {key: summary.last for key, summary in sorted(run.metrics.items())[:4]},
}


@app.command(name="list")
def list_(
    *,
    experiment: str | None = None,
    kind: str | None = None,
    status: str | None = None,
    parent: str | None = None,
    folder: str | None = None,
    limit: int = 20,
    session: Here,
) -> Answer:
    """List runs, newest first.

    Args:
        experiment: Only those of this experiment.
        kind: Only `training`, `pipeline`, `step`, `study`, `trial` …
        status: Only `running`, `finished`, `failed` or `killed`.
        parent: Only those inside this run.
        folder: Only those of the experiments in this folder.
        limit: At most so many.
    """
    where = RunFilter(
        experiment=experiment, kind=kind, status=status, parent=name_of(parent, kind="run") if parent else None
    )
    with open_workspace(session.uri, create=False) as workspace:
        if folder is None:
            runs = workspace.stores.runs.runs(where=where, limit=limit)
        else:
            runs = runs_in(folder, workspace.stores, where=where, limit=limit)
    return listing(runs, COLUMNS, empty="no such runs: with interlock.run('my-experiment') as run: …")


@app.command
def show(run: str, /, *, session: Here) -> Answer:
    """Show one run: what it was told, what it measured, what it ran on.

    Args:
        run: Its id or Ref.
    """
    run_id = name_of(run, kind="run")
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.stores.runs.get(run_id)
        files = workspace.stores.runs.artifacts(run_id)
    blocks: list[str | Table] = [
        fields(
            {
                "run": f"run:{found.id}",
                "experiment": found.experiment,
                "kind": found.kind,
                "name": found.name,
                "status": found.status,
                "started": found.started_at,
                "took": took(found),
                "inside": f"run:{found.parent}" if found.parent else None,
                "error": found.error,
                **{f"code {key}": value for key, value in found.code.items()},
            }
        )
    ]
    if found.params:
        blocks.append(table(found.params.items(), {"param": lambda item: item[0], "value": lambda item: item[1]}))
    if found.metrics:
        blocks.append(table(found.metrics.values(), METRIC_COLUMNS))
    if files:
        size = {"file": lambda file: file.path, "size": lambda file: human_bytes(file.size_bytes)}
        blocks.append(table(files, size))
    return Answer({"run": found, "artifacts": files}, tuple(blocks))


@app.command
def compare(run: str, other: str, /, *more: str, session: Here) -> Answer:
    """Say in what runs differ: params, data, code, libraries, metrics.

    Args:
        run: A run.
        other: Another run.
        more: Further runs.
    """
    ids = [name_of(one, kind="run") for one in (run, other, *more)]
    with open_workspace(session.uri, create=False) as workspace:
        stores = workspace.stores
        found = compare_runs(ids, runs=stores.runs, artifacts=stores.artifacts, journal=stores.journal)
    columns: dict[str, Callable[[Difference], Any]] = {"part": lambda one: one.part, "name": lambda one: one.name}
    for place, run_id in enumerate(ids):
        columns[run_id] = lambda one, place=place: one.values[place]  # type: ignore[misc]
    blocks: list[str | Table] = ["\n".join(found.words)]
    if found.differences:
        blocks.append(table(found.differences, columns))
    if found.code_diff:
        blocks.append(found.code_diff)
    return Answer(found, tuple(blocks))


@app.command
def group(
    metric: str,
    /,
    *,
    experiment: str,
    over: tuple[str, ...] = ("seed", "random_state"),
    limit: int = 10_000,
    session: Here,
) -> Answer:
    """Group runs that differ by seed alone: mean and interval of a metric, and whether the best two really differ.

    Args:
        metric: The metric.
        experiment: Whose runs.
        over: Params that may differ within a group.
        limit: At most so many runs.
    """
    with open_workspace(session.uri, create=False) as workspace:
        runs = workspace.stores.runs.runs(where=RunFilter(experiment=experiment, status="finished"), limit=limit)
    groups = group_by(runs, metric, over=over)
    answer = listing(groups, GROUP_COLUMNS, empty=f"experiment '{experiment}' has no finished runs")
    if len(groups) < 2 or min(len(one.values) for one in groups[:2]) < 2:
        return answer
    known = {run.id: run for run in runs}
    best, second = ([known[run_id] for run_id in one.runs] for one in groups[:2])
    verdict = difference(second, best, metric, pair_by=over[0])
    return Answer({"groups": groups, "difference": verdict}, (*answer.blocks, verdict.words))


@app.command
def sql(statement: str = "", /, *, tables: bool = False, session: Here) -> Answer:
    """Ask for runs, metrics, models, predictions and events by one SELECT of DuckDB; it can change nothing.

    Args:
        statement: The SELECT.
        tables: List the tables and their columns instead.
    """
    if tables or not statement:
        return Answer(TABLES, (table(TABLES.items(), {"table": lambda one: one[0], "columns": lambda one: [*one[1]]}),))
    with open_workspace(session.uri, create=False) as workspace:
        found = workspace.loop.query(statement)
    names = found.column_names
    columns = {name: lambda row, place=place: row[place] for place, name in enumerate(names)}
    rows = list(zip(*(column.to_pylist() for column in found.columns), strict=True))
    return Answer(found.to_pylist(), (table(rows, columns) if rows else "no rows",))


@app.command
def copy(run: str, /, *more: str, experiment: str | None = None, to: str | None = None, session: Here) -> Answer:
    """Copy runs, with all they logged, to another experiment or workspace.

    Args:
        run: A run.
        more: Further runs.
        experiment: The experiment to copy them to.
        to: The workspace to copy them to: a folder, `postgresql://…` or the `http://…` of a server.
    """
    return _transfer([run, *more], experiment, to, session, moving=False)


@app.command
def move(run: str, /, *more: str, experiment: str | None = None, to: str | None = None, session: Here) -> Answer:
    """Move runs, with all they logged, to another experiment or workspace; there, they are compared first.

    Args:
        run: A run.
        more: Further runs.
        experiment: The experiment to move them to.
        to: The workspace to move them to: a folder, `postgresql://…` or the `http://…` of a server.
    """
    return _transfer([run, *more], experiment, to, session, moving=True)


def _transfer(runs: list[str], experiment: str | None, to: str | None, session: Session, *, moving: bool) -> Answer:
    check_destination(experiment, to)
    ids = [name_of(one, kind="run") for one in runs]
    with open_workspace(session.uri, create=False) as workspace:
        stores = workspace.stores
        if to is None:
            within = move_within if moving else copy_within
            done = within(stores, ids, experiment=experiment or "")
        else:
            across = move_to if moving else copy_to
            with open_workspace(to) as target:
                origin = without_secrets(workspace.uri)
                done = across(stores, target.stores, ids, origin=origin, experiment=experiment)
    columns = {"run": lambda one: one.run, "now": lambda one: one.now, "experiment": lambda one: one.experiment}
    return listing(done, columns, empty="no runs")


GROUP_COLUMNS = {
    "settings": lambda group: group.settings or "all the same",
    "runs": lambda group: len(group.runs),
    "mean": lambda group: group.mean,
    "95 % from": lambda group: group.low,
    "to": lambda group: group.high,
    "spread": lambda group: group.spread,
}
METRIC_COLUMNS = {
    "metric": lambda summary: summary.key,
    "last": lambda summary: summary.last,
    "min": lambda summary: summary.min,
    "max": lambda summary: summary.max,
    "points": lambda summary: summary.count,
}


def took(run: Run) -> str | None:
    """Say how long a run took, if it has ended."""
    return human_seconds((run.ended_at - run.started_at).total_seconds()) if run.ended_at else None
