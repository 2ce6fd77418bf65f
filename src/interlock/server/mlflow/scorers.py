"""Answer MLflow's endpoints for scorers: register, show, list and delete their versions.

A scorer is only kept here: nothing of it is ever run by the server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import msgspec

from interlock.core.clock import to_micros
from interlock.core.errors import NotFound
from interlock.ports.checks import check_key
from interlock.ports.record_store import Record
from interlock.server.http import Response
from interlock.server.mlflow.kept_records import again_until_alone, every_record
from interlock.server.mlflow.known_runs import active_experiment, experiment_number
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, invalid, missing, required

SCORERS = "mlflow.scorer"
VERSIONS = "mlflow.scorer_version"
ONLINE = "mlflow.online_scoring"
"""Which scorers are meant to judge new traces, by the id of the scorer."""
LARGEST_SCORER_BYTES = 1024 * 1024
_DEEPEST = 64
_CODE_FIELDS = ("call_source",)


class _Register(msgspec.Struct):
    experiment_id: str = ""
    name: str = ""
    serialized_scorer: str = ""


class _List(msgspec.Struct):
    experiment_id: str = ""
    experiment_ids: list[str] | None = None


class _One(msgspec.Struct):
    experiment_id: str = ""
    name: str = ""
    version: int | None = None


class RegisteredAnswer(msgspec.Struct, frozen=True):
    """A version as it was registered."""

    version: int
    scorer_id: str
    experiment_id: str
    name: str
    serialized_scorer: str
    creation_time: int


class ScorerRecord(msgspec.Struct, frozen=True):
    """One version of a scorer."""

    experiment_id: int
    scorer_name: str
    scorer_version: int
    serialized_scorer: str
    creation_time: int
    scorer_id: str


class ScorerAnswer(msgspec.Struct, frozen=True):
    """One version of a scorer."""

    scorer: ScorerRecord


class ScorersAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Versions of scorers."""

    scorers: list[ScorerRecord] = []


def _register(ground: Ground, asked: _Register) -> RegisteredAnswer:
    for name in ("experiment_id", "name", "serialized_scorer"):
        if not getattr(asked, name):
            raise required(name)
    if not asked.name.strip():
        raise invalid("Scorer name cannot be empty or contain only whitespace.")
    check_key(asked.name, of="name of a scorer")
    _check_serialized(asked.serialized_scorer)
    experiment = active_experiment(ground, asked.experiment_id)
    version: Record = again_until_alone(lambda: _add(ground, str(experiment.id), asked))
    shown = scorer_record(version)
    return RegisteredAnswer(
        shown.scorer_version,
        shown.scorer_id,
        str(shown.experiment_id),
        shown.scorer_name,
        shown.serialized_scorer,
        shown.creation_time,
    )


def _add(ground: Ground, experiment_id: str, asked: _Register) -> Record:
    key = scorer_key(experiment_id, asked.name)
    (before,) = ground.stores.records.find(SCORERS, [key]) or [
        Record(SCORERS, key, {"scorer_id": str(uuid4()), "name": asked.name, "last": 0}, experiment_id)
    ]
    number = before.body["last"] + 1
    # whoever writes the scorer owns the number
    ground.stores.records.put([msgspec.structs.replace(before, body={**before.body, "last": number})])
    body = {
        "scorer_id": before.body["scorer_id"],
        "experiment_id": experiment_id,
        "name": asked.name,
        "version": number,
        "serialized": asked.serialized_scorer,
    }
    (made,) = ground.stores.records.put([Record(VERSIONS, f"{key}@{number}", body, key)])
    return made


def _list(ground: Ground, asked: _List) -> ScorersAnswer:
    if asked.experiment_id and asked.experiment_ids is not None:
        raise invalid("Cannot specify both 'experiment_id' and 'experiment_ids'.")
    parents: list[str] | None = None
    if asked.experiment_id:
        parents = [str(active_experiment(ground, asked.experiment_id).id)]
    elif asked.experiment_ids is not None:
        parents = [str(experiment_number(one)) for one in asked.experiment_ids]
    scorers = list(every_record(ground, SCORERS, parents=parents))
    if not asked.experiment_id:
        active = {one: _is_active(ground, one) for one in {one.parent for one in scorers}}
        scorers = [one for one in scorers if active[one.parent]]
    newest: dict[str, ScorerRecord] = {}
    for version in every_record(ground, VERSIONS, parents=[one.id for one in scorers]):
        newest[version.parent] = scorer_record(version)
    return ScorersAnswer(sorted(newest.values(), key=lambda one: (one.experiment_id, one.scorer_name)))


def _list_versions(ground: Ground, asked: _One) -> ScorersAnswer:
    return ScorersAnswer([scorer_record(one) for one in _versions(ground, asked)])


def _get(ground: Ground, asked: _One) -> ScorerAnswer:
    return ScorerAnswer(scorer_record(_chosen(asked, _versions(ground, asked))[-1]))


def _delete(ground: Ground, asked: _One) -> Response:
    gone = _chosen(asked, _versions(ground, asked))
    if asked.version is None:
        ground.stores.records.delete(SCORERS, record_ids=[gone[0].parent])
        ground.stores.records.delete(VERSIONS, parents=[gone[0].parent])
        ground.stores.records.delete(ONLINE, record_ids=[gone[0].body["scorer_id"]])
    else:
        ground.stores.records.delete(VERSIONS, record_ids=[one.id for one in gone])
    return DONE


def _versions(ground: Ground, asked: _One) -> list[Record]:
    for name in ("experiment_id", "name"):
        if not getattr(asked, name):
            raise required(name)
    experiment = active_experiment(ground, asked.experiment_id)
    found = list(every_record(ground, VERSIONS, parents=[scorer_key(str(experiment.id), asked.name)]))
    if not found:
        raise _no_scorer(asked)
    return found


def _chosen(asked: _One, versions: Sequence[Record]) -> list[Record]:
    found = [one for one in versions if asked.version in (None, one.body["version"])]
    if not found:
        raise _no_scorer(asked)
    return found


def _no_scorer(asked: _One) -> Failure:
    version = "" if asked.version is None else f" and version {asked.version}"
    return missing(
        f"Scorer with name '{asked.name[:80]}'{version} not found for experiment {asked.experiment_id[:20]}."
    )


def _is_active(ground: Ground, experiment_id: str) -> bool:
    try:
        return ground.stores.experiments.get(int(experiment_id)).deleted_at is None
    except NotFound:
        return False


def _check_serialized(text: str) -> None:
    if len(text) > LARGEST_SCORER_BYTES:
        raise invalid(f"serialized_scorer is too large: at most {LARGEST_SCORER_BYTES} characters are taken.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid("serialized_scorer must be valid JSON") from error
    if _holds_code(found, 0):
        raise invalid(
            "A scorer that is a decorated function cannot be registered: whoever loads it would run its source."
            " Register a built-in scorer, or a judge made with make_judge()."
        )


def _holds_code(value: Any, depth: int) -> bool:
    if depth > _DEEPEST:
        raise invalid("serialized_scorer is nested too deeply")
    if isinstance(value, list):
        return any(_holds_code(one, depth + 1) for one in value)
    if isinstance(value, dict):
        return any(value.get(name) for name in _CODE_FIELDS) or any(
            _holds_code(one, depth + 1) for one in value.values()
        )
    return False


def scorer_key(experiment_id: str, name: str) -> str:
    """Return the id under which a scorer is kept, so that two who register one name meet."""
    return hashlib.sha256(f"{experiment_id}:{name}".encode()).hexdigest()[:40]


def scorer_record(version: Record) -> ScorerRecord:
    """Return one version as clients read it."""
    body = version.body
    return ScorerRecord(
        int(body["experiment_id"]),
        body["name"],
        body["version"],
        body["serialized"],
        to_micros(version.created_at) // 1000,
        body["scorer_id"],
    )


_ALL = "/3.0/mlflow/scorers"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_ALL}/register", request=_Register, handle=_register),
    Endpoint(method="GET", path=f"{_ALL}/list", request=_List, handle=_list),
    Endpoint(method="GET", path=f"{_ALL}/versions", request=_One, handle=_list_versions),
    Endpoint(method="GET", path=f"{_ALL}/get", request=_One, handle=_get),
    Endpoint(method="DELETE", path=f"{_ALL}/delete", request=_One, handle=_delete),
)
