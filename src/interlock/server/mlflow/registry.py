"""Answer MLflow's endpoints for registered models, their aliases and their search."""

from __future__ import annotations

import msgspec

from interlock.core.errors import Conflict, NotFound
from interlock.ports.model_catalog import RegisteredModelChange
from interlock.ports.search_fields import MLFLOW_MODELS
from interlock.server.http import Response
from interlock.server.mlflow.model_search import checked_limit, with_prompts_hidden
from interlock.server.mlflow.registered import (
    LATEST,
    ModelRecord,
    VersionAddress,
    VersionRecord,
    canonical_stage,
    checked_alias,
    checked_name,
    checked_number,
    checked_tags,
    is_prompt,
    known_model,
    known_version,
    shown_models,
    version_record,
)
from interlock.server.mlflow.run_records import KeyValue
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, required

MOST_MODELS = 1000
"""Registered models in one page of a search."""


class _Create(msgspec.Struct, kw_only=True):
    name: str = ""
    tags: list[KeyValue] | None = None
    description: str | None = None


class _OneModel(msgspec.Struct, kw_only=True):
    name: str = ""


class _Update(msgspec.Struct, kw_only=True):
    name: str = ""
    description: str | None = None


class _Rename(msgspec.Struct, kw_only=True):
    name: str = ""
    new_name: str = ""


class _SetTag(msgspec.Struct, kw_only=True):
    name: str = ""
    key: str = ""
    value: str | None = None


class _DeleteTag(msgspec.Struct, kw_only=True):
    name: str = ""
    key: str = ""


class _Search(msgspec.Struct, kw_only=True):
    filter: str | None = None
    max_results: int = 100
    order_by: list[str] | None = None
    page_token: str | None = None


class _Latest(msgspec.Struct, kw_only=True):
    name: str = ""
    stages: list[str] | None = None


class _Alias(msgspec.Struct, kw_only=True):
    name: str = ""
    alias: str = ""


class _SetAlias(msgspec.Struct, kw_only=True):
    name: str = ""
    alias: str = ""
    version: str | int = ""


class ModelAnswer(msgspec.Struct, frozen=True):
    """One registered model."""

    registered_model: ModelRecord


class ModelsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some registered models."""

    registered_models: list[ModelRecord] = []
    next_page_token: str = ""


class VersionAnswer(msgspec.Struct, frozen=True):
    """One version."""

    model_version: VersionRecord


class VersionsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some versions."""

    model_versions: list[VersionRecord] = []
    next_page_token: str = ""


def _create(ground: Ground, asked: _Create) -> ModelAnswer:
    name = checked_name(asked.name)
    tags = checked_tags(asked.tags or ())
    try:
        created = ground.stores.catalog.create(name, description=asked.description or "", tags=tags)
    except Conflict:
        raise _taken(ground, name, as_prompt=is_prompt(tags)) from None
    return ModelAnswer(shown_models(ground, [created])[0])


def _get(ground: Ground, asked: _OneModel) -> ModelAnswer:
    return ModelAnswer(shown_models(ground, [known_model(ground, asked.name)])[0])


def _update(ground: Ground, asked: _Update) -> ModelAnswer:
    known_model(ground, asked.name)
    after = ground.stores.catalog.update(asked.name, RegisteredModelChange(description=asked.description))
    return ModelAnswer(shown_models(ground, [after])[0])


def _rename(ground: Ground, asked: _Rename) -> ModelAnswer:
    new_name = checked_name(asked.new_name, path="new_name")
    known_model(ground, asked.name)
    if new_name == asked.name:
        raise _taken(ground, new_name, as_prompt=False)
    try:
        after = ground.stores.catalog.rename(asked.name, new_name)
    except Conflict as conflict:
        raise _renamed_or_routed(ground, new_name, conflict) from None
    return ModelAnswer(shown_models(ground, [after])[0])


def _delete(ground: Ground, asked: _OneModel) -> Response:
    known_model(ground, asked.name)
    ground.stores.catalog.delete(asked.name)
    return DONE


def _search(ground: Ground, asked: _Search) -> ModelsAnswer:
    limit = checked_limit(asked.max_results, most=MOST_MODELS)
    where, order = with_prompts_hidden(asked.filter, asked.order_by, MLFLOW_MODELS)
    page = ground.stores.catalog.search(where=where, order=order, limit=limit, after=asked.page_token or None)
    return ModelsAnswer(shown_models(ground, page.models), page.after or "")


def _latest(ground: Ground, asked: _Latest) -> VersionsAnswer:
    known_model(ground, asked.name)
    stages = {canonical_stage(stage) for stage in asked.stages or ()}
    newest = ground.stores.catalog.newest_by_stage([asked.name])
    return VersionsAnswer([version_record(one) for one in newest if not stages or one.stage in stages])


def _set_tag(ground: Ground, asked: _SetTag) -> Response:
    known_model(ground, asked.name)
    if not asked.key:
        raise required("key")
    tags = checked_tags([KeyValue(asked.key, asked.value or "")])
    ground.stores.catalog.update(asked.name, RegisteredModelChange(tags=tags))
    return DONE


def _delete_tag(ground: Ground, asked: _DeleteTag) -> Response:
    model = known_model(ground, asked.name)
    if not asked.key:
        raise required("key")
    if asked.key in model.tags:
        ground.stores.catalog.update(asked.name, RegisteredModelChange(remove_tags=(asked.key,)))
    return DONE


def _set_alias(ground: Ground, asked: _SetAlias) -> Response:
    checked_name(asked.name)
    alias = checked_alias(asked.alias, is_new=True)
    version = known_version(ground, VersionAddress(asked.name, number=checked_number(asked.version)))
    ground.stores.models.set_alias(asked.name, alias, version=version.version)
    return DONE


def _delete_alias(ground: Ground, asked: _Alias) -> Response:
    alias = checked_alias(asked.alias)
    if alias in known_model(ground, asked.name).aliases:
        try:
            ground.stores.models.set_alias(asked.name, alias, version=None)
        except NotFound:
            # another removed it meanwhile, which is what was asked for
            return DONE
    return DONE


def _get_by_alias(ground: Ground, asked: _Alias) -> VersionAnswer:
    alias = checked_alias(asked.alias)
    found = known_version(ground, VersionAddress(asked.name, alias=LATEST if alias.lower() == LATEST else alias))
    return VersionAnswer(version_record(found))


def _taken(ground: Ground, name: str, *, as_prompt: bool) -> Failure:
    """Say that a name is in use, and by what."""
    held = "Prompt" if is_prompt(known_model(ground, name).tags) else "Registered Model"
    wanted = "Prompt" if as_prompt else "Registered Model"
    if held != wanted:
        return Failure(
            "RESOURCE_ALREADY_EXISTS",
            f"Tried to create a {wanted.lower()} with name {name!r}, but the name is already taken by a"
            f" {held.lower()}. A model and a prompt cannot have the same name.",
        )
    return Failure("RESOURCE_ALREADY_EXISTS", f"{wanted} (name={name}) already exists.")


def _renamed_or_routed(ground: Ground, new_name: str, conflict: Conflict) -> Exception:
    try:
        ground.stores.catalog.get(new_name)
    except NotFound:
        return conflict
    return Failure("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={new_name}) already exists.")


_ROOT = "/2.0/mlflow/registered-models"

ENDPOINTS = (
    Endpoint(method="POST", path=f"{_ROOT}/create", request=_Create, handle=_create),
    Endpoint(method="GET", path=f"{_ROOT}/get", request=_OneModel, handle=_get),
    Endpoint(method="PATCH", path=f"{_ROOT}/update", request=_Update, handle=_update),
    Endpoint(method="POST", path=f"{_ROOT}/rename", request=_Rename, handle=_rename),
    Endpoint(method="DELETE", path=f"{_ROOT}/delete", request=_OneModel, handle=_delete),
    Endpoint(method="GET", path=f"{_ROOT}/search", request=_Search, handle=_search),
    Endpoint(method="GET", path=f"{_ROOT}/get-latest-versions", request=_Latest, handle=_latest),
    Endpoint(method="POST", path=f"{_ROOT}/get-latest-versions", request=_Latest, handle=_latest),
    Endpoint(method="POST", path=f"{_ROOT}/set-tag", request=_SetTag, handle=_set_tag),
    Endpoint(method="DELETE", path=f"{_ROOT}/delete-tag", request=_DeleteTag, handle=_delete_tag),
    Endpoint(method="POST", path=f"{_ROOT}/alias", request=_SetAlias, handle=_set_alias),
    Endpoint(method="DELETE", path=f"{_ROOT}/alias", request=_Alias, handle=_delete_alias),
    Endpoint(method="GET", path=f"{_ROOT}/alias", request=_Alias, handle=_get_by_alias),
)
