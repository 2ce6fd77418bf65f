"""Refuse records that break what their port promises, before anything is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import get_args

from interlock.core.clock import aware
from interlock.core.errors import InvalidInput
from interlock.core.hashing import check_digest
from interlock.core.refs import Ref, check_name, check_title
from interlock.core.schema import Column
from interlock.ports.checks import check_count, check_key, check_path, check_tags, check_text
from interlock.ports.dataset_store import Snapshot
from interlock.ports.deployment_store import Deployment, Role
from interlock.ports.label_store import Annotation
from interlock.ports.model_store import ModelVersion, Verdict
from interlock.ports.run_store import Run, RunBatch, RunStatus

SHARE_TOLERANCE = 1e-9


def check_status(status: str) -> None:
    """Refuse what is not the status of a run."""
    if status not in get_args(RunStatus):
        raise InvalidInput(f"'{status}' is not the status of a run", why=f"expected one of {get_args(RunStatus)}")


def check_new_run(run: Run) -> None:
    """Refuse a run that cannot begin."""
    check_name(run.id, of="run")
    check_name(run.kind, of="kind of run")
    check_title(run.experiment, of="experiment")
    check_status(run.status)
    aware(run.started_at)
    if run.status not in ("running", "scheduled") or run.ended_at is not None or run.error is not None or run.metrics:
        raise InvalidInput(
            f"run:{run.id} cannot begin as {run.status}",
            why="a run begins as 'running', without an end, an error or metrics",
            fix="create(run), then log(run.id, batch) and end(run.id, status=..., ended_at=...)",
        )
    check_batch(RunBatch(params=run.params, tags=run.tags, datasets=run.datasets, models=run.models))


def check_batch(batch: RunBatch) -> None:
    """Refuse a batch of which a part cannot be kept; its metrics are checked as they become columns."""
    for key in batch.params:
        check_key(key, of="key of a param")
    check_tags(batch.tags)
    for entry in batch.artifacts:
        check_path(entry.path, of="path of an artifact")
        check_digest(entry.digest)
        check_count(entry.size_bytes, of=f"size of '{entry.path}'")
    for dataset in batch.datasets:
        check_key(dataset.name, of="name of a dataset")
        check_key(dataset.digest, of="digest of a dataset")
        check_tags(dataset.tags)
        for text in (dataset.context, dataset.source_type, dataset.source, dataset.schema, dataset.profile):
            check_text(text, of=f"description of dataset '{dataset.name}'")
    for model in batch.models:
        check_key(model.model, of="id of a logged model")


def check_snapshot(draft: Snapshot) -> None:
    """Refuse the draft of a snapshot that cannot be committed."""
    check_name(draft.dataset, of="dataset")
    aware(draft.created_at)
    check_digest(draft.content)
    _check_columns(draft.columns, of=f"dataset '{draft.dataset}'")
    for part in draft.parts:
        check_digest(part.digest)
        check_count(part.size_bytes, of="size of a part")
        check_count(part.rows, of="rows of a part")
    check_count(draft.rows, of="number of rows")
    check_count(draft.quarantined_rows, of="number of quarantined rows")
    held = sum(part.rows for part in draft.parts)
    if held != draft.rows:
        raise InvalidInput(
            f"the draft of dataset '{draft.dataset}' contradicts itself",
            why=f"it says {draft.rows} rows, and its parts hold {held}",
        )


def check_annotations(name: str, annotations: Sequence[Annotation]) -> None:
    """Refuse annotations of which one cannot be kept."""
    check_name(name, of="label set")
    for annotation in annotations:
        check_key(annotation.id, of="id of an annotation")
        check_key(annotation.item, of="item of an annotation")
        check_key(annotation.annotator, of="annotator")
        aware(annotation.time)


def check_model_draft(draft: ModelVersion) -> None:
    """Refuse the draft of a model version that cannot be registered."""
    check_title(draft.model, of="model")
    aware(draft.created_at)
    paths = [check_path(file.path, of="path of a package file") for file in draft.files]
    if len(set(paths)) != len(paths):
        raise InvalidInput(f"a version of model '{draft.model}' names a file twice", why=f"its files are {paths}")
    for file in draft.files:
        check_digest(file.digest)
        check_count(file.size_bytes, of=f"size of '{file.path}'")
    _check_columns(draft.signature.inputs, of=f"the inputs of model '{draft.model}'")
    _check_columns(draft.signature.outputs, of=f"the outputs of model '{draft.model}'")
    check_tags(draft.tags)
    if draft.run is not None:
        check_name(draft.run, of="run")


def check_alias(alias: str) -> None:
    """Refuse an alias that is no name, or could be taken for a version."""
    check_name(alias, of="model alias")
    if alias.isdigit():
        raise InvalidInput(f"'{alias}' cannot be an alias", why="a number names a version", fix="champion")


def check_verdict(verdict: Verdict) -> int:
    """Return the candidate's version, if the verdict can be recorded."""
    check_name(verdict.id, of="verdict")
    aware(verdict.created_at)
    candidate = Ref.parse(verdict.candidate, kind="model")
    if candidate.number is None or candidate.name != verdict.model:
        raise InvalidInput(
            f"verdict '{verdict.id}' judges '{verdict.candidate}'",
            why=f"expected a version of its model, as in model:{verdict.model}@1",
        )
    if verdict.data is not None:
        check_key(verdict.data, of="data of a verdict")
    return candidate.number


def check_routing(name: str, deployments: Sequence[Deployment]) -> None:
    """Refuse a routing that would leave callers without an answer, or in doubt which version answers."""
    check_name(name, of="endpoint")
    for one in deployments:
        if one.role not in get_args(Role):
            raise InvalidInput(f"'{one.role}' is not a role", why=f"expected one of {get_args(Role)}")
        if Ref.parse(one.model, kind="model").number is None:
            raise InvalidInput(f"'{one.model}' is not one version", why="expected a number, as in model:delay@7")
        if not 0 <= one.share <= 1 or (one.role == "shadow" and one.share != 0):
            raise InvalidInput(
                f"{one.model} cannot have the share {one.share}",
                why="a share is 0 to 1, and that of a shadow, which answers no caller, is 0",
            )
    models = [one.model for one in deployments]
    live = sum(one.role == "live" for one in deployments)
    total = math.fsum(one.share for one in deployments)
    if len(set(models)) != len(models):
        raise InvalidInput(f"endpoint '{name}' cannot hold one version twice", why=f"it was given {models}")
    if live != 1:
        raise InvalidInput(f"endpoint '{name}' needs exactly one live version", why=f"it was given {live}")
    if abs(total - 1) > SHARE_TOLERANCE:
        raise InvalidInput(f"the shares of endpoint '{name}' must sum to 1", why=f"they sum to {total:.6g}")


def _check_columns(columns: Sequence[Column], *, of: str) -> None:
    names = [check_text(column.name, of=f"name of a column of {of}") for column in columns]
    if len(set(names)) != len(names):
        raise InvalidInput(f"{of} has two columns of one name", why=f"its columns are {', '.join(names)}")
