"""Answer MLflow's endpoints through which runs log: metrics, params, tags, datasets and models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from interlock.core.errors import NotFound
from interlock.ports.logged_model_store import ModelMetric
from interlock.ports.run_store import DatasetUse, MetricPoint, ModelUse, RunBatch, RunChange
from interlock.server.http import Response
from interlock.server.mlflow.key_rules import (
    LARGEST_BATCH_BYTES,
    LONGEST_PARAM,
    LONGEST_TAG,
    check_counts,
    check_key,
    checked_params,
    checked_run_id,
    checked_tags,
)
from interlock.server.mlflow.known_runs import LAST_METRIC_MILLIS, check_active, known_run, writing_to
from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.run_records import (
    RUN_NAME,
    DatasetInput,
    Int64,
    KeyValue,
    ModelInput,
    ModelOutput,
    dataset_use,
)
from interlock.server.mlflow.wire import DONE, Endpoint, Ground, invalid, missing, required

_LOGGED_MODELS = "mlflow.log-model.history"
_OF_A_MODEL = ("run_id", "utc_time_created", "artifact_path", "model_uuid")


class _Metric(msgspec.Struct, kw_only=True):
    key: str
    value: float
    timestamp: Int64
    step: Int64 = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class _LogMetric(msgspec.Struct, kw_only=True):
    run_id: str = ""
    run_uuid: str = ""
    key: str
    value: float
    timestamp: Int64
    step: Int64 = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class _LogPair(msgspec.Struct, kw_only=True):
    run_id: str = ""
    run_uuid: str = ""
    key: str
    value: str = ""


class _DeleteTag(msgspec.Struct, kw_only=True):
    run_id: str = ""
    key: str


class _LogBatch(msgspec.Struct, kw_only=True):
    run_id: str = ""
    metrics: list[_Metric] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class _LogInputs(msgspec.Struct, kw_only=True):
    run_id: str = ""
    datasets: list[DatasetInput] = []
    models: list[ModelInput] = []


class _LogOutputs(msgspec.Struct, kw_only=True):
    run_id: str = ""
    models: list[ModelOutput]


class _LogModel(msgspec.Struct, kw_only=True):
    run_id: str = ""
    model_json: str


def _log_metric(ground: Ground, asked: _LogMetric) -> Response:
    run_id = checked_run_id(asked.run_id, asked.run_uuid)
    if not asked.key:
        raise required("key")
    _log(ground, run_id, metrics=[asked], path="")
    return DONE


def _log_parameter(ground: Ground, asked: _LogPair) -> Response:
    run_id = checked_run_id(asked.run_id, asked.run_uuid)
    if not asked.key:
        raise required("key")
    check_key(asked.key, path="key", of="Param key")
    _log(ground, run_id, params={asked.key: asked.value[:LONGEST_PARAM]})
    return DONE


def _set_tag(ground: Ground, asked: _LogPair) -> Response:
    run_id = checked_run_id(asked.run_id, asked.run_uuid)
    if not asked.key:
        raise required("key")
    check_key(asked.key, path="key", of="key")
    _log(ground, run_id, tags={asked.key: asked.value[:LONGEST_TAG]})
    return DONE


def _delete_tag(ground: Ground, asked: _DeleteTag) -> Response:
    run_id = checked_run_id(asked.run_id)
    if not asked.key:
        raise required("key")
    run = known_run(ground, run_id)
    check_active(run)
    if asked.key == RUN_NAME:
        raise invalid(f"The tag {RUN_NAME} is the name of the run, which has one always; set another instead.")
    if asked.key not in run.tags:
        raise missing(f"No tag with name: {asked.key} in run with id {run_id}")
    with writing_to(ground, run_id):
        ground.stores.runs.update(run_id, RunChange(remove_tags=(asked.key,)))
    return DONE


def _log_batch(ground: Ground, asked: _LogBatch) -> Response:
    run_id = checked_run_id(asked.run_id)
    params, tags = checked_params(asked.params), checked_tags(asked.tags)
    check_counts(metrics=len(asked.metrics), params=len(asked.params), tags=len(asked.tags))
    _log(ground, run_id, metrics=asked.metrics, params=params, tags=tags)
    return DONE


def _log(
    ground: Ground,
    run_id: str,
    *,
    metrics: Sequence[_Metric | _LogMetric] = (),
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    path: str = "metrics",
) -> None:
    """Write what a run logs at once: all of it or nothing, after what is said of models, which have their own store."""
    points = _points(metrics, path=path)
    tags = dict(tags or {})
    name = tags.pop(RUN_NAME, None)
    with writing_to(ground, run_id, params=params):
        if any(metric.model_id for metric in metrics):
            _log_to_models(ground, run_id, metrics)
        ground.stores.runs.log(run_id, RunBatch(metrics=points, params=params or {}, tags=tags))
        if name:
            ground.stores.runs.update(run_id, RunChange(name=name))


def _points(metrics: Sequence[_Metric | _LogMetric], *, path: str) -> tuple[MetricPoint, ...]:
    checked: set[str] = set()
    for place, metric in enumerate(metrics):
        if not 0 <= metric.timestamp <= LAST_METRIC_MILLIS:
            where = f"{path}[{place}].timestamp" if path else "timestamp"
            why = f"It must be milliseconds since 1970, from 0 to {LAST_METRIC_MILLIS}."
            raise invalid(invalid_value(where, metric.timestamp, why))
        if metric.key not in checked:
            check_key(metric.key, path=f"{path}[{place}].name" if path else "name", of="Metric name")
            checked.add(metric.key)
    return tuple([MetricPoint(one.key, one.value, one.step, one.timestamp * 1000) for one in metrics])


def _log_to_models(ground: Ground, run_id: str, metrics: Sequence[_Metric | _LogMetric]) -> None:
    check_active(known_run(ground, run_id))
    by_model: dict[str, list[ModelMetric]] = {}
    for metric in metrics:
        if metric.model_id:
            by_model.setdefault(metric.model_id, []).append(
                ModelMetric(
                    key=metric.key,
                    value=metric.value,
                    step=metric.step,
                    time=metric.timestamp * 1000,
                    run=run_id,
                    dataset_name=metric.dataset_name,
                    dataset_digest=metric.dataset_digest,
                )
            )
    for model_id, points in by_model.items():
        try:
            ground.stores.logged_models.log_metrics(model_id, points)
        except NotFound:
            raise missing(f"Logged model with ID '{model_id}' not found.") from None


def _log_inputs(ground: Ground, asked: _LogInputs) -> Response:
    uses: dict[tuple[str, str], DatasetUse] = {}
    for given in asked.datasets:
        uses.setdefault((given.dataset.name, given.dataset.digest), dataset_use(given))
    for name, digest in uses:
        if not name or not digest:
            raise required("datasets.dataset.name" if not name else "datasets.dataset.digest")
    if uses:
        run_id = checked_run_id(asked.run_id)
        with writing_to(ground, run_id):
            # whoever logs a metric of a dataset names it again, without context and tags: what was said first stays
            for known in ground.stores.runs.get(run_id).datasets:
                uses.pop((known.name, known.digest), None)
    models = tuple(ModelUse(one.model_id, "input") for one in asked.models)
    return _use(ground, asked.run_id, RunBatch(datasets=tuple(uses.values()), models=models))


def _log_outputs(ground: Ground, asked: _LogOutputs) -> Response:
    models = tuple(ModelUse(one.model_id, "output", one.step) for one in asked.models)
    return _use(ground, asked.run_id, RunBatch(models=models))


def _use(ground: Ground, run_id: str, batch: RunBatch) -> Response:
    run_id = checked_run_id(run_id)
    with writing_to(ground, run_id):
        ground.stores.runs.log(run_id, batch)
    return DONE


def _log_model(ground: Ground, asked: _LogModel) -> Response:
    """Note a model in the run's tags, as clients before 3.0 do."""
    run_id = checked_run_id(asked.run_id)
    try:
        model = msgspec.json.decode(asked.model_json, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise invalid(f"Malformed model info: it is not a valid JSON object ({error}).") from error
    lacking = sorted({"artifact_path", "flavors", "utc_time_created", "run_id"} - model.keys())
    if lacking or not isinstance(model["flavors"], dict):
        raise invalid(f"Model json is missing mandatory fields: {lacking or ['flavors']}")
    noted = {key: model[key] for key in _OF_A_MODEL if key in model}
    noted["flavors"] = {
        name: {key: value for key, value in flavor.items() if key != "config"} if isinstance(flavor, dict) else flavor
        for name, flavor in model["flavors"].items()
    }
    run = known_run(ground, run_id)
    check_active(run)
    history = [*_noted_before(run.tags.get(_LOGGED_MODELS, "")), noted]
    with writing_to(ground, run_id):
        ground.stores.runs.log(run_id, RunBatch(tags={_LOGGED_MODELS: msgspec.json.encode(history).decode()}))
    return DONE


def _noted_before(text: str) -> list[Any]:
    try:
        return msgspec.json.decode(text, type=list[Any]) if text else []
    except msgspec.DecodeError:
        return []  # somebody set the tag to something else


_RUNS = "/2.0/mlflow/runs"
_write = partial(Endpoint, method="POST", in_turn=True)

ENDPOINTS: tuple[Endpoint, ...] = (
    _write(path=f"{_RUNS}/log-metric", request=_LogMetric, handle=_log_metric),
    _write(path=f"{_RUNS}/log-parameter", request=_LogPair, handle=_log_parameter),
    _write(path=f"{_RUNS}/set-tag", request=_LogPair, handle=_set_tag),
    _write(path=f"{_RUNS}/delete-tag", request=_DeleteTag, handle=_delete_tag),
    _write(path=f"{_RUNS}/log-batch", request=_LogBatch, handle=_log_batch, body_bytes=LARGEST_BATCH_BYTES),
    _write(path=f"{_RUNS}/log-inputs", request=_LogInputs, handle=_log_inputs),
    _write(path=f"{_RUNS}/outputs", request=_LogOutputs, handle=_log_outputs),
    _write(path=f"{_RUNS}/log-model", request=_LogModel, handle=_log_model),
)
