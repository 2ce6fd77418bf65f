"""Answer about runs: lists and searches, one run with its files, its series, comparisons and groups."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import msgspec

from interlock.core.errors import InvalidInput
from interlock.experiments.comparing import Comparison, compare, flatten
from interlock.experiments.folders import within
from interlock.experiments.gallery import has_media
from interlock.experiments.groups import Group, group_by
from interlock.pipelines.outcomes import STEPS_FILE
from interlock.ports.run_spool import CONSOLE_FILE
from interlock.ports.run_store import DIFF_FILE, Run, RunFilter, RunPage, Sampling
from interlock.ports.search import Filter
from interlock.ports.search_fields import RUNS
from interlock.ports.search_grammar import parse_filter, parse_order
from interlock.server.api_run_files import MEDIA, counted
from interlock.server.view_routes import Limit, NoQuery, Source, View
from interlock.server.views import RunDetail, RunKeys, Series

CHILDREN = 500
FILES = 1000
_OUR_OWN = (DIFF_FILE, CONSOLE_FILE, STEPS_FILE, "environment/")
"""Files that pages look for; however many there are, these are among those sent."""
_KEYS_FROM_RUNS = 200
_MOST_COMPARED = 20
_MOST_GROUPED = 5000


class RunsQuery(msgspec.Struct, frozen=True):
    """Which runs to list; `before` is the id that ended the last page."""

    experiment: str | None = None
    kind: str | None = None
    status: str | None = None
    parent: str | None = None
    before: str | None = None
    limit: Limit = 100


class SearchQuery(msgspec.Struct, frozen=True):
    """Which runs to find, by the search grammar, in which order, of one experiment or of all in a folder."""

    filter: str = ""
    order: str = ""
    experiment: str | None = None
    folder: str | None = None
    after: str | None = None
    limit: Limit = 100


class KeysQuery(msgspec.Struct, frozen=True):
    """Of which experiment."""

    experiment: str | None = None


class SeriesQuery(msgspec.Struct, frozen=True):
    """How many points to send at most, and how to thin out longer series."""

    points: int = 2000
    by: Sampling = "minmax"


class CompareQuery(msgspec.Struct, frozen=True):
    """Ids of runs, separated by commas."""

    runs: str


class GroupsQuery(msgspec.Struct, frozen=True):
    """Which runs to group, by which metric; `over` names the params that may differ within a group."""

    experiment: str
    metric: str
    over: str = "seed,random_state"
    filter: str = ""


def list_runs(source: Source, query: RunsQuery) -> list[Run]:
    """List runs, newest first."""
    where = RunFilter(experiment=query.experiment, kind=query.kind, status=query.status, parent=query.parent)
    return source.stores.runs.runs(where=where, before=query.before, limit=query.limit)


def search_runs(source: Source, query: SearchQuery) -> RunPage:
    """Find runs by the search grammar."""
    experiments: tuple[str, ...] = () if query.experiment is None else (query.experiment,)
    if query.folder:
        experiments = tuple(one.name for one in within(source.stores.experiments, query.folder.removesuffix("/")))
        if not experiments:
            return RunPage(runs=(), after=None)
    return source.stores.runs.search(
        experiments=experiments,
        where=_filter(query.filter),
        order=parse_order([query.order], RUNS) if query.order.strip() else (),
        limit=query.limit,
        after=query.after,
    )


def list_keys(source: Source, query: KeysQuery) -> RunKeys:
    """List what the newest runs logged: what a search can name and a table can show."""
    page = source.stores.runs.search(
        experiments=() if query.experiment is None else (query.experiment,), limit=_KEYS_FROM_RUNS
    )
    return RunKeys(
        attributes=tuple(RUNS.attributes),
        params=_sorted(key for run in page.runs for key in flatten(run.params)),
        metrics=_sorted(key for run in page.runs for key in run.metrics),
        tags=_sorted(key for run in page.runs for key in run.tags),
        experiments=tuple(one.name for one in source.stores.experiments.experiments(limit=1000)),
    )


def get_run(source: Source, query: NoQuery, *, run_id: str) -> RunDetail:
    """Return a run with its children and the first of its files."""
    runs = source.stores.runs
    run = runs.get(run_id)
    files = runs.artifacts(run_id)
    others = [file for file in files if not file.path.startswith(MEDIA)]
    others.sort(key=lambda file: not file.path.startswith(_OUR_OWN))
    return RunDetail(
        run=run,
        children=tuple(runs.runs(where=RunFilter(parent=run_id), limit=CHILDREN)),
        artifacts=tuple(others[:FILES]),
        files=counted(files),
        has_media=has_media(files),
    )


def get_series(source: Source, query: SeriesQuery, *, run_id: str, key: str) -> Series:
    """Return one metric series of a run, by step, thinned out if it is long."""
    if not 2 <= query.points <= 100_000:
        raise InvalidInput(f"points={query.points} cannot be sent", why="expected 2 to 100,000")
    found = source.stores.runs.sampled(run_id, key, points=query.points, by=query.by)
    count = len(found.values) // 8
    return Series(
        key=key,
        steps=struct.unpack(f"<{count}d", found.steps),
        values=struct.unpack(f"<{count}d", found.values),
        times=struct.unpack(f"<{count}q", found.times),
    )


def compare_runs(source: Source, query: CompareQuery) -> Comparison:
    """Say in what runs differ."""
    ids = [one for one in query.runs.split(",") if one]
    if len(ids) > _MOST_COMPARED:
        raise InvalidInput(f"{len(ids)} runs cannot be compared", why=f"expected up to {_MOST_COMPARED}")
    stores = source.stores
    return compare(ids, runs=stores.runs, artifacts=stores.artifacts, journal=stores.journal)


def list_groups(source: Source, query: GroupsQuery) -> list[Group]:
    """Group runs that differ by seed alone: mean and interval of a metric."""
    runs: list[Run] = []
    after: str | None = None
    while len(runs) < _MOST_GROUPED:
        page = source.stores.runs.search(
            experiments=(query.experiment,), where=_filter(query.filter), limit=1000, after=after
        )
        runs += page.runs
        after = page.after
        if after is None:
            break
    return group_by(runs, query.metric, over=[one for one in query.over.split(",") if one])


def _filter(text: str) -> Filter | None:
    return parse_filter(text, RUNS) if text.strip() else None


def _sorted(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(keys)))


VIEWS = (
    View(path="/runs", read=list_runs, query=RunsQuery),
    View(path="/runs/search", read=search_runs, query=SearchQuery),
    View(path="/runs/keys", read=list_keys, query=KeysQuery),
    View(path="/runs/compare", read=compare_runs, query=CompareQuery),
    View(path="/runs/groups", read=list_groups, query=GroupsQuery),
    View(path="/runs/{run_id}", read=get_run),
    View(path="/runs/{run_id}/metrics/{key}", read=get_series, query=SeriesQuery),
)
