"""Turn runs and experiments into the records of MLflow's JSON, and what its clients log into ours.

MLflow counts time in milliseconds and steps in whole numbers, and its params are flat text. So microseconds and
fractions of steps are rounded down, nested params are joined by dots, and a run's name, parent and user are shown as
the tags that MLflow's clients look for. NaN and infinities are text, as in the JSON of protobuf.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any

import msgspec

from interlock.core.clock import to_micros
from interlock.core.plain import as_text
from interlock.ports.experiment_store import Experiment
from interlock.ports.run_store import DatasetUse, MetricSummary, Run, RunStatus
from interlock.server.mlflow.places import run_uri

RUN_NAME = "mlflow.runName"
PARENT = "mlflow.parentRunId"
USER = "mlflow.user"
SOURCE_NAME = "mlflow.source.name"
COMMIT = "mlflow.source.git.commit"
DATASET_CONTEXT = "mlflow.data.context"

MADE_BY_MLFLOW: Mapping[str, Any] = MappingProxyType({"client": "mlflow"})
"""What the environment of a run says when one of MLflow's clients made it."""
STATUSES: tuple[RunStatus, ...] = ("running", "scheduled", "finished", "failed", "killed")
"""Where a run may stand, in the order in which MLflow's protocol numbers it, from 1."""

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
JsonNumber = float | str
"""A number, or text where JSON has none."""


class KeyValue(msgspec.Struct, frozen=True):
    """A param or tag."""

    key: str
    value: str = ""


class MetricRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value of a metric."""

    key: str
    value: JsonNumber
    timestamp: int
    step: int
    run_id: str = ""
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class ExperimentRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[KeyValue] = []


class RunInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a run is not logged."""

    run_uuid: str
    run_id: str
    run_name: str
    experiment_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    user_id: str = ""
    end_time: int | None = None


class RunData(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run logged."""

    metrics: list[MetricRecord] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class DatasetRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dataset as its client described it."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""


class DatasetInput(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dataset that a run read, and what for."""

    dataset: DatasetRecord
    tags: list[KeyValue] = []


class ModelInput(msgspec.Struct, frozen=True):
    """A logged model that a run read."""

    model_id: str


class ModelOutput(msgspec.Struct, frozen=True):
    """A logged model that a run made."""

    model_id: str
    step: Int64 = 0


class RunInputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run read."""

    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[ModelInput] = []


class RunOutputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run made."""

    model_outputs: list[ModelOutput] = []


class RunRecord(msgspec.Struct, frozen=True):
    """A run."""

    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs


def experiment_record(experiment: Experiment) -> ExperimentRecord:
    """Return an experiment as MLflow shows it."""
    return ExperimentRecord(
        experiment_id=str(experiment.id),
        name=experiment.name,
        artifact_location=experiment.artifact_root or f"mlflow-artifacts:/{experiment.id}",
        lifecycle_stage=lifecycle_of(experiment),
        last_update_time=to_millis(experiment.updated_at),
        creation_time=to_millis(experiment.created_at),
        tags=key_values(experiment.tags),
    )


def run_record(run: Run, experiment: Experiment) -> RunRecord:
    """Return a run of an experiment as MLflow shows it."""
    data = RunData(
        metrics=[summary_record(one) for one in run.metrics.values()],
        params=[KeyValue(*param) for param in flat_params(run.params)],
        tags=key_values(tags_shown(run)),
    )
    return RunRecord(
        info=run_info(run, experiment),
        data=data,
        inputs=RunInputs(
            dataset_inputs=[_dataset_input(one) for one in run.datasets],
            model_inputs=[ModelInput(one.model) for one in run.models if one.role == "input"],
        ),
        outputs=RunOutputs([ModelOutput(one.model, one.step) for one in run.models if one.role == "output"]),
    )


def run_info(run: Run, experiment: Experiment) -> RunInfo:
    """Return what of a run is not logged."""
    return RunInfo(
        run_uuid=run.id,
        run_id=run.id,
        run_name=run.name,
        experiment_id=str(experiment.id),
        status=run.status.upper(),
        start_time=to_millis(run.started_at),
        artifact_uri=run_uri(experiment, run.id),
        lifecycle_stage=lifecycle_of(run),
        user_id=user_of(run),
        end_time=None if run.ended_at is None else to_millis(run.ended_at),
    )


def summary_record(summary: MetricSummary) -> MetricRecord:
    """Return the last value of a series."""
    return MetricRecord(
        summary.key, json_number(summary.last), summary.last_time // 1000, math.floor(summary.last_step)
    )


def tags_shown(run: Run) -> dict[str, str]:
    """Return the tags of a run, and those that MLflow's clients expect where it was not one of them that made it."""
    if run.environment.get("client") == MADE_BY_MLFLOW["client"]:
        return {**run.tags, RUN_NAME: run.name}
    entry_point, commit = run.code.get("entry_point"), run.code.get("commit")
    implied = {
        PARENT: run.parent,
        USER: user_of(run),
        SOURCE_NAME: entry_point if isinstance(entry_point, str) else None,
        COMMIT: commit if isinstance(commit, str) else None,
    }
    found = {key: text for key, text in implied.items() if text}
    return {**found, **run.tags, RUN_NAME: run.name}


def user_of(run: Run) -> str:
    """Return who started a run, or nothing."""
    user = run.environment.get("user")
    return user if isinstance(user, str) else ""


def flat_params(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield params as flat text.

    Example:
        >>> list(flat_params({"rate": 0.1, "net": {"depth": 3, "act": "relu"}}))
        [('rate', '0.1'), ('net.depth', '3'), ('net.act', 'relu')]
    """
    for key, value in params.items():
        if isinstance(value, dict) and value:
            yield from flat_params(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", as_text(value)


def key_values(pairs: Mapping[str, str]) -> list[KeyValue]:
    """Return tags as MLflow lists them."""
    return [KeyValue(*pair) for pair in pairs.items()]


def json_number(value: float) -> JsonNumber:
    """Return a number as protobuf writes it in JSON.

    Example:
        >>> json_number(0.5), json_number(float("nan")), json_number(float("-inf"))
        (0.5, 'NaN', '-Infinity')
    """
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def to_millis(moment: datetime) -> int:
    """Return milliseconds since 1970 UTC, rounded down."""
    return to_micros(moment) // 1000


def lifecycle_of(thing: Run | Experiment) -> str:
    """Return MLflow's word for whether something was deleted."""
    return "active" if thing.deleted_at is None else "deleted"


def _dataset_input(use: DatasetUse) -> DatasetInput:
    context = {DATASET_CONTEXT: use.context} if use.context else {}
    return DatasetInput(
        dataset=DatasetRecord(use.name, use.digest, use.source_type, use.source, use.schema, use.profile),
        tags=key_values({**use.tags, **context}),
    )


def dataset_use(given: DatasetInput) -> DatasetUse:
    """Return a dataset that a client says a run read."""
    tags = {tag.key: tag.value for tag in given.tags}
    return DatasetUse(
        name=given.dataset.name,
        digest=given.dataset.digest,
        context=tags.pop(DATASET_CONTEXT, ""),
        source_type=given.dataset.source_type,
        source=given.dataset.source,
        schema=given.dataset.schema,
        profile=given.dataset.profile,
        tags=tags,
    )
