"""Answer MLflow's endpoints that search runs, experiments and the datasets that runs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from interlock.core.errors import NotFound
from interlock.ports.experiment_store import Experiment
from interlock.ports.run_store import RunPage
from interlock.ports.search import AllOf, AnyOf, Compare, Field, Filter, Lifecycle, Not, OrderBy
from interlock.ports.search_fields import MLFLOW_EXPERIMENTS, MLFLOW_RUNS
from interlock.ports.search_grammar import parse_filter, parse_order
from interlock.server.http import JSON_TYPE, Answer, Request, Response
from interlock.server.mlflow.arrow_answers import runs_stream, wants_arrow
from interlock.server.mlflow.known_runs import experiment_number, experiment_of, known_experiment
from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.run_records import (
    PARENT,
    RUN_NAME,
    USER,
    ExperimentRecord,
    Int64,
    RunRecord,
    experiment_record,
    run_record,
)
from interlock.server.mlflow.wire import Endpoint, Ground, RawEndpoint, invalid, read, write

MOST_RESULTS = 50_000
MOST_DATASET_EXPERIMENTS = 20
MOST_DATASETS = 1000
_LOOKED_THROUGH = 1000
_VIEWS: dict[str, Lifecycle] = {"ACTIVE_ONLY": "active", "DELETED_ONLY": "deleted", "ALL": "all"}
_HAS_ID = Compare(Field("attribute", "id"), "!=", "")


class Runs(msgspec.Struct, kw_only=True):
    """Which runs to find."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: str | int = "ACTIVE_ONLY"
    max_results: Int64 = 1000
    order_by: list[str] = []
    page_token: str = ""


class _Experiments(msgspec.Struct, kw_only=True):
    view_type: str | int = "ACTIVE_ONLY"
    max_results: Int64 = 1000
    order_by: list[str] = []
    filter: str = ""
    page_token: str = ""


class _Datasets(msgspec.Struct, kw_only=True):
    experiment_ids: list[str] = []


class RunsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some runs, and where to go on."""

    runs: list[RunRecord] = []
    next_page_token: str = ""


class ExperimentsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some experiments, and where to go on."""

    experiments: list[ExperimentRecord] = []
    next_page_token: str = ""


class DatasetSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dataset that runs of an experiment read."""

    experiment_id: str
    name: str
    digest: str
    context: str = ""


class DatasetsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Datasets that runs read."""

    dataset_summaries: list[DatasetSummary] = []


async def _search_runs(ground: Ground, request: Request) -> Answer:
    asked = await read(request, Runs)
    return await ground.workers.run(_runs_answer, ground, request, asked)


def _runs_answer(ground: Ground, request: Request, asked: Runs) -> Response:
    page, homes = _found(ground, asked)
    if wants_arrow(request):
        return runs_stream(request, page.runs, homes, next_page_token=page.after or "")
    return write(request, _written(page, homes))


def found_runs(ground: Ground, asked: Runs) -> RunsAnswer:
    """Return one page of runs."""
    return _written(*_found(ground, asked))


def _written(page: RunPage, homes: Mapping[str, Experiment]) -> RunsAnswer:
    return RunsAnswer([run_record(run, homes[run.experiment]) for run in page.runs], page.after or "")


def _found(ground: Ground, asked: Runs) -> tuple[RunPage, dict[str, Experiment]]:
    """Return one page of runs, and their experiments by name."""
    _check_most(asked.max_results)
    lifecycle = _view(asked.run_view_type, path="run_view_type")
    where = shown_as_tags(parse_filter(asked.filter, MLFLOW_RUNS))
    order = tuple(map(_ordered_by, parse_order(asked.order_by, MLFLOW_RUNS)))
    homes = {one.name: one for one in _experiments(ground, asked.experiment_ids)}
    page = RunPage((), None)
    if homes:
        page = ground.stores.runs.search(
            experiments=tuple(homes),
            where=where,
            order=order,
            lifecycle=lifecycle,
            limit=asked.max_results,
            after=asked.page_token or None,
        )
    for run in page.runs:
        if run.experiment not in homes:  # it was renamed meanwhile
            homes[run.experiment] = experiment_of(ground, run)
    return page, homes


def _experiments(ground: Ground, ids: Sequence[str]) -> list[Experiment]:
    """Return the experiments of some ids; those that are not there have no runs."""
    found = []
    for number in dict.fromkeys(map(experiment_number, ids)):
        try:
            found.append(ground.stores.experiments.get(number))
        except NotFound:
            continue
    return found


def shown_as_tags(where: Filter | None) -> Filter | None:
    """Return a filter that also finds by what of a run is shown as tags: its name, its parent and its user."""
    if isinstance(where, Compare):
        return _shown_as_tag(where) if where.field.part == "tag" else where
    if isinstance(where, Not):
        return Not(shown_as_tags(where.clause) or where.clause)
    if where is None:
        return None
    clauses = tuple(shown_as_tags(clause) or clause for clause in where.clauses)
    return AllOf(clauses) if isinstance(where, AllOf) else AnyOf(clauses)


def _shown_as_tag(where: Compare) -> Filter:
    attribute = {RUN_NAME: "name", PARENT: "parent", USER: "user"}.get(where.field.key)
    if attribute is None:
        return where
    same = msgspec.structs.replace(where, field=Field("attribute", attribute))
    if attribute == "name":
        always: dict[str, Filter] = {"IS NOT NULL": _HAS_ID, "IS NULL": Not(_HAS_ID)}
        return always.get(where.operator, same)
    return AllOf((where, same)) if where.operator == "IS NULL" else AnyOf((where, same))


def _ordered_by(one: OrderBy) -> OrderBy:
    name = Field("attribute", "name")
    return OrderBy(name, one.descending) if one.field == Field("tag", RUN_NAME) else one


def _search_experiments(ground: Ground, asked: _Experiments) -> ExperimentsAnswer:
    _check_most(asked.max_results)
    known_experiment(ground, "")  # the default experiment is always there
    page = ground.stores.experiments.search(
        where=parse_filter(asked.filter, MLFLOW_EXPERIMENTS),
        order=parse_order(asked.order_by, MLFLOW_EXPERIMENTS),
        lifecycle=_view(asked.view_type, path="view_type"),
        limit=asked.max_results,
        after=asked.page_token or None,
    )
    return ExperimentsAnswer(list(map(experiment_record, page.experiments)), page.after or "")


def _search_datasets(ground: Ground, asked: _Datasets) -> DatasetsAnswer:
    """Return the datasets that the newest runs of some experiments read.

    Cost: reads up to 1000 runs whole.
    """
    if not asked.experiment_ids:
        raise invalid("SearchDatasets request must specify at least one experiment_id.")
    if len(asked.experiment_ids) > MOST_DATASET_EXPERIMENTS:
        raise invalid(
            f"SearchDatasets request cannot specify more than {MOST_DATASET_EXPERIMENTS} experiment_ids."
            f" Received {len(asked.experiment_ids)} experiment_ids."
        )
    homes = {one.name: str(one.id) for one in _experiments(ground, asked.experiment_ids)}
    if not homes:
        return DatasetsAnswer()
    page = ground.stores.runs.search(
        experiments=tuple(homes),
        where=Compare(Field("dataset", "name"), "IS NOT NULL"),
        lifecycle="all",
        limit=_LOOKED_THROUGH,
    )
    found = dict.fromkeys(
        DatasetSummary(homes[run.experiment], use.name, use.digest, use.context)
        for run in page.runs
        if run.experiment in homes
        for use in run.datasets
    )
    return DatasetsAnswer(list(found)[:MOST_DATASETS])


def _check_most(most: int) -> None:
    if not 1 <= most <= MOST_RESULTS:
        why = "It must be a positive integer." if most < 1 else f"It must be at most {MOST_RESULTS}."
        raise invalid(invalid_value("max_results", most, why))


def _view(given: str | int, *, path: str) -> Lifecycle:
    if given in _VIEWS:
        return _VIEWS[str(given)]
    place = int(given) if isinstance(given, int) or given.isascii() and given.isdecimal() and len(given) < 9 else 0
    if 1 <= place <= len(_VIEWS):
        return list(_VIEWS.values())[place - 1]
    raise invalid(invalid_value(path, given, f"Expected one of {', '.join(_VIEWS)}."))


_EXPERIMENTS = "/2.0/mlflow/experiments"
_search = partial(Endpoint, path=f"{_EXPERIMENTS}/search", request=_Experiments, handle=_search_experiments)

ENDPOINTS: tuple[Endpoint | RawEndpoint, ...] = (
    RawEndpoint(method="POST", path="/2.0/mlflow/runs/search", answer=_search_runs, media_types=(JSON_TYPE,)),
    _search(method="POST"),
    _search(method="GET"),
    Endpoint(
        method="POST",
        path=f"{_EXPERIMENTS}/search-datasets",
        request=_Datasets,
        handle=_search_datasets,
    ),
)
