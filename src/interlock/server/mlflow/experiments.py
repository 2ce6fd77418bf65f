"""Answer MLflow's endpoints that create, change, delete and show experiments."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from interlock.core.errors import Conflict, NotFound
from interlock.ports.experiment_store import Experiment, ExperimentChange
from interlock.server.http import Response
from interlock.server.mlflow.key_rules import checked_experiment_tags
from interlock.server.mlflow.known_runs import active_experiment, known_experiment
from interlock.server.mlflow.run_records import ExperimentRecord, KeyValue, experiment_record
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, invalid, missing, required

LONGEST_NAME = 500
LONGEST_LOCATION = 2048
_MOST_DECODINGS = 10


class _Create(msgspec.Struct, kw_only=True):
    name: str
    artifact_location: str = ""
    tags: list[KeyValue] = []


class _OneExperiment(msgspec.Struct, kw_only=True):
    experiment_id: str


class _ByName(msgspec.Struct, kw_only=True):
    experiment_name: str


class _Update(msgspec.Struct, kw_only=True):
    experiment_id: str
    new_name: str


class _SetTag(msgspec.Struct, kw_only=True):
    experiment_id: str
    key: str
    value: str = ""


class _DeleteTag(msgspec.Struct, kw_only=True):
    experiment_id: str
    key: str


class CreatedAnswer(msgspec.Struct, frozen=True):
    """The id of a new experiment."""

    experiment_id: str


class ExperimentAnswer(msgspec.Struct, frozen=True):
    """One experiment."""

    experiment: ExperimentRecord


def _create(ground: Ground, asked: _Create) -> CreatedAnswer:
    name = _name(asked.name, path="name")
    tags = checked_experiment_tags(asked.tags)
    root = _location(asked.artifact_location) if asked.artifact_location else ""
    try:
        created = ground.stores.experiments.create(name, tags=tags, artifact_root=root)
    except Conflict:
        raise _taken(name) from None
    return CreatedAnswer(str(created.id))


def _get(ground: Ground, asked: _OneExperiment) -> ExperimentAnswer:
    return ExperimentAnswer(experiment_record(_asked_for(ground, asked.experiment_id)))


def _get_by_name(ground: Ground, asked: _ByName) -> ExperimentAnswer:
    if not asked.experiment_name:
        raise required("experiment_name")
    found = ground.stores.experiments.find(asked.experiment_name)
    if found is None:
        raise missing(f"Could not find experiment with name '{asked.experiment_name}'")
    return ExperimentAnswer(experiment_record(found))


def _delete(ground: Ground, asked: _OneExperiment) -> Response:
    return _mark(ground, asked, deleted=True)


def _restore(ground: Ground, asked: _OneExperiment) -> Response:
    return _mark(ground, asked, deleted=False)


def _mark(ground: Ground, asked: _OneExperiment, *, deleted: bool) -> Response:
    known = _asked_for(ground, asked.experiment_id)
    if (known.deleted_at is not None) == deleted:
        raise missing(f"No Experiment with id={known.id} exists that is {'active' if deleted else 'deleted'}")
    _change(ground, known, ExperimentChange(deleted=deleted))
    return DONE


def _update(ground: Ground, asked: _Update) -> Response:
    known = _asked_for(ground, asked.experiment_id)
    name = _name(asked.new_name, path="new_name")
    if known.deleted_at is not None:
        raise Failure("INVALID_STATE", "Cannot rename a non-active experiment.")
    try:
        _change(ground, known, ExperimentChange(name=name))
    except Conflict:
        raise _taken(name) from None
    return DONE


def _set_tag(ground: Ground, asked: _SetTag) -> Response:
    if not asked.key:
        raise required("key")
    tags = checked_experiment_tags([KeyValue(asked.key, asked.value)])
    if not asked.experiment_id:
        raise required("experiment_id")
    _change(ground, active_experiment(ground, asked.experiment_id), ExperimentChange(tags=tags))
    return DONE


def _delete_tag(ground: Ground, asked: _DeleteTag) -> Response:
    for name in ("experiment_id", "key"):
        if not getattr(asked, name):
            raise required(name)
    known = active_experiment(ground, asked.experiment_id)
    if asked.key not in known.tags:
        raise missing(f"No tag with name: {asked.key} in experiment with id {known.id}")
    _change(ground, known, ExperimentChange(remove_tags=(asked.key,)))
    return DONE


def _asked_for(ground: Ground, experiment_id: str) -> Experiment:
    if not experiment_id:
        raise required("experiment_id")
    return known_experiment(ground, experiment_id)


def _change(ground: Ground, known: Experiment, change: ExperimentChange) -> None:
    try:
        ground.stores.experiments.update(known.id, change)
    except NotFound:
        raise missing(f"No Experiment with id={known.id} exists") from None


def _taken(name: str) -> Failure:
    return Failure("RESOURCE_ALREADY_EXISTS", f"Experiment(name={name}) already exists.")


def _name(name: str, *, path: str) -> str:
    if not name:
        raise required(path)
    if len(name) > LONGEST_NAME:
        raise invalid(f"'name' exceeds the maximum length of {LONGEST_NAME} characters")
    return name


def _location(uri: str) -> str:
    """Return where clients are to put files, if that is a place; this server never opens it.

    A path without a scheme is one on the machine where client and server run together, below where the server runs.
    """
    if len(uri) > LONGEST_LOCATION:
        raise invalid(f"Invalid artifact path length: at most {LONGEST_LOCATION} characters can be kept.")
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise invalid(f"'artifact_location' is not a URI: {error}") from None
    if parts.fragment or "#" in uri or ";" in parts.path.rpartition("/")[2]:
        raise invalid("'artifact_location' URL can't include fragments or params.")
    if parts.scheme == "runs":
        raise invalid(f"Artifact location cannot be a runs:/ URI. Given: '{uri}'")
    if ".." in _decoded(parts.query) or ".." in _decoded(parts.path).replace("\\", "/").split("/"):
        raise invalid("'artifact_location' leads out of the place it names: it holds '..'.")
    return uri if parts.scheme else str(Path(uri).absolute())


def _decoded(text: str) -> str:
    for _ in range(_MOST_DECODINGS):
        plain = unquote(text)
        if plain == text:
            return text
        text = plain
    raise invalid("'artifact_location' is escaped too often to be read.")


_EXPERIMENTS = "/2.0/mlflow/experiments"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_EXPERIMENTS}/create", request=_Create, handle=_create),
    Endpoint(method="GET", path=f"{_EXPERIMENTS}/get", request=_OneExperiment, handle=_get),
    Endpoint(method="GET", path=f"{_EXPERIMENTS}/get-by-name", request=_ByName, handle=_get_by_name),
    Endpoint(method="POST", path=f"{_EXPERIMENTS}/delete", request=_OneExperiment, handle=_delete),
    Endpoint(method="POST", path=f"{_EXPERIMENTS}/restore", request=_OneExperiment, handle=_restore),
    Endpoint(method="POST", path=f"{_EXPERIMENTS}/update", request=_Update, handle=_update),
    Endpoint(method="POST", path=f"{_EXPERIMENTS}/set-experiment-tag", request=_SetTag, handle=_set_tag),
    Endpoint(method="POST", path=f"{_EXPERIMENTS}/delete-experiment-tag", request=_DeleteTag, handle=_delete_tag),
)
