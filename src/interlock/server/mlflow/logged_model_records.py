"""Show logged models as MLflow does."""

from __future__ import annotations

import math

import msgspec

from interlock.ports.experiment_store import Experiment
from interlock.ports.logged_model_store import LoggedModel, LoggedModelStatus, ModelMetric
from interlock.server.mlflow.places import logged_model_uri
from interlock.server.mlflow.run_records import KeyValue, MetricRecord, json_number, key_values, to_millis

STATUS_NAMES: dict[LoggedModelStatus, str] = {
    "pending": "LOGGED_MODEL_PENDING",
    "ready": "LOGGED_MODEL_READY",
    "failed": "LOGGED_MODEL_UPLOAD_FAILED",
}
"""What MLflow calls where a logged model stands, in the order in which its protocol numbers them, from 1."""


class LoggedModelInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a logged model was not measured."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    model_type: str = ""
    source_run_id: str = ""
    status_message: str = ""
    tags: list[KeyValue] = []


class LoggedModelData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The params and metrics of a logged model."""

    params: list[KeyValue] = []
    metrics: list[MetricRecord] = []


class LoggedModelRecord(msgspec.Struct, frozen=True):
    """A logged model."""

    info: LoggedModelInfo
    data: LoggedModelData


def logged_model_record(model: LoggedModel, experiment: Experiment) -> LoggedModelRecord:
    """Return a logged model as MLflow shows it."""
    info = LoggedModelInfo(
        model_id=model.id,
        experiment_id=str(experiment.id),
        name=model.name,
        creation_timestamp_ms=to_millis(model.created_at),
        last_updated_timestamp_ms=to_millis(model.updated_at),
        artifact_uri=logged_model_uri(experiment, model.id),
        status=STATUS_NAMES[model.status],
        model_type=model.kind,
        source_run_id=model.run or "",
        status_message=model.status_message,
        tags=key_values(model.tags),
    )
    metrics = [_metric_record(model.id, metric) for metric in model.metrics]
    return LoggedModelRecord(info, LoggedModelData(key_values(model.params), metrics))


def _metric_record(model_id: str, metric: ModelMetric) -> MetricRecord:
    return MetricRecord(
        key=metric.key,
        value=json_number(metric.value),
        timestamp=metric.time // 1000,
        step=math.floor(metric.step),
        run_id=metric.run,
        model_id=model_id,
        dataset_name=metric.dataset_name,
        dataset_digest=metric.dataset_digest,
    )
