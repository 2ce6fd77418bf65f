"""What every store of logged models refuses, and what a change comes to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import get_args

import msgspec

from interlock.core.clock import aware
from interlock.core.errors import Conflict, InvalidInput
from interlock.core.refs import check_name, check_title
from interlock.ports.checks import check_key, check_tags, check_text
from interlock.ports.logged_model_store import (
    DatasetMeant,
    LoggedModel,
    LoggedModelChange,
    LoggedModelStatus,
    ModelMetric,
)
from interlock.ports.model_rules import changed_tags
from interlock.ports.search import Filter, OrderBy
from interlock.ports.search_checks import fields_of


def check_logged_model(model: LoggedModel) -> None:
    """Refuse a logged model that cannot begin."""
    check_name(model.id, of="logged model")
    check_title(model.experiment, of="experiment")
    check_text(check_key(model.name, of="name of a logged model"), of="name of a logged model")
    check_text(model.kind, of="kind of a logged model")
    aware(model.created_at)
    if model.run is not None:
        check_name(model.run, of="run")
    if model.metrics or model.deleted_at is not None:
        raise InvalidInput(
            f"logged model '{model.id}' cannot begin with metrics or deleted",
            why="it begins without either",
            fix="create(model), then log_metrics(model.id, metrics)",
        )
    check_logged_model_change(
        LoggedModelChange(
            status=model.status, status_message=model.status_message, params=model.params, tags=model.tags
        )
    )


def check_logged_model_change(change: LoggedModelChange) -> None:
    """Refuse a change of a logged model of which a part cannot be kept."""
    for key, value in change.params.items():
        check_text(value, of=f"value of the param '{check_key(key, of='key of a param')}'")
    check_tags(change.tags)
    check_text(change.status_message or "", of="status message of a logged model")
    if change.status is not None and change.status not in get_args(LoggedModelStatus):
        known = ", ".join(get_args(LoggedModelStatus))
        raise InvalidInput(f"'{change.status}' is not the status of a logged model", why=f"expected one of {known}")


def check_model_metrics(metrics: Sequence[ModelMetric]) -> None:
    """Refuse figures of which one cannot be kept."""
    for one in metrics:
        check_key(one.key, of="key of a metric")
        for name in ("run", "dataset_name", "dataset_digest"):
            check_text(getattr(one, name), of=f"{name} of a metric")
        if not math.isfinite(one.step) or not -(2**63) <= one.time < 2**63:
            raise InvalidInput(
                f"metric '{one.key}' has the step {one.step!r} and the time {one.time!r}",
                why="expected a finite step and microseconds since 1970 of 64 bits",
            )


def changed(before: LoggedModel, change: LoggedModelChange, *, now: datetime) -> tuple[LoggedModel, str | None]:
    """Return a logged model as a change leaves it, and what its event says became of it, if one tells it.

    Raises:
        Conflict: It is deleted and not to be restored, or a param has another value.
        NotFound: A tag that is to be removed is not there.
    """
    rest = msgspec.structs.replace(change, deleted=None) != LoggedModelChange()
    if before.deleted_at is not None and (change.deleted is None or change.deleted) and rest:
        raise Conflict(f"logged model '{before.id}' is deleted", why="it takes no changes", fix="restore it first")
    for key, value in change.params.items():
        if before.params.get(key, value) != value:
            raise Conflict(
                f"param '{key}' of logged model '{before.id}' is set",
                why=f"it is {before.params[key]!r}, and was to become {value!r}",
                fix="log another model for other params",
            )
    tags, _ = changed_tags(before.tags, change.tags, change.remove_tags, of=f"logged model '{before.id}'")
    deleted_at = before.deleted_at
    if change.deleted is not None:
        deleted_at = (before.deleted_at or now) if change.deleted else None
    after = msgspec.structs.replace(
        before,
        status=change.status or before.status,
        status_message=before.status_message if change.status_message is None else change.status_message,
        params={**before.params, **change.params},
        tags=tags,
        deleted_at=deleted_at,
    )
    if after == before:
        return before, None
    became: str | None = None
    if deleted_at is not None and before.deleted_at is None:
        became = "deleted"
    elif after.status != before.status and after.status != "pending":
        became = after.status
    return msgspec.structs.replace(after, updated_at=now), became


def last_metrics(metrics: Sequence[ModelMetric]) -> tuple[ModelMetric, ...]:
    """Return of the metrics of equal key, dataset and run the last by step, time and value; NaN is before numbers."""
    found: dict[tuple[str, str, str, str], ModelMetric] = {}
    for one in metrics:
        key = (one.key, one.dataset_name, one.dataset_digest, one.run)
        if key not in found or _place(found[key]) < _place(one):
            found[key] = one
    return tuple(found[key] for key in sorted(found))


def _place(metric: ModelMetric) -> tuple[float, int, float]:
    return metric.step, metric.time, -math.inf if math.isnan(metric.value) else metric.value


def check_only_last(where: Filter | None, order: Sequence[OrderBy]) -> None:
    """Refuse to search by the history of a metric, of which only the last value is known."""
    for field in (*fields_of(where), *(one.field for one in order)):
        if field.part == "metric" and field.statistic != "last":
            raise InvalidInput(
                f"logged models have no {field.statistic}(metrics.{field.key})",
                why="of a metric of theirs only the last value is kept",
                fix=f"metrics.{field.key}",
            )


def is_on(metric: ModelMetric, datasets: Sequence[DatasetMeant]) -> bool:
    """Say whether a metric is on one of some datasets; of no datasets, all are meant."""
    return not datasets or any(
        one.name == metric.dataset_name and one.digest in ("", metric.dataset_digest) for one in datasets
    )


def place_of_metric(metric: ModelMetric) -> tuple[int, float, str, str, str]:
    """Return what orders the metrics of one key, where their newest is meant."""
    return metric.time, metric.step, metric.run, metric.dataset_name, metric.dataset_digest


def told_of_model(model: LoggedModel) -> dict[str, str | None]:
    """Return what the events of a logged model say."""
    return {"experiment": model.experiment, "name": model.name, "kind": model.kind, "run": model.run}


def ref_of_logged_model(model_id: str) -> str:
    """Return the Ref under which lineage names a logged model.

    Example:
        >>> ref_of_logged_model("m-1f")
        'artifact:models/m-1f'
    """
    return f"artifact:models/{model_id}"
