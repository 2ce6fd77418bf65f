"""Keep logged models in a dictionary by id."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from interlock.adapters.memory.experiment_store import MemoryExperimentStore
from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.records import settled
from interlock.adapters.memory.searching import page_of, values_of
from interlock.core.clock import Clock
from interlock.core.errors import Conflict, NotFound
from interlock.ports.checks import unknown_name
from interlock.ports.experiment_store import Experiment
from interlock.ports.journal import Edge
from interlock.ports.logged_model_rules import (
    changed,
    check_logged_model,
    check_logged_model_change,
    check_model_metrics,
    check_only_last,
    is_on,
    last_metrics,
    place_of_metric,
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
from interlock.ports.search import Field, Filter, Lifecycle, OrderBy
from interlock.ports.search_checks import checked_filter, fields_of
from interlock.ports.search_fields import LOGGED_MODELS


class MemoryLoggedModelStore(LoggedModelStore):
    """Logged models in memory; they follow their experiments."""

    def __init__(self, journal: MemoryJournal, clock: Clock, experiments: MemoryExperimentStore) -> None:
        self._journal = journal
        self._clock = clock
        self._experiments = experiments
        self._records: dict[str, LoggedModel] = {}
        experiments.followers.append(self._follow)

    def create(self, model: LoggedModel) -> LoggedModel:
        check_logged_model(model)
        with self._journal.lock:
            if model.id in self._records:
                raise Conflict(f"logged model '{model.id}' exists", why="an id is used once", fix="use a new id")
            check_in_use(self._experiments.ensure(model.experiment))
            record = settled(msgspec.structs.replace(model, updated_at=model.created_at))
            self._records[model.id] = record
            ref = ref_of_logged_model(model.id)
            edges = [] if model.run is None else [Edge(f"run:{model.run}", ref, "produced")]
            self._journal.append("logged_model.created", ref, payload=told_of_model(record), edges=edges)
            return settled(record)

    def get(self, model_id: str) -> LoggedModel:
        with self._journal.lock:
            record = self._known(model_id)
            if record.deleted_at is not None:
                raise NotFound(f"logged model '{model_id}' is deleted", why="it may be restored")
            return settled(record)

    def update(self, model_id: str, change: LoggedModelChange) -> LoggedModel:
        check_logged_model_change(change)
        with self._journal.lock:
            before = self._known(model_id)
            after, became = changed(before, change, now=self._clock.now())
            self._records[model_id] = after
            if became is not None:
                self._journal.append(
                    f"logged_model.{became}", ref_of_logged_model(model_id), payload=told_of_model(after)
                )
            return settled(after)

    def log_metrics(self, model_id: str, metrics: Sequence[ModelMetric]) -> None:
        check_model_metrics(metrics)
        with self._journal.lock:
            record = self._known(model_id)
            self.get(model_id)
            kept = last_metrics([*record.metrics, *metrics])
            self._records[model_id] = settled(msgspec.structs.replace(record, metrics=kept))

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
        condition = checked_filter(where, LOGGED_MODELS)
        check_only_last(condition, order)
        with self._journal.lock:
            records = [
                settled(one)
                for one in self._records.values()
                if (not experiments or one.experiment in experiments) and _is_measured(one, condition, datasets)
            ]
        found, following = page_of(
            records,
            of=LOGGED_MODELS,
            where=condition,
            order=order,
            lifecycle=lifecycle,
            limit=limit,
            after=after,
            read=partial(_values, datasets=datasets),
        )
        return LoggedModelPage(tuple(found), following)

    def delete(self, model_id: str) -> bool:
        with self._journal.lock:
            return self._records.pop(model_id, None) is not None

    def _known(self, model_id: str) -> LoggedModel:
        if model_id not in self._records:
            raise unknown_name("logged model", model_id, self._records)
        return self._records[model_id]

    def _follow(self, before: Experiment, after: Experiment | None) -> int:
        """Give models the new name of their experiment, or forget them with it; none of them is a run."""
        of_it = [one for one in self._records.values() if one.experiment == before.name]
        for one in of_it:
            if after is None:
                del self._records[one.id]
            else:
                self._records[one.id] = msgspec.structs.replace(one, experiment=after.name)
        return 0


def _is_measured(model: LoggedModel, where: Filter | None, datasets: tuple[DatasetMeant, ...]) -> bool:
    """Say whether a model has a metric on the datasets that are meant, where the filter itself asks for none."""
    if not datasets or any(field.part == "metric" for field in fields_of(where)):
        return True
    return any(is_on(metric, datasets) for metric in model.metrics)


def _values(model: LoggedModel, field: Field, *, datasets: tuple[DatasetMeant, ...]) -> list[Any]:
    """Return what a model has under a field; of a metric, what it came to on each dataset in each run, newest first."""
    if field.part != "metric":
        return values_of(model, field, cut_texts=False)
    meant = (DatasetMeant(field.dataset, field.digest),) if field.dataset else datasets
    found = [one for one in model.metrics if one.key == field.key and is_on(one, meant)]
    return [one.value for one in sorted(found, key=place_of_metric, reverse=True)]
