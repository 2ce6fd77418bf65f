"""Answer MLflow's endpoints for what is bound to the endpoints of a gateway, such as a scorer that asks one."""

from __future__ import annotations

import hashlib

import msgspec

from interlock.core.errors import Conflict
from interlock.ports.checks import check_key
from interlock.ports.record_store import Record
from interlock.server.http import Response
from interlock.server.mlflow.gateway_records import BINDINGS, ENDPOINTS_KEPT, known
from interlock.server.mlflow.kept_records import every_record, millis
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, invalid, missing, required

_KINDS = ("scorer",)


class BindingRecord(msgspec.Struct, omit_defaults=True):
    """One thing bound to an endpoint."""

    endpoint_id: str
    resource_type: str
    resource_id: str
    created_at: int
    last_updated_at: int
    created_by: str | None = None
    last_updated_by: str | None = None


class BindingAnswer(msgspec.Struct, frozen=True):
    """One binding."""

    binding: BindingRecord


class BindingsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some bindings."""

    bindings: list[BindingRecord] = []


class _Binding(msgspec.Struct):
    endpoint_id: str = ""
    resource_type: str = ""
    resource_id: str = ""
    created_by: str | None = None


def _create(ground: Ground, asked: _Binding) -> BindingAnswer:
    key = _key(asked)
    check_key(asked.resource_id, of="id of a resource")
    if asked.resource_type not in _KINDS:
        raise invalid(f"Invalid resource_type '{asked.resource_type[:80]}'. Must be one of: {', '.join(_KINDS)}.")
    known(ground, ENDPOINTS_KEPT, asked.endpoint_id)
    body = {"kind": asked.resource_type, "resource": asked.resource_id, "created_by": asked.created_by or None}
    try:
        (made,) = ground.stores.records.put([Record(BINDINGS, key, body, asked.endpoint_id)])
    except Conflict:
        raise Failure(
            "RESOURCE_ALREADY_EXISTS",
            f"The {asked.resource_type} '{asked.resource_id[:120]}' is already bound to endpoint '{asked.endpoint_id}'",
        ) from None
    return BindingAnswer(_shown(made))


def _delete(ground: Ground, asked: _Binding) -> Response:
    if not ground.stores.records.delete(BINDINGS, record_ids=[_key(asked)]):
        raise missing(
            f"GatewayEndpointBinding not found (endpoint_id='{asked.endpoint_id[:120]}',"
            f" resource_type='{asked.resource_type[:80]}', resource_id='{asked.resource_id[:120]}')"
        )
    return DONE


def _list(ground: Ground, asked: _Binding) -> BindingsAnswer:
    found = every_record(ground, BINDINGS, parents=[asked.endpoint_id] if asked.endpoint_id else None)
    return BindingsAnswer(
        [
            _shown(one)
            for one in found
            if asked.resource_type in ("", one.body["kind"]) and asked.resource_id in ("", one.body["resource"])
        ]
    )


def _key(asked: _Binding) -> str:
    for name in ("endpoint_id", "resource_type", "resource_id"):
        if not getattr(asked, name):
            raise required(name)
    return hashlib.sha256("\0".join((asked.endpoint_id, asked.resource_type, asked.resource_id)).encode()).hexdigest()


def _shown(record: Record) -> BindingRecord:
    created, updated = millis(record)
    by = record.body["created_by"]
    return BindingRecord(record.parent, record.body["kind"], record.body["resource"], created, updated, by, by)


_ALL = "/3.0/mlflow/gateway/endpoints/bindings"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_ALL}/create", request=_Binding, handle=_create),
    Endpoint(method="DELETE", path=f"{_ALL}/delete", request=_Binding, handle=_delete),
    Endpoint(method="GET", path=f"{_ALL}/list", request=_Binding, handle=_list),
)
