"""Turn what every MLflow store says, however it keeps it, into our records, as if its client had logged to us."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from interlock.core.clock import from_micros
from interlock.loop.importing.files import PROXIED
from interlock.loop.importing.records import ForeignExperiment, ForeignFile, ForeignRun, ForeignVersion
from interlock.ports.logged_model_store import LoggedModel, LoggedModelStatus, ModelMetric
from interlock.ports.model_catalog import VersionChange
from interlock.ports.run_store import DatasetUse, ModelUse, Run, RunStatus, Series

ARTIFACTS_WERE_AT = "interlock.artifact_location"
"""The tag of an experiment that says where its source kept its files."""
DELETED_VERSION = "Deleted_Internal"
PARENT = "mlflow.parentRunId"
_USER, _COMMIT, _ENTRY_POINT, _NAME = "mlflow.user", "mlflow.source.git.commit", "mlflow.source.name", "mlflow.runName"
_CONTEXT = "mlflow.data.context"
_STATUSES = ("running", "scheduled", "finished", "failed", "killed")
_MODEL_STATUSES: Mapping[str, LoggedModelStatus] = {
    "1": "pending",
    "2": "ready",
    "3": "failed",
    "LOGGED_MODEL_PENDING": "pending",
    "LOGGED_MODEL_READY": "ready",
    "LOGGED_MODEL_UPLOAD_FAILED": "failed",
}
_LAST_MICROS = 253_402_300_799_000_000
_IN_RUN = re.compile(r"/([0-9a-zA-Z]{20,40})/artifacts(?:/(.*))?$")
_IN_LOGGED_MODEL = re.compile(r"/models/(m-[0-9a-zA-Z]+)/artifacts(?:/.*)?$")
_LARGEST = 1.7976931348623157e308

Point = tuple[float, int, int]
"""Value, step, and milliseconds since 1970."""


@dataclass
class RunParts:
    """What an MLflow store says of one run; times in milliseconds since 1970."""

    id: str
    name: str
    status: str
    start_time: int | None
    end_time: int | None
    user: str
    deleted: bool
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: list[DatasetUse] = field(default_factory=list)
    models: list[ModelUse] = field(default_factory=list)


def foreign_experiment(
    key: str, name: str, *, tags: Mapping[str, str], location: str, deleted: bool
) -> ForeignExperiment:
    """Return an experiment; where its files were is noted in a tag."""
    noted = {ARTIFACTS_WERE_AT: location} if location else {}
    return ForeignExperiment(key, name, {**tags, **noted}, deleted)


def foreign_run(
    parts: RunParts,
    *,
    experiment: str,
    stamps: Iterable[Any],
    series: Callable[[], Iterator[Series]],
    files: Sequence[ForeignFile],
    left_out: Sequence[str] = (),
) -> ForeignRun:
    """Return a run as it would be here had its client logged to us."""
    tags = dict(parts.tags)
    name = parts.name or tags.get(_NAME, "")
    tags.pop(_NAME, None)
    user = parts.user or tags.get(_USER, "")
    started = moment(parts.start_time or 0)
    run = Run(
        id=parts.id,
        experiment=experiment,
        kind="training",
        name=name or parts.id[:8],
        status=run_status(parts.status),
        started_at=started,
        ended_at=None if parts.end_time is None else moment(parts.end_time),
        parent=tags.get(PARENT) or None,
        params=dict(parts.params),
        tags=tags,
        code={"vcs": "git" if _COMMIT in tags else "none"}
        | {name: tags[tag] for name, tag in (("commit", _COMMIT), ("entry_point", _ENTRY_POINT)) if tag in tags},
        environment={"client": "mlflow", **({"user": user} if user else {})},
        datasets=tuple(parts.datasets),
        models=tuple(parts.models),
        deleted_at=started if parts.deleted else None,
    )
    return ForeignRun(run, parts.id, tuple(stamps), series, tuple(files), tuple(left_out))


def run_status(given: str | int) -> RunStatus:
    """Return our word for a status that is a number (from 1) or a word; unknown ones are failures."""
    text = str(given).lower()
    if text.isdigit() and 1 <= int(text) <= len(_STATUSES):
        text = _STATUSES[int(text) - 1]
    return text if text in _STATUSES else "failed"  # type: ignore[return-value]


def dataset_use(given: Mapping[str, Any], tags: Mapping[str, str]) -> DatasetUse:
    """Return a dataset that a run read."""
    rest = {key: value for key, value in tags.items() if key != _CONTEXT}
    return DatasetUse(
        name=given["name"],
        digest=given["digest"],
        context=tags.get(_CONTEXT, ""),
        source_type=given.get("source_type") or "",
        source=given.get("source") or "",
        schema=given.get("schema") or "",
        profile=given.get("profile") or "",
        tags=rest,
    )


def series_of(key: str, points: Sequence[Point]) -> Series:
    """Return points as packed columns."""
    count = len(points)
    return Series(
        key,
        struct.pack(f"<{count}d", *[point[0] for point in points]),
        struct.pack(f"<{count}d", *[point[1] for point in points]),
        struct.pack(f"<{count}q", *[point[2] * 1000 for point in points]),
    )


def value_from_sql(value: float, *, is_nan: bool) -> float:
    """Return a value as it was logged: MLflow keeps infinities in SQL as the largest numbers.

    Example:
        >>> value_from_sql(1.7976931348623157e308, is_nan=False), value_from_sql(0.0, is_nan=True)
        (inf, nan)
    """
    if is_nan:
        return math.nan
    return math.copysign(math.inf, value) if abs(value) == _LARGEST else value


def logged_model(
    given: Mapping[str, Any],
    *,
    experiment: str,
    params: Mapping[str, str],
    tags: Mapping[str, str],
    metrics: Iterable[ModelMetric],
    deleted: bool,
) -> LoggedModel:
    """Return a logged model; what its source does not say stays empty."""
    created = moment(int(given.get("created") or 0))
    return LoggedModel(
        id=given["id"],
        experiment=experiment,
        name=given["name"],
        created_at=created,
        updated_at=moment(int(given.get("updated") or given.get("created") or 0)),
        run=given.get("run") or None,
        kind=given.get("kind") or "",
        status=_MODEL_STATUSES.get(str(given.get("status")), "pending"),
        status_message=given.get("status_message") or "",
        params=dict(params),
        tags=dict(tags),
        metrics=tuple(metrics),
        deleted_at=created if deleted else None,
    )


def foreign_version(
    given: Mapping[str, Any],
    *,
    tags: Mapping[str, str],
    files_at: Callable[[str], tuple[tuple[ForeignFile, ...], tuple[str, ...]]],
) -> ForeignVersion:
    """Return a version of a registered model, its files those of the run or logged model that its source names.

    Args:
        given: `version`, `source`, `storage`, `run`, `model_id`, `created` (milliseconds), `description`, `stage`,
            `run_link`.
        tags: Its tags.
        files_at: Gives the files at an address that belongs to neither, and what of them cannot be read.
    """
    source, storage = given.get("source") or "", given.get("storage") or given.get("source") or ""
    of_model, of_run = place_of(source)
    if of_model is None and of_run is None:
        of_model, of_run = place_of(storage)
    of_model = given.get("model_id") or of_model
    files: tuple[ForeignFile, ...] = ()
    left_out: tuple[str, ...] = ()
    is_prompt = "mlflow.prompt.is_prompt" in tags
    if of_model is None and of_run is None and source and not is_prompt:
        files, left_out = files_at(storage)
    notes = VersionChange(
        description=given.get("description") or None,
        stage=given.get("stage") or None,
        tags=dict(tags),
        source=source or None,
        run_link=given.get("run_link") or None,
        logged_model=of_model,
    )
    return ForeignVersion(
        number=int(given["version"]),
        notes=notes,
        created_micros=_micros(int(given.get("created") or 0)),
        run=given.get("run") or None,
        of_logged_model=of_model,
        of_run=of_run if of_model is None else None,
        files=files,
        left_out=left_out,
    )


def place_of(uri: str) -> tuple[str | None, tuple[str, str] | None]:
    """Return the logged model, or the run and the path within it, whose files lie at an address.

    Example:
        >>> place_of("models:/m-1f"), place_of("runs:/0123456789abcdef0123/model")
        (('m-1f', None), (None, ('0123456789abcdef0123', 'model')))
        >>> place_of("mlflow-artifacts:/3/0123456789abcdef0123/artifacts/a/b")
        (None, ('0123456789abcdef0123', 'a/b'))
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None, None
    path = unquote(parts.path) if parts.scheme else parts.path
    if parts.scheme == "models" and path.lstrip("/").startswith("m-"):
        return path.lstrip("/"), None
    if parts.scheme == "runs":
        run_id, _, below = path.lstrip("/").partition("/")
        return None, (run_id, below.strip("/"))
    if parts.scheme in ("", "file", PROXIED, "s3", "gs", "wasbs", "http", "https"):
        if found := _IN_LOGGED_MODEL.search(path):
            return found[1], None
        if found := _IN_RUN.search(path):
            return None, (found[1], (found[2] or "").strip("/"))
    return None, None


def moment(millis: int) -> Any:
    """Return the time for milliseconds since 1970, those before and those beyond the year 9999 at the limit."""
    return from_micros(_micros(millis))


def _micros(millis: int) -> int:
    return min(max(millis * 1000, 0), _LAST_MICROS)
