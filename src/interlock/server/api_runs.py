"""Answer about runs: lists, one run with its files, one metric series."""

from __future__ import annotations

import msgspec

from interlock.ports.run_store import Run, RunFilter
from interlock.server.view_routes import Limit, NoQuery, Source, View
from interlock.server.views import RunDetail, Series

CHILDREN = 500


class RunsQuery(msgspec.Struct, frozen=True):
    """Which runs to list; `before` is the id that ended the last page."""

    experiment: str | None = None
    kind: str | None = None
    status: str | None = None
    parent: str | None = None
    before: str | None = None
    limit: Limit = 100


def list_runs(source: Source, query: RunsQuery) -> list[Run]:
    """List runs, newest first."""
    where = RunFilter(experiment=query.experiment, kind=query.kind, status=query.status, parent=query.parent)
    return source.stores.runs.runs(where=where, before=query.before, limit=query.limit)


def get_run(source: Source, query: NoQuery, *, run_id: str) -> RunDetail:
    """Return a run with its children and its files."""
    runs = source.stores.runs
    run = runs.get(run_id)
    return RunDetail(
        run=run,
        children=tuple(runs.runs(where=RunFilter(parent=run_id), limit=CHILDREN)),
        artifacts=tuple(runs.artifacts(run_id)),
    )


def get_series(source: Source, query: NoQuery, *, run_id: str, key: str) -> Series:
    """Return one metric series of a run, by step."""
    points = source.stores.runs.history(run_id, key)
    return Series(
        key=key,
        steps=tuple(point.step for point in points),
        values=tuple(point.value for point in points),
        times=tuple(point.time for point in points),
    )


VIEWS = (
    View(path="/runs", read=list_runs, query=RunsQuery),
    View(path="/runs/{run_id}", read=get_run),
    View(path="/runs/{run_id}/metrics/{key}", read=get_series),
)
