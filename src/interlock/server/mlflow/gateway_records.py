"""What is kept for MLflow's gateway, and how it is shown: endpoints, the models behind them, their secrets.

This server keeps what a gateway is set up with; it calls no model of any provider.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from interlock.ports.record_store import Record
from interlock.server.mlflow.kept_records import known_record, millis
from interlock.server.mlflow.wire import Failure, Ground, invalid, missing, required

SECRETS = "mlflow.gateway_secret"
DEFINITIONS = "mlflow.gateway_model_definition"
ENDPOINTS_KEPT = "mlflow.gateway_endpoint"
BINDINGS = "mlflow.gateway_binding"
BUDGETS = "mlflow.gateway_budget"
GUARDRAILS = "mlflow.gateway_guardrail"
GUARDS = "mlflow.gateway_guard"

LINKAGES = ("LINKAGE_TYPE_UNSPECIFIED", "PRIMARY", "FALLBACK")
ROUTINGS = ("ROUTING_STRATEGY_UNSPECIFIED", "REQUEST_BASED_TRAFFIC_SPLIT")
FALLBACKS = ("FALLBACK_STRATEGY_UNSPECIFIED", "SEQUENTIAL")
MOST_MODELS = 100

_KINDS = {
    SECRETS: "GatewaySecret",
    DEFINITIONS: "GatewayModelDefinition",
    ENDPOINTS_KEPT: "GatewayEndpoint",
    BUDGETS: "BudgetPolicy",
    GUARDRAILS: "Guardrail",
}
_IDS = {
    SECRETS: "secret_id",
    DEFINITIONS: "model_definition_id",
    ENDPOINTS_KEPT: "endpoint_id",
    BUDGETS: "budget_policy_id",
    GUARDRAILS: "guardrail_id",
}
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,250}")


class ModelConfig(msgspec.Struct):
    """Which model stands behind an endpoint, and how."""

    model_definition_id: str = ""
    linkage_type: str | int = 0
    weight: float = 1.0
    fallback_order: int | None = None


class FallbackConfig(msgspec.Struct, omit_defaults=True):
    """What is tried when a model does not answer."""

    strategy: str | int | None = None
    max_attempts: int | None = None


class DefinitionRecord(msgspec.Struct, omit_defaults=True):
    """One model of a provider, and the secret to reach it with."""

    model_definition_id: str
    name: str
    provider: str
    model_name: str
    created_at: int
    last_updated_at: int
    secret_id: str | None = None
    secret_name: str | None = None
    created_by: str | None = None
    last_updated_by: str | None = None


class MappingRecord(msgspec.Struct, omit_defaults=True):
    """One model behind an endpoint."""

    mapping_id: str
    endpoint_id: str
    model_definition_id: str
    weight: float
    created_at: int
    linkage_type: str
    model_definition: DefinitionRecord | None = None
    fallback_order: int | None = None
    created_by: str | None = None


class TagRecord(msgspec.Struct, frozen=True):
    """One tag."""

    key: str
    value: str


class EndpointRecord(msgspec.Struct, omit_defaults=True):
    """One endpoint with the models behind it."""

    endpoint_id: str
    name: str
    created_at: int
    last_updated_at: int
    usage_tracking: bool | None = None
    model_mappings: list[MappingRecord] = []
    tags: list[TagRecord] = []
    routing_strategy: str | None = None
    fallback_config: FallbackConfig | None = None
    experiment_id: str | None = None
    created_by: str | None = None
    last_updated_by: str | None = None


def known(ground: Ground, collection: str, record_id: str) -> Record:
    """Return a record of the gateway by its id."""
    if not record_id:
        raise required(_IDS[collection])
    return known_record(ground, collection, record_id, lambda: no_such(collection, record_id))


def no_such(collection: str, record_id: str) -> Failure:
    """Build the failure for an id that names nothing."""
    return missing(f"{_KINDS[collection]} not found ({_IDS[collection]}='{record_id[:120]}')")


def checked_name(name: str) -> str:
    """Return the name of an endpoint, if clients can put it into an address."""
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Invalid endpoint name '{name[:80]}'. "
            "Name can only contain letters, numbers, underscores, hyphens, and dots."
        )
    return name


def shown_definitions(ground: Ground, definitions: Collection[Record]) -> dict[str, DefinitionRecord]:
    """Return definitions by id; a secret that is gone is not named."""
    wanted = sorted({one.body["secret_id"] for one in definitions if one.body["secret_id"]})
    names = {one.id: one.body["name"] for one in ground.stores.records.find(SECRETS, wanted)} if wanted else {}
    return {one.id: _definition(one, names) for one in definitions}


def _definition(record: Record, secrets: Mapping[str, str]) -> DefinitionRecord:
    body = record.body
    created, updated = millis(record)
    secret_id = body["secret_id"] if body["secret_id"] in secrets else None
    return DefinitionRecord(
        model_definition_id=record.id,
        name=body["name"],
        provider=body["provider"],
        model_name=body["model_name"],
        created_at=created,
        last_updated_at=updated,
        secret_id=secret_id,
        secret_name=secrets.get(secret_id) if secret_id else None,
        created_by=body["created_by"],
        last_updated_by=body["updated_by"],
    )


def shown_endpoints(ground: Ground, endpoints: Sequence[Record]) -> list[EndpointRecord]:
    """Return endpoints with the models behind them."""
    wanted = sorted({one["model_definition_id"] for endpoint in endpoints for one in endpoint.body["models"]})
    known_ones = ground.stores.records.find(DEFINITIONS, wanted) if wanted else []
    definitions = shown_definitions(ground, known_ones)
    return [_endpoint(one, definitions) for one in endpoints]


def _endpoint(record: Record, definitions: Mapping[str, DefinitionRecord]) -> EndpointRecord:
    body = record.body
    created, updated = millis(record)
    return EndpointRecord(
        endpoint_id=record.id,
        name=body["name"],
        created_at=created,
        last_updated_at=updated,
        usage_tracking=body["usage_tracking"],
        model_mappings=[shown_mapping(record.id, one, definitions) for one in body["models"]],
        tags=[TagRecord(key, value) for key, value in sorted(body["tags"].items())],
        routing_strategy=body["routing_strategy"],
        fallback_config=FallbackConfig(**body["fallback"]) if body["fallback"] else None,
        experiment_id=body["experiment_id"],
        created_by=body["created_by"],
        last_updated_by=body["updated_by"],
    )


def shown_mapping(
    endpoint_id: str, model: Mapping[str, Any], definitions: Mapping[str, DefinitionRecord]
) -> MappingRecord:
    """Return one model behind an endpoint."""
    return MappingRecord(
        mapping_id=model["mapping_id"],
        endpoint_id=endpoint_id,
        model_definition_id=model["model_definition_id"],
        weight=model["weight"],
        created_at=model["created_at"],
        linkage_type=model["linkage_type"],
        model_definition=definitions.get(model["model_definition_id"]),
        fallback_order=model["fallback_order"],
        created_by=model["created_by"],
    )
