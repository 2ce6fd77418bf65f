"""Keep logged models in SQL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from interlock.adapters.sql import experiment_store
from interlock.adapters.sql.database import Database, Readable
from interlock.adapters.sql.model_records import write_tags
from interlock.adapters.sql.model_search import search_logged_models
from interlock.core.clock import from_micros, to_micros
from interlock.core.errors import Conflict, NotFound
from interlock.ports.checks import unknown_name
from interlock.ports.journal import Edge
from interlock.ports.logged_model_rules import (
    changed,
    check_logged_model,
    check_logged_model_change,
    check_model_metrics,
    last_metrics,
    ref_of_logged_model,
    told_of_model,
)
from interlock.ports.logged_model_store import (
    DatasetMeant,
    LoggedModel,
    LoggedModelChange,
    LoggedModelPage,
    LoggedModelStore,
    ModelMetric,
)
from interlock.ports.run_rules import check_in_use
from interlock.ports.search import Filter, Lifecycle, OrderBy

_OF_MODEL = "model TEXT NOT NULL REFERENCES logged_models (id) ON DELETE CASCADE"

SCHEMA = (
    """CREATE TABLE logged_models (
        id TEXT PRIMARY KEY, experiment INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
        name TEXT NOT NULL, kind TEXT NOT NULL, run TEXT, status TEXT NOT NULL, status_message TEXT NOT NULL,
        created INTEGER NOT NULL, updated INTEGER NOT NULL, deleted INTEGER)""",
    "CREATE INDEX logged_models_experiment ON logged_models (experiment, created)",
    "CREATE INDEX logged_models_run ON logged_models (run)",
    f"CREATE TABLE logged_model_params ({_OF_MODEL}, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (model, key))",
    f"CREATE TABLE logged_model_tags ({_OF_MODEL}, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (model, key))",
    f"""CREATE TABLE logged_model_metrics (
        {_OF_MODEL}, key TEXT NOT NULL, dataset_name TEXT NOT NULL, dataset_digest TEXT NOT NULL, run TEXT NOT NULL,
        value REAL, step REAL NOT NULL, time INTEGER NOT NULL,
        PRIMARY KEY (model, key, dataset_name, dataset_digest, run))""",
)
"""A metric without a value is one that is NaN, which SQLite does not keep."""

_COLUMNS = "id, experiment, name, kind, run, status, status_message, created, updated, deleted"
# one statement, and so one moment
_PAGE = f"""WITH page AS (
        SELECT {", ".join(f"logged_models.{one}" for one in _COLUMNS.split(", ") if one != "experiment")},
            experiments.name AS experiment
        FROM logged_models JOIN experiments ON experiments.id = logged_models.experiment WHERE {{where}})
    SELECT 'model', id, experiment, name, kind, run, status, status_message, created, updated, deleted, 0.0, 0.0
        FROM page
    UNION ALL SELECT 'param', page.id, key, value, '', '', '', '', 0, 0, 0, 0.0, 0.0
        FROM page JOIN logged_model_params ON model = page.id
    UNION ALL SELECT 'tag', page.id, key, value, '', '', '', '', 0, 0, 0, 0.0, 0.0
        FROM page JOIN logged_model_tags ON model = page.id
    UNION ALL SELECT 'metric', page.id, key, dataset_name, dataset_digest, logged_model_metrics.run, '', '', time, 0, 0,
        value, step FROM page JOIN logged_model_metrics ON model = page.id"""
_KNOWN_SHOWN = 20
_ROWS_PER_STATEMENT = 1000


class SqlLoggedModelStore(LoggedModelStore):
    """Logged models in SQL: a row each, and a row for each param, tag and metric."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, model: LoggedModel) -> LoggedModel:
        check_logged_model(model)
        with self._database.write() as tx:
            if tx.one("SELECT 1 FROM logged_models WHERE id = ?", (model.id,)):
                raise Conflict(f"logged model '{model.id}' exists", why="an id is used once", fix="use a new id")
            experiment = experiment_store.ensure(tx, self._database, model.experiment)
            check_in_use(experiment)
            created = to_micros(model.created_at)
            tx.execute(
                f"INSERT INTO logged_models ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (
                    model.id,
                    experiment.id,
                    model.name,
                    model.kind,
                    model.run,
                    model.status,
                    model.status_message,
                    created,
                    created,
                ),
            )
            tx.insert("logged_model_params (model, key, value)", [(model.id, *one) for one in model.params.items()])
            tx.insert("logged_model_tags (model, key, value)", [(model.id, *one) for one in model.tags.items()])
            ref = ref_of_logged_model(model.id)
            edges = [] if model.run is None else [Edge(f"run:{model.run}", ref, "produced")]
            tx.event("logged_model.created", ref, told_of_model(model), edges=edges)
            return _known(tx, model.id)

    def get(self, model_id: str) -> LoggedModel:
        return _active(self._database, model_id)

    def update(self, model_id: str, change: LoggedModelChange) -> LoggedModel:
        check_logged_model_change(change)
        with self._database.write() as tx:
            before = _known(tx, model_id)
            after, became = changed(before, change, now=self._database.clock.now())
            if after is before:
                return after
            deleted = None if after.deleted_at is None else to_micros(after.deleted_at)
            tx.execute(
                "UPDATE logged_models SET status = ?, status_message = ?, updated = ?, deleted = ? WHERE id = ?",
                (after.status, after.status_message, to_micros(after.updated_at), deleted, model_id),
            )
            write_tags(tx, "logged_model_params", "model", model_id, before=before.params, after=after.params)
            write_tags(tx, "logged_model_tags", "model", model_id, before=before.tags, after=after.tags)
            if became is not None:
                tx.event(f"logged_model.{became}", ref_of_logged_model(model_id), told_of_model(after))
            return after

    def log_metrics(self, model_id: str, metrics: Sequence[ModelMetric]) -> None:
        check_model_metrics(metrics)
        with self._database.write() as tx:
            held = _active(tx, model_id).metrics
            new = [one for one in last_metrics([*held, *metrics]) if not any(one is other for other in held)]
            tx.insert(
                "logged_model_metrics (model, key, dataset_name, dataset_digest, run, value, step, time)",
                [(model_id, *_row(one)) for one in new],
                then="""ON CONFLICT (model, key, dataset_name, dataset_digest, run)
                        DO UPDATE SET value = excluded.value, step = excluded.step, time = excluded.time""",
            )

    def search(
        self,
        *,
        experiments: tuple[str, ...] = (),
        where: Filter | None = None,
        datasets: tuple[DatasetMeant, ...] = (),
        order: tuple[OrderBy, ...] = (),
        lifecycle: Lifecycle = "active",
        limit: int = 100,
        after: str | None = None,
    ) -> LoggedModelPage:
        ids, following = search_logged_models(
            self._database,
            experiments=experiments,
            where=where,
            datasets=datasets,
            order=order,
            lifecycle=lifecycle,
            limit=limit,
            after=after,
        )
        found: dict[str, LoggedModel] = {}
        for start in range(0, len(ids), _ROWS_PER_STATEMENT):
            part = ids[start : start + _ROWS_PER_STATEMENT]
            found |= _read(self._database, f"logged_models.id IN ({', '.join('?' * len(part))})", part)
        return LoggedModelPage(tuple(found[one] for one in ids if one in found), following)

    def delete(self, model_id: str) -> bool:
        with self._database.write() as tx:
            return tx.execute("DELETE FROM logged_models WHERE id = ?", (model_id,)) > 0


def _row(metric: ModelMetric) -> tuple[Any, ...]:
    value = None if math.isnan(metric.value) else metric.value
    return metric.key, metric.dataset_name, metric.dataset_digest, metric.run, value, metric.step, metric.time


def _active(source: Readable, model_id: str) -> LoggedModel:
    found = _known(source, model_id)
    if found.deleted_at is not None:
        raise NotFound(f"logged model '{model_id}' is deleted", why="it may be restored")
    return found


def _known(source: Readable, model_id: str) -> LoggedModel:
    found = _read(source, "logged_models.id = ?", [model_id])
    if model_id not in found:
        rows = source.query("SELECT id FROM logged_models ORDER BY created DESC LIMIT ?", (_KNOWN_SHOWN,))
        raise unknown_name("logged model", model_id, (one for (one,) in rows))
    return found[model_id]


def _read(source: Readable, where: str, params: Sequence[Any]) -> dict[str, LoggedModel]:
    """Return the models that fulfil a condition, by id."""
    found: dict[str, LoggedModel] = {}
    texts: dict[tuple[str, str], dict[str, str]] = {}
    metrics: dict[str, list[ModelMetric]] = {}
    for part, model_id, *fields, value, step in source.query(_PAGE.format(where=where), params):
        if part == "model":
            found[model_id] = _model(model_id, *fields)
        elif part == "metric":
            key, dataset_name, dataset_digest, run, _, _, time, _, _ = fields
            number = math.nan if value is None else value
            metrics.setdefault(model_id, []).append(
                ModelMetric(key, number, step, time, run, dataset_name, dataset_digest)
            )
        else:
            texts.setdefault((part, model_id), {})[fields[0]] = fields[1]
    return {
        model_id: msgspec.structs.replace(
            model,
            params=texts.get(("param", model_id), {}),
            tags=texts.get(("tag", model_id), {}),
            metrics=last_metrics(metrics.get(model_id, ())),
        )
        for model_id, model in found.items()
    }


def _model(
    model_id: str,
    experiment: str,
    name: str,
    kind: str,
    run: str | None,
    status: Any,
    status_message: str,
    created: int,
    updated: int,
    deleted: int | None,
) -> LoggedModel:
    return LoggedModel(
        id=model_id,
        experiment=experiment,
        name=name,
        created_at=from_micros(created),
        updated_at=from_micros(updated),
        run=run,
        kind=kind,
        status=status,
        status_message=status_message,
        deleted_at=None if deleted is None else from_micros(deleted),
    )
