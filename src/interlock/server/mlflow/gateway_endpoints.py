"""Answer MLflow's endpoints for the endpoints of a gateway: a name, the models behind it, and what uses it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from uuid import uuid4

import msgspec

from interlock.core.clock import to_micros
from interlock.core.errors import Conflict
from interlock.ports.checks import check_key, check_text
from interlock.ports.record_store import Record
from interlock.server.http import Response
from interlock.server.mlflow.enum_words import word
from interlock.server.mlflow.gateway_records import (
    BINDINGS,
    DEFINITIONS,
    ENDPOINTS_KEPT,
    FALLBACKS,
    GUARDS,
    LINKAGES,
    MOST_MODELS,
    ROUTINGS,
    EndpointRecord,
    FallbackConfig,
    MappingRecord,
    ModelConfig,
    checked_name,
    known,
    no_such,
    shown_definitions,
    shown_endpoints,
    shown_mapping,
)
from interlock.server.mlflow.kept_records import Body, again_until_alone, changed_record, every_record
from interlock.server.mlflow.known_runs import known_experiment
from interlock.server.mlflow.unique_names import delete_named, find_owner, put_named, take_name
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, invalid, missing, required


class EndpointAnswer(msgspec.Struct, frozen=True):
    """One endpoint."""

    endpoint: EndpointRecord


class EndpointsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some endpoints."""

    endpoints: list[EndpointRecord] = []


class MappingAnswer(msgspec.Struct, frozen=True):
    """One model behind an endpoint."""

    mapping: MappingRecord


class _Create(msgspec.Struct):
    name: str = ""
    model_configs: list[ModelConfig] = []
    created_by: str | None = None
    routing_strategy: str | int | None = None
    fallback_config: FallbackConfig | None = None
    experiment_id: str | None = None
    usage_tracking: bool = True


class _Update(msgspec.Struct):
    endpoint_id: str = ""
    name: str = ""
    model_configs: list[ModelConfig] = []
    updated_by: str | None = None
    routing_strategy: str | int | None = None
    fallback_config: FallbackConfig | None = None
    experiment_id: str | None = None
    usage_tracking: bool | None = None


class _One(msgspec.Struct):
    endpoint_id: str = ""
    name: str = ""


class _List(msgspec.Struct):
    provider: str = ""
    secret_id: str = ""


class _Attach(msgspec.Struct):
    endpoint_id: str = ""
    model_config: ModelConfig | None = None
    created_by: str | None = None


class _Detach(msgspec.Struct):
    endpoint_id: str = ""
    model_definition_id: str = ""


class _Tag(msgspec.Struct):
    endpoint_id: str = ""
    key: str = ""
    value: str = ""


def _create(ground: Ground, asked: _Create) -> EndpointAnswer:
    for name in ("name", "model_configs"):
        if not getattr(asked, name):
            raise required(name)
    name, endpoint_id, by = checked_name(asked.name), f"e-{uuid4().hex}", asked.created_by or None
    models = _models(ground, asked.model_configs, by)
    body: Body = {
        "name": name,
        "models": models,
        "routing_strategy": word(asked.routing_strategy, ROUTINGS, of="routing_strategy"),
        "fallback": _fallback(asked.fallback_config),
        "usage_tracking": asked.usage_tracking,
        "experiment_id": _experiment(ground, asked.experiment_id),
        "tags": {},
        "created_by": by,
        "updated_by": by,
    }
    # the name first, so that nobody who comes second leaves an experiment behind
    take_name(ground, ENDPOINTS_KEPT, name, endpoint_id, what="GatewayEndpoint")
    if asked.usage_tracking and body["experiment_id"] is None:
        body["experiment_id"] = _own_experiment(ground, name, endpoint_id)
    record = Record(ENDPOINTS_KEPT, endpoint_id, body)
    return _answer(ground, put_named(ground, record, what="GatewayEndpoint"))


def _get(ground: Ground, asked: _One) -> EndpointAnswer:
    if bool(asked.endpoint_id) == bool(asked.name):
        raise invalid("Exactly one of endpoint_id or name must be provided")
    owner = asked.endpoint_id or find_owner(ground, ENDPOINTS_KEPT, asked.name)
    if owner is None:
        raise missing(f"GatewayEndpoint not found (name='{asked.name[:120]}')")
    return _answer(ground, known(ground, ENDPOINTS_KEPT, owner))


def _update(ground: Ground, asked: _Update) -> EndpointAnswer:
    changed: Body = {}
    if asked.name:
        changed["name"] = checked_name(asked.name)
    if asked.updated_by:
        changed["updated_by"] = asked.updated_by
    if asked.model_configs:
        changed["models"] = _models(ground, asked.model_configs, asked.updated_by or None)
    if asked.routing_strategy is not None:
        changed["routing_strategy"] = word(asked.routing_strategy, ROUTINGS, of="routing_strategy")
    if asked.fallback_config is not None:
        changed["fallback"] = _fallback(asked.fallback_config)
    if asked.usage_tracking is not None:
        changed["usage_tracking"] = asked.usage_tracking
    if asked.experiment_id:
        changed["experiment_id"] = _experiment(ground, asked.experiment_id)

    def work() -> Record:
        before = known(ground, ENDPOINTS_KEPT, asked.endpoint_id)
        body = {**before.body, **changed}
        if asked.usage_tracking and body["experiment_id"] is None:
            body["experiment_id"] = _own_experiment(ground, body["name"], before.id)
        after = msgspec.structs.replace(before, body=body)
        return put_named(ground, after, what="GatewayEndpoint", before=before)

    return _answer(ground, again_until_alone(work))


def _delete(ground: Ground, asked: _One) -> Response:
    record = known(ground, ENDPOINTS_KEPT, asked.endpoint_id)
    delete_named(ground, record)
    for collection in (BINDINGS, GUARDS):
        ground.stores.records.delete(collection, parents=[record.id])
    return DONE


def _list(ground: Ground, asked: _List) -> EndpointsAnswer:
    found = shown_endpoints(ground, list(every_record(ground, ENDPOINTS_KEPT)))
    return EndpointsAnswer([one for one in found if _uses(one, asked)])


def _uses(endpoint: EndpointRecord, asked: _List) -> bool:
    definitions = [one.model_definition for one in endpoint.model_mappings if one.model_definition is not None]
    return not (asked.provider or asked.secret_id) or any(
        asked.provider in ("", one.provider) and asked.secret_id in ("", one.secret_id) for one in definitions
    )


def _attach(ground: Ground, asked: _Attach) -> MappingAnswer:
    if asked.model_config is None:
        raise required("model_config")
    known(ground, ENDPOINTS_KEPT, asked.endpoint_id)
    (model,) = _models(ground, [asked.model_config], asked.created_by or None)

    def attached(body: Body) -> Body:
        if any(_same(one, model) for one in body["models"]):
            raise Failure(
                "RESOURCE_ALREADY_EXISTS",
                f"Model definition '{model['model_definition_id']}' is already attached to"
                f" endpoint '{asked.endpoint_id}'",
            )
        if len(body["models"]) >= MOST_MODELS:
            raise invalid(f"An endpoint may have {MOST_MODELS} models.")
        by = asked.created_by or body["updated_by"]
        return {**body, "models": [*body["models"], model], "updated_by": by}

    _changed(ground, asked.endpoint_id, attached)
    definition = known(ground, DEFINITIONS, model["model_definition_id"])
    return MappingAnswer(shown_mapping(asked.endpoint_id, model, shown_definitions(ground, [definition])))


def _detach(ground: Ground, asked: _Detach) -> Response:
    if not asked.model_definition_id:
        raise required("model_definition_id")

    def detached(body: Body) -> Body:
        left = [one for one in body["models"] if one["model_definition_id"] != asked.model_definition_id]
        if len(left) == len(body["models"]):
            raise missing(
                f"Model definition '{asked.model_definition_id[:120]}' is not attached to"
                f" endpoint '{asked.endpoint_id}'"
            )
        return {**body, "models": left}

    _changed(ground, asked.endpoint_id, detached)
    return DONE


def _set_tag(ground: Ground, asked: _Tag) -> Response:
    check_key(asked.key, of="key of a tag")
    check_text(asked.value, of="value of a tag")
    _changed(ground, asked.endpoint_id, lambda body: {**body, "tags": {**body["tags"], asked.key: asked.value}})
    return DONE


def _delete_tag(ground: Ground, asked: _Tag) -> Response:
    def without(body: Body) -> Body:
        return {**body, "tags": {key: value for key, value in body["tags"].items() if key != asked.key}}

    _changed(ground, asked.endpoint_id, without)
    return DONE


def _changed(ground: Ground, endpoint_id: str, change: Callable[[Body], Body]) -> Record:
    if not endpoint_id:
        raise required("endpoint_id")
    return changed_record(ground, ENDPOINTS_KEPT, endpoint_id, lambda: no_such(ENDPOINTS_KEPT, endpoint_id), change)


def _models(ground: Ground, configs: Sequence[ModelConfig], by: str | None) -> list[Body]:
    if len(configs) > MOST_MODELS:
        raise invalid(f"An endpoint may have {MOST_MODELS} models, got {len(configs)}.")
    wanted = {one.model_definition_id for one in configs}
    there = {one.id for one in ground.stores.records.find(DEFINITIONS, sorted(wanted))}
    if gone := wanted - there:
        raise missing(f"Model definitions not found: {', '.join(sorted(gone))[:300]}")
    now = to_micros(ground.clock.now()) // 1000
    models: list[Body] = []
    for at, config in enumerate(configs):
        if not (math.isfinite(config.weight) and config.weight >= 0):
            raise invalid(f"Invalid weight {config.weight} in model_configs[{at}]: expected a number of at least 0.")
        model = {
            "mapping_id": f"m-{uuid4().hex}",
            "model_definition_id": config.model_definition_id,
            "weight": config.weight,
            "linkage_type": word(config.linkage_type, LINKAGES, of=f"linkage_type' in 'model_configs[{at}]"),
            "fallback_order": config.fallback_order,
            "created_at": now,
            "created_by": by,
        }
        if any(_same(one, model) for one in models):
            raise invalid(f"Model definition '{config.model_definition_id}' is given twice in one linkage type.")
        models.append(model)
    return models


def _same(one: Body, other: Body) -> bool:
    return all(one[key] == other[key] for key in ("model_definition_id", "linkage_type"))


def _fallback(config: FallbackConfig | None) -> Body | None:
    if config is None:
        return None
    strategy = None if config.strategy in (None, 0) else word(config.strategy, FALLBACKS, of="strategy")
    if config.max_attempts is not None and not 0 <= config.max_attempts <= MOST_MODELS:
        raise invalid(f"Invalid max_attempts {config.max_attempts}: expected 0 to {MOST_MODELS}.")
    return {"strategy": strategy, "max_attempts": config.max_attempts}


def _experiment(ground: Ground, experiment_id: str | None) -> str | None:
    return str(known_experiment(ground, experiment_id).id) if experiment_id else None


def _own_experiment(ground: Ground, name: str, endpoint_id: str) -> str:
    """Return the experiment for what is asked of an endpoint."""
    tags = {
        "mlflow.experiment.sourceType": "GATEWAY",
        "mlflow.experiment.sourceId": endpoint_id,
        "mlflow.experiment.isGateway": "true",
    }
    try:
        return str(ground.stores.experiments.create(f"gateway/{name}", tags=tags).id)
    except Conflict:
        return str(ground.stores.experiments.ensure(f"gateway/{name}").id)


def _answer(ground: Ground, record: Record) -> EndpointAnswer:
    return EndpointAnswer(shown_endpoints(ground, [record])[0])


_ALL = "/3.0/mlflow/gateway/endpoints"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_ALL}/create", request=_Create, handle=_create),
    Endpoint(method="GET", path=f"{_ALL}/get", request=_One, handle=_get),
    Endpoint(method="POST", path=f"{_ALL}/update", request=_Update, handle=_update),
    Endpoint(method="DELETE", path=f"{_ALL}/delete", request=_One, handle=_delete),
    Endpoint(method="GET", path=f"{_ALL}/list", request=_List, handle=_list),
    Endpoint(method="POST", path=f"{_ALL}/models/attach", request=_Attach, handle=_attach),
    Endpoint(method="POST", path=f"{_ALL}/models/detach", request=_Detach, handle=_detach),
    Endpoint(method="POST", path=f"{_ALL}/set-tag", request=_Tag, handle=_set_tag),
    Endpoint(method="DELETE", path=f"{_ALL}/delete-tag", request=_Tag, handle=_delete_tag),
)
