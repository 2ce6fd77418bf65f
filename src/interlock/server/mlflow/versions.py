"""Answer MLflow's endpoints for the versions of registered models, their stages and their search."""

from __future__ import annotations

import msgspec

from interlock.core.errors import NotFound
from interlock.ports.journal import Edge
from interlock.ports.logged_model_rules import ref_of_logged_model
from interlock.ports.logged_model_store import LoggedModel, LoggedModelChange
from interlock.ports.model_catalog import VersionChange, VersionNotes
from interlock.ports.model_store import ModelVersion, PackageFile
from interlock.ports.search import Field, OrderBy
from interlock.ports.search_fields import MLFLOW_VERSIONS
from interlock.registry.mlmodel import LARGEST_BYTES, MLMODEL, PackageKind, kind_of_package
from interlock.server.http import Response
from interlock.server.mlflow.model_search import checked_limit, with_prompts_hidden
from interlock.server.mlflow.registered import (
    VersionAddress,
    canonical_stage,
    checked_name,
    checked_number,
    checked_tags,
    is_prompt,
    known_model,
    known_version,
    version_record,
)
from interlock.server.mlflow.registry import VersionAnswer, VersionsAnswer
from interlock.server.mlflow.run_records import KeyValue
from interlock.server.mlflow.sources import Origin, download_uri, files_at, origin_of
from interlock.server.mlflow.wire import DONE, Endpoint, Ground, invalid, required

MOST_VERSIONS = 200_000
"""Versions in one page of a search."""
PROMPT_SOURCES = frozenset({"dummy-source", "prompt-template"})
"""What MLflow's clients give as the source of a prompt, which has none."""
VERSIONS_TAG = "mlflow.modelVersions"
"""The tag of a logged model that lists the versions made of it."""
_LATEST_CHANGED_FIRST = (OrderBy(Field("attribute", "updated_at"), descending=True),)
_ACTIVE_STAGES = ("Staging", "Production")


class _Create(msgspec.Struct, kw_only=True):
    name: str = ""
    source: str = ""
    run_id: str | None = None
    tags: list[KeyValue] | None = None
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None


class _OneVersion(msgspec.Struct, kw_only=True):
    name: str = ""
    version: str | int = ""


class _Update(msgspec.Struct, kw_only=True):
    name: str = ""
    version: str | int = ""
    description: str | None = None


class _Transition(msgspec.Struct, kw_only=True):
    name: str = ""
    version: str | int = ""
    stage: str = ""
    archive_existing_versions: bool | None = None


class _SetTag(msgspec.Struct, kw_only=True):
    name: str = ""
    version: str | int = ""
    key: str = ""
    value: str | None = None


class _DeleteTag(msgspec.Struct, kw_only=True):
    name: str = ""
    version: str | int = ""
    key: str = ""


class _Search(msgspec.Struct, kw_only=True):
    filter: str | None = None
    max_results: int = MOST_VERSIONS
    order_by: list[str] | None = None
    page_token: str | None = None


class DownloadAnswer(msgspec.Struct, frozen=True):
    """Where the files of a version are."""

    artifact_uri: str


class _VersionLink(msgspec.Struct):
    name: str
    version: int | str


_decode_links = msgspec.json.Decoder(list[_VersionLink]).decode


def _create(ground: Ground, asked: _Create) -> VersionAnswer:
    name = checked_name(asked.name)
    if not asked.source:
        raise required("source")
    tags = checked_tags(asked.tags or ())
    known_model(ground, name)
    if is_prompt(tags):
        if asked.source not in PROMPT_SOURCES:
            raise invalid(f"Invalid prompt source: '{asked.source}'. A prompt has no source, only a placeholder.")
        origin = Origin(asked.source, asked.run_id or None)
    else:
        origin = origin_of(ground, asked.source, run_id=asked.run_id, model_id=asked.model_id)
    notes = VersionChange(
        description=asked.description,
        tags=tags,
        source=origin.source,
        run_link=asked.run_link,
        logged_model=origin.logged_model,
    )
    version = ground.stores.models.add_version(_draft(ground, name, origin), edges=_edges(origin), notes=notes)
    if origin.logged_model:
        _link(ground, origin.logged_model, version)
    return VersionAnswer(version_record(ground.stores.catalog.notes(name, version.version)))


def _draft(ground: Ground, name: str, origin: Origin) -> ModelVersion:
    """Return the version to register, its files those that lie at its source now."""
    if origin.made_of:
        copied = ground.stores.models.get(origin.place.model, version=origin.place.version)  # type: ignore[union-attr]
        return msgspec.structs.replace(copied, model=name, version=0, created_at=ground.clock.now(), tags={})
    files = files_at(ground.stores, origin.place)
    kind = _kind(ground, files)
    return ModelVersion(
        model=name,
        version=0,
        created_at=ground.clock.now(),
        files=files,
        signature=kind.signature,
        flavor=kind.flavor,
        engine=kind.engine,
        run=origin.run,
        metrics=_metrics(ground, origin),
    )


def _kind(ground: Ground, files: tuple[PackageFile, ...]) -> PackageKind:
    described = next((file for file in files if file.path == MLMODEL and file.size_bytes <= LARGEST_BYTES), None)
    if described is None:
        return PackageKind()
    return kind_of_package(ground.stores.artifacts.get(described.digest), {file.path for file in files})


def _metrics(ground: Ground, origin: Origin) -> dict[str, float]:
    """Return what the logged model scored, or else the run, as far as it is known."""
    try:
        if origin.logged_model:
            found = {one.key: one.value for one in ground.stores.logged_models.get(origin.logged_model).metrics}
            if found:
                return found
        if origin.run is not None:
            return {key: summary.last for key, summary in ground.stores.runs.get(origin.run).metrics.items()}
    except NotFound:
        return {}
    return {}


def _edges(origin: Origin) -> list[Edge]:
    sources = [ref_of_logged_model(origin.logged_model)] if origin.logged_model else []
    if origin.made_of:
        sources.append(origin.made_of)
    return [Edge(source, "", "derived_from") for source in sources]


def _link(ground: Ground, model_id: str, version: ModelVersion) -> None:
    """Note on a logged model which versions were made of it, as MLflow's clients expect to find it."""
    try:
        model: LoggedModel = ground.stores.logged_models.get(model_id)
        links = _links(model.tags.get(VERSIONS_TAG, "[]"))
        links.append({"name": version.model, "version": version.version})
        text = (
            "["
            + ", ".join(f'{{"name": {_json(one["name"])}, "version": {_json(one["version"])}}}' for one in links)
            + "]"
        )
        ground.stores.logged_models.update(model_id, LoggedModelChange(tags={VERSIONS_TAG: text}))
    except NotFound:
        # it was deleted meanwhile, and the version has its files
        return


def _links(text: str) -> list[dict[str, str | int]]:
    try:
        return [{"name": one.name, "version": one.version} for one in _decode_links(text)]
    except msgspec.DecodeError:
        return []


def _json(value: str | int) -> str:
    return msgspec.json.encode(value).decode()


def _asked_for(ground: Ground, name: str, version: str | int) -> VersionNotes:
    checked_name(name)
    return known_version(ground, VersionAddress(name, number=checked_number(version)))


def _get(ground: Ground, asked: _OneVersion) -> VersionAnswer:
    return VersionAnswer(version_record(_asked_for(ground, asked.name, asked.version)))


def _update(ground: Ground, asked: _Update) -> VersionAnswer:
    known = _asked_for(ground, asked.name, asked.version)
    change = VersionChange(description=asked.description)
    return VersionAnswer(version_record(ground.stores.catalog.annotate(known.model, known.version, change)))


def _delete(ground: Ground, asked: _OneVersion) -> Response:
    known = _asked_for(ground, asked.name, asked.version)
    ground.stores.catalog.delete_version(known.model, known.version)
    return DONE


def _transition(ground: Ground, asked: _Transition) -> VersionAnswer:
    if not asked.stage:
        raise required("stage")
    stage = canonical_stage(asked.stage)
    archive = bool(asked.archive_existing_versions)
    if archive and stage not in _ACTIVE_STAGES:
        raise invalid(
            "Model version transition cannot archive existing model versions because"
            f" '{asked.stage}' is not an Active stage. Valid stages are {list(_ACTIVE_STAGES)}"
        )
    known = _asked_for(ground, asked.name, asked.version)
    change = VersionChange(stage=stage, archive_others=archive)
    return VersionAnswer(version_record(ground.stores.catalog.annotate(known.model, known.version, change)))


def _set_tag(ground: Ground, asked: _SetTag) -> Response:
    known = _asked_for(ground, asked.name, asked.version)
    if not asked.key:
        raise required("key")
    if asked.value is None:
        raise invalid("Tag value cannot be None")
    tags = checked_tags([KeyValue(asked.key, asked.value)])
    ground.stores.catalog.annotate(known.model, known.version, VersionChange(tags=tags))
    return DONE


def _delete_tag(ground: Ground, asked: _DeleteTag) -> Response:
    known = _asked_for(ground, asked.name, asked.version)
    if not asked.key:
        raise required("key")
    if asked.key in known.tags:
        ground.stores.catalog.annotate(known.model, known.version, VersionChange(remove_tags=(asked.key,)))
    return DONE


def _search(ground: Ground, asked: _Search) -> VersionsAnswer:
    limit = checked_limit(asked.max_results, most=MOST_VERSIONS)
    where, order = with_prompts_hidden(asked.filter, asked.order_by, MLFLOW_VERSIONS)
    order = order or _LATEST_CHANGED_FIRST
    page = ground.stores.catalog.search_versions(where=where, order=order, limit=limit, after=asked.page_token or None)
    return VersionsAnswer([version_record(one) for one in page.versions], page.after or "")


def _download(ground: Ground, asked: _OneVersion) -> DownloadAnswer:
    return DownloadAnswer(download_uri(ground, _asked_for(ground, asked.name, asked.version)))


_ROOT = "/2.0/mlflow/model-versions"

ENDPOINTS = (
    Endpoint(method="POST", path=f"{_ROOT}/create", request=_Create, handle=_create),
    Endpoint(method="GET", path=f"{_ROOT}/get", request=_OneVersion, handle=_get),
    Endpoint(method="PATCH", path=f"{_ROOT}/update", request=_Update, handle=_update),
    Endpoint(method="DELETE", path=f"{_ROOT}/delete", request=_OneVersion, handle=_delete),
    Endpoint(method="POST", path=f"{_ROOT}/transition-stage", request=_Transition, handle=_transition),
    Endpoint(method="POST", path=f"{_ROOT}/set-tag", request=_SetTag, handle=_set_tag),
    Endpoint(method="DELETE", path=f"{_ROOT}/delete-tag", request=_DeleteTag, handle=_delete_tag),
    Endpoint(method="GET", path=f"{_ROOT}/search", request=_Search, handle=_search),
    Endpoint(method="GET", path=f"{_ROOT}/get-download-uri", request=_OneVersion, handle=_download),
)
