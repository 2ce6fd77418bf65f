"""Answer MLflow's endpoints for guardrails: scorers that judge what goes into an endpoint or comes out of it.

They are kept for whoever calls the models; nothing of a scorer is ever run by the server.
"""

from __future__ import annotations

from uuid import uuid4

import msgspec

from interlock.core.errors import Conflict
from interlock.ports.checks import check_key
from interlock.ports.record_store import Record
from interlock.server.http import Response
from interlock.server.mlflow.enum_words import word
from interlock.server.mlflow.gateway_budgets import record_page
from interlock.server.mlflow.gateway_records import ENDPOINTS_KEPT, GUARDRAILS, GUARDS, known
from interlock.server.mlflow.kept_records import again_until_alone, every_record, find_record, millis
from interlock.server.mlflow.scorers import VERSIONS, ScorerRecord, scorer_record
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, missing, required

_STAGES = ("GUARDRAIL_STAGE_UNSPECIFIED", "BEFORE", "AFTER")
_ACTIONS = ("GUARDRAIL_ACTION_UNSPECIFIED", "VALIDATION", "SANITIZATION")


class GuardrailRecord(msgspec.Struct, omit_defaults=True):
    """One guardrail; without its scorer where that was deleted."""

    guardrail_id: str
    name: str
    stage: str
    action: str
    created_at: int
    last_updated_at: int
    scorer: ScorerRecord | None = None
    action_endpoint_id: str | None = None


class GuardRecord(msgspec.Struct, omit_defaults=True):
    """One guardrail in place at one endpoint."""

    endpoint_id: str
    guardrail_id: str
    created_at: int
    execution_order: int | None = None
    guardrail: GuardrailRecord | None = None


class GuardrailAnswer(msgspec.Struct, frozen=True):
    """One guardrail."""

    guardrail: GuardrailRecord


class GuardrailsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of guardrails."""

    guardrails: list[GuardrailRecord] = []
    next_page_token: str = ""


class GuardAnswer(msgspec.Struct, frozen=True):
    """One guardrail in place."""

    config: GuardRecord


class GuardsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The guardrails in place at an endpoint."""

    configs: list[GuardRecord] = []


class _Create(msgspec.Struct):
    name: str = ""
    scorer_id: str = ""
    scorer_version: int | None = None
    stage: str | int | None = None
    action: str | int | None = None
    action_endpoint_id: str = ""


class _One(msgspec.Struct):
    guardrail_id: str = ""


class _Page(msgspec.Struct):
    max_results: int | None = None
    page_token: str = ""


class _Guard(msgspec.Struct):
    endpoint_id: str = ""
    guardrail_id: str = ""
    execution_order: int | None = None


def _create(ground: Ground, asked: _Create) -> GuardrailAnswer:
    for name in ("name", "scorer_id", "scorer_version", "stage", "action"):
        if not getattr(asked, name):
            raise required(name)
    check_key(asked.name, of="name of a guardrail")
    if asked.action_endpoint_id:
        known(ground, ENDPOINTS_KEPT, asked.action_endpoint_id)
    version = _scorer(ground, asked.scorer_id, asked.scorer_version or 0)
    if version is None:
        raise missing(f"Scorer '{asked.scorer_id[:120]}' has no version {asked.scorer_version}.")
    body = {
        "name": asked.name,
        "scorer_version": version.id,
        "stage": word(asked.stage, _STAGES, of="stage"),
        "action": word(asked.action, _ACTIONS, of="action"),
        "action_endpoint_id": asked.action_endpoint_id or None,
    }
    (made,) = ground.stores.records.put([Record(GUARDRAILS, f"gr-{uuid4().hex}", body)])
    return GuardrailAnswer(_shown(ground, [made])[0])


def _get(ground: Ground, asked: _One) -> GuardrailAnswer:
    return GuardrailAnswer(_shown(ground, [known(ground, GUARDRAILS, asked.guardrail_id)])[0])


def _delete(ground: Ground, asked: _One) -> Response:
    record = known(ground, GUARDRAILS, asked.guardrail_id)
    ground.stores.records.delete(GUARDRAILS, record_ids=[record.id])
    in_place = [one.id for one in every_record(ground, GUARDS) if one.body["guardrail_id"] == record.id]
    ground.stores.records.delete(GUARDS, record_ids=in_place)
    return DONE


def _list(ground: Ground, asked: _Page) -> GuardrailsAnswer:
    records, token = record_page(ground, GUARDRAILS, asked.max_results, asked.page_token)
    return GuardrailsAnswer(_shown(ground, records), token)


def _add(ground: Ground, asked: _Guard) -> GuardAnswer:
    known(ground, ENDPOINTS_KEPT, asked.endpoint_id)
    known(ground, GUARDRAILS, asked.guardrail_id)
    body = {"guardrail_id": asked.guardrail_id, "order": asked.execution_order}
    try:
        (made,) = ground.stores.records.put([Record(GUARDS, _key(asked), body, asked.endpoint_id)])
    except Conflict:
        raise Failure(
            "RESOURCE_ALREADY_EXISTS",
            f"Guardrail '{asked.guardrail_id}' is already added to endpoint '{asked.endpoint_id}'",
        ) from None
    return GuardAnswer(_guards(ground, [made])[0])


def _reorder(ground: Ground, asked: _Guard) -> GuardAnswer:
    def work() -> Record:
        before = _in_place(ground, asked)
        body = {**before.body, "order": asked.execution_order}
        return ground.stores.records.put([msgspec.structs.replace(before, body=body)])[0]

    return GuardAnswer(_guards(ground, [again_until_alone(work)])[0])


def _remove(ground: Ground, asked: _Guard) -> Response:
    ground.stores.records.delete(GUARDS, record_ids=[_in_place(ground, asked).id])
    return DONE


def _list_guards(ground: Ground, asked: _Guard) -> GuardsAnswer:
    known(ground, ENDPOINTS_KEPT, asked.endpoint_id)
    found = _guards(ground, list(every_record(ground, GUARDS, parents=[asked.endpoint_id])))
    found.sort(key=lambda one: (one.execution_order is None, one.execution_order or 0, one.guardrail_id))
    return GuardsAnswer(found)


def _in_place(ground: Ground, asked: _Guard) -> Record:
    found = find_record(ground, GUARDS, _key(asked))
    if found is None:
        raise missing(
            f"GuardrailConfig not found (endpoint_id='{asked.endpoint_id[:120]}',"
            f" guardrail_id='{asked.guardrail_id[:120]}')"
        )
    return found


def _key(asked: _Guard) -> str:
    for name in ("endpoint_id", "guardrail_id"):
        if not getattr(asked, name):
            raise required(name)
    return f"{asked.endpoint_id}/{asked.guardrail_id}"


def _scorer(ground: Ground, scorer_id: str, number: int) -> Record | None:
    for version in every_record(ground, VERSIONS):
        if version.body["scorer_id"] == scorer_id and version.body["version"] == number:
            return version
    return None


def _shown(ground: Ground, records: list[Record]) -> list[GuardrailRecord]:
    wanted = sorted({one.body["scorer_version"] for one in records})
    versions = ground.stores.records.find(VERSIONS, wanted) if wanted else []
    scorers = {one.id: scorer_record(one) for one in versions}
    return [
        GuardrailRecord(
            one.id,
            one.body["name"],
            one.body["stage"],
            one.body["action"],
            *millis(one),
            scorers.get(one.body["scorer_version"]),
            one.body["action_endpoint_id"],
        )
        for one in records
    ]


def _guards(ground: Ground, records: list[Record]) -> list[GuardRecord]:
    wanted = sorted({one.body["guardrail_id"] for one in records})
    found = ground.stores.records.find(GUARDRAILS, wanted) if wanted else []
    shown = {one.guardrail_id: one for one in _shown(ground, found)}
    return [
        GuardRecord(
            one.parent,
            one.body["guardrail_id"],
            millis(one)[0],
            one.body["order"],
            shown.get(one.body["guardrail_id"]),
        )
        for one in records
    ]


_ALL = "/3.0/mlflow/gateway/guardrails"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_ALL}/create", request=_Create, handle=_create),
    Endpoint(method="GET", path=f"{_ALL}/get", request=_One, handle=_get),
    Endpoint(method="DELETE", path=f"{_ALL}/delete", request=_One, handle=_delete),
    Endpoint(method="GET", path=f"{_ALL}/list", request=_Page, handle=_list),
    Endpoint(method="POST", path=f"{_ALL}/add-to-endpoint", request=_Guard, handle=_add),
    Endpoint(method="PATCH", path=f"{_ALL}/update-config", request=_Guard, handle=_reorder),
    Endpoint(method="DELETE", path=f"{_ALL}/remove-from-endpoint", request=_Guard, handle=_remove),
    Endpoint(method="GET", path=f"{_ALL}/list-for-endpoint", request=_Guard, handle=_list_guards),
)
