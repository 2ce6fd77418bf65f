"""List and read runs."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from interlock.cli.noun import Here, name_of
from interlock.cli.output import Answer, Table, cell, fields, listing, table
from interlock.core.units import human_bytes, human_seconds
from interlock.ports.run_store import MetricSummary, Run, RunFilter
from interlock.workspace import open_workspace

app = App(name="run", help="List and read runs.")

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
    limit: int = 20,
    session: Here,
) -> Answer:
    """List runs, newest first.

    Args:
        experiment: Only those of this experiment.
        kind: Only `training`, `pipeline`, `step`, `study`, `trial` …
        status: Only `running`, `finished`, `failed` or `killed`.
        parent: Only those inside this run.
        limit: At most so many.
    """
    where = RunFilter(
        experiment=experiment, kind=kind, status=status, parent=name_of(parent, kind="run") if parent else None
    )
    with open_workspace(session.uri, create=False) as workspace:
        runs = workspace.stores.runs.runs(where=where, limit=limit)
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
def diff(old: str, new: str, /, *, session: Here) -> Answer:
    """Show in what two runs differ.

    Args:
        old: A run.
        new: Another run.
    """
    with open_workspace(session.uri, create=False) as workspace:
        one, two = (workspace.stores.runs.get(name_of(run, kind="run")) for run in (old, new))
    differences = [
        {"part": part, "name": name, "old": left.get(name), "new": right.get(name)}
        for part, left, right in _parts(one, two)
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    ]
    columns = {title: lambda row, title=title: cell(row[title]) for title in ("part", "name", "old", "new")}
    return listing(differences, columns, empty="the two runs have the same params, metrics, code and libraries")


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


def _parts(one: Run, two: Run) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    def last(metrics: dict[str, MetricSummary]) -> dict[str, Any]:
        return {key: summary.last for key, summary in metrics.items()}

    return [
        ("param", one.params, two.params),
        ("metric", last(one.metrics), last(two.metrics)),
        ("code", one.code, two.code),
        ("library", one.libraries, two.libraries),
    ]
