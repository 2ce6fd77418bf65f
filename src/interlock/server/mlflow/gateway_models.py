"""Answer MLflow's endpoints for the model definitions of a gateway: which model of which provider, and its secret."""

from __future__ import annotations

from uuid import uuid4

import msgspec

from interlock.ports.checks import check_key
from interlock.ports.record_store import Record
from interlock.server.http import Response
from interlock.server.mlflow.gateway_records import (
    DEFINITIONS,
    ENDPOINTS_KEPT,
    SECRETS,
    DefinitionRecord,
    known,
    shown_definitions,
)
from interlock.server.mlflow.kept_records import again_until_alone, every_record
from interlock.server.mlflow.unique_names import delete_named, put_named
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, required


class DefinitionAnswer(msgspec.Struct, frozen=True):
    """One definition."""

    model_definition: DefinitionRecord


class DefinitionsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some definitions."""

    model_definitions: list[DefinitionRecord] = []


class _Create(msgspec.Struct):
    name: str = ""
    secret_id: str = ""
    provider: str = ""
    model_name: str = ""
    created_by: str | None = None


class _Update(msgspec.Struct):
    model_definition_id: str = ""
    name: str = ""
    secret_id: str = ""
    provider: str = ""
    model_name: str = ""
    updated_by: str | None = None


class _One(msgspec.Struct):
    model_definition_id: str = ""


class _List(msgspec.Struct):
    provider: str = ""
    secret_id: str = ""


def _create(ground: Ground, asked: _Create) -> DefinitionAnswer:
    for name in ("name", "secret_id", "provider", "model_name"):
        if not getattr(asked, name):
            raise required(name)
        check_key(getattr(asked, name), of=f"'{name}' of a model definition")
    known(ground, SECRETS, asked.secret_id)
    body = {
        "name": asked.name,
        "secret_id": asked.secret_id,
        "provider": asked.provider,
        "model_name": asked.model_name,
        "created_by": asked.created_by or None,
        "updated_by": asked.created_by or None,
    }
    record = Record(DEFINITIONS, f"d-{uuid4().hex}", body)
    return _answer(ground, put_named(ground, record, what="Model definition"))


def _get(ground: Ground, asked: _One) -> DefinitionAnswer:
    return _answer(ground, known(ground, DEFINITIONS, asked.model_definition_id))


def _list(ground: Ground, asked: _List) -> DefinitionsAnswer:
    found = [
        one
        for one in every_record(ground, DEFINITIONS)
        if asked.provider in ("", one.body["provider"]) and asked.secret_id in ("", one.body["secret_id"])
    ]
    return DefinitionsAnswer(list(shown_definitions(ground, found).values()))


def _update(ground: Ground, asked: _Update) -> DefinitionAnswer:
    changed = {
        name: getattr(asked, name)
        for name in ("name", "secret_id", "provider", "model_name", "updated_by")
        if getattr(asked, name)
    }
    for name, value in changed.items():
        check_key(value, of=f"'{name}' of a model definition")
    if asked.secret_id:
        known(ground, SECRETS, asked.secret_id)

    def work() -> Record:
        before = known(ground, DEFINITIONS, asked.model_definition_id)
        after = msgspec.structs.replace(before, body={**before.body, **changed})
        return put_named(ground, after, what="Model definition", before=before)

    return _answer(ground, again_until_alone(work))


def _delete(ground: Ground, asked: _One) -> Response:
    record = known(ground, DEFINITIONS, asked.model_definition_id)
    for endpoint in every_record(ground, ENDPOINTS_KEPT):
        if any(one["model_definition_id"] == record.id for one in endpoint.body["models"]):
            raise Failure(
                "INVALID_STATE",
                "Cannot delete model definition that is currently in use by endpoints."
                f" Detach it from all endpoints first; one is '{endpoint.body['name']}'.",
            )
    delete_named(ground, record)
    return DONE


def _answer(ground: Ground, record: Record) -> DefinitionAnswer:
    return DefinitionAnswer(shown_definitions(ground, [record])[record.id])


_ALL = "/3.0/mlflow/gateway/model-definitions"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_ALL}/create", request=_Create, handle=_create),
    Endpoint(method="GET", path=f"{_ALL}/get", request=_One, handle=_get),
    Endpoint(method="GET", path=f"{_ALL}/list", request=_List, handle=_list),
    Endpoint(method="POST", path=f"{_ALL}/update", request=_Update, handle=_update),
    Endpoint(method="DELETE", path=f"{_ALL}/delete", request=_One, handle=_delete),
)
