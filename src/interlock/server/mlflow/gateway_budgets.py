"""Answer MLflow's endpoints for budgets of a gateway: how much may be spent, by whom, within which time.

They are kept for whoever calls the models. As nothing is sent to a provider from here, nothing is spent here either.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import Any
from uuid import uuid4

import msgspec

from interlock.ports.checks import check_key
from interlock.ports.record_store import Record
from interlock.server.http import Response
from interlock.server.mlflow.enum_words import word
from interlock.server.mlflow.gateway_records import BUDGETS, ENDPOINTS_KEPT, known, no_such
from interlock.server.mlflow.kept_records import Body, changed_record, every_record, millis
from interlock.server.mlflow.wire import DONE, Endpoint, Ground, invalid, required

MOST_LISTED = 1000
_UNITS = ("BUDGET_UNIT_UNSPECIFIED", "USD")
_DURATIONS = ("DURATION_UNIT_UNSPECIFIED", "MINUTES", "HOURS", "DAYS", "WEEKS", "MONTHS")
_SCOPES = ("TARGET_SCOPE_UNSPECIFIED", "GLOBAL", "WORKSPACE", "ENDPOINT", "USER")
_ACTIONS = ("BUDGET_ACTION_UNSPECIFIED", "ALERT", "REJECT")
_LONGEST = 100_000


class Duration(msgspec.Struct):
    """A span of time."""

    unit: str | int = 0
    value: int = 0


class BudgetRecord(msgspec.Struct, omit_defaults=True):
    """One budget."""

    budget_policy_id: str
    budget_unit: str
    budget_amount: float
    duration: dict[str, Any]
    target_scope: str
    budget_action: str
    created_at: int
    last_updated_at: int
    target_value: str | None = None
    created_by: str | None = None
    last_updated_by: str | None = None


class BudgetAnswer(msgspec.Struct, frozen=True):
    """One budget."""

    budget_policy: BudgetRecord


class BudgetsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of budgets."""

    budget_policies: list[BudgetRecord] = []
    next_page_token: str = ""


class _Budget(msgspec.Struct):
    budget_policy_id: str = ""
    budget_unit: str | int | None = None
    budget_amount: float | None = None
    duration: Duration | None = None
    target_scope: str | int | None = None
    budget_action: str | int | None = None
    target_value: str = ""
    created_by: str | None = None
    updated_by: str | None = None


class _One(msgspec.Struct):
    budget_policy_id: str = ""


class _Page(msgspec.Struct):
    max_results: int | None = None
    page_token: str = ""


class _Nothing(msgspec.Struct):
    pass


def _create(ground: Ground, asked: _Budget) -> BudgetAnswer:
    for name in ("budget_unit", "budget_amount", "duration", "target_scope", "budget_action"):
        if getattr(asked, name) is None:
            raise required(name)
    by = asked.created_by or None
    body = {**_given(asked), "created_by": by, "updated_by": by}
    _check_target(ground, body)
    (made,) = ground.stores.records.put([Record(BUDGETS, f"bp-{uuid4().hex}", body)])
    return BudgetAnswer(_shown(made))


def _get(ground: Ground, asked: _One) -> BudgetAnswer:
    return BudgetAnswer(_shown(known(ground, BUDGETS, asked.budget_policy_id)))


def _update(ground: Ground, asked: _Budget) -> BudgetAnswer:
    if not asked.budget_policy_id:
        raise required("budget_policy_id")
    given = {name: value for name, value in _given(asked).items() if value is not None}
    if asked.updated_by:
        given["updated_by"] = asked.updated_by

    def change(body: Body) -> Body:
        after = {**body, **given}
        if after["scope"] != body["scope"] and not asked.target_value:
            after["target"] = None  # what is an endpoint's id is nobody's name
        _check_target(ground, after)
        return after

    failure = no_such(BUDGETS, asked.budget_policy_id)
    return BudgetAnswer(_shown(changed_record(ground, BUDGETS, asked.budget_policy_id, lambda: failure, change)))


def _delete(ground: Ground, asked: _One) -> Response:
    ground.stores.records.delete(BUDGETS, record_ids=[known(ground, BUDGETS, asked.budget_policy_id).id])
    return DONE


def _list(ground: Ground, asked: _Page) -> BudgetsAnswer:
    records, token = record_page(ground, BUDGETS, asked.max_results, asked.page_token)
    return BudgetsAnswer([_shown(one) for one in records], token)


def _windows(ground: Ground, asked: _Nothing) -> dict[str, Any]:
    """Return what was spent in the windows that run now: none is watched, as nothing is spent here."""
    return {}


def record_page(ground: Ground, collection: str, most: int | None, token: str) -> tuple[list[Record], str]:
    """Return one page of a collection in the order it was written in, and the token of the next."""
    limit = MOST_LISTED if most is None else most
    if not 1 <= limit <= MOST_LISTED:
        raise invalid(f"Invalid value {limit} for parameter 'max_results': expected 1 to {MOST_LISTED}.")
    if token and not (token.isascii() and token.isdecimal() and len(token) < 19):
        raise invalid("Invalid page token.")
    after = int(token or "0")
    found = list(islice((one for one in every_record(ground, collection) if one.seq > after), limit + 1))
    return found[:limit], str(found[limit - 1].seq) if len(found) > limit else ""


def _given(asked: _Budget) -> Body:
    """Return what a request says; None where it says nothing."""
    amount, duration = asked.budget_amount, asked.duration
    if amount is not None and not (math.isfinite(amount) and amount >= 0):
        raise invalid(f"Invalid budget_amount {amount}: expected a number of at least 0.")
    if duration is not None and not 1 <= duration.value <= _LONGEST:
        raise invalid(f"duration.value must be a positive integer, got {duration.value}")
    if asked.target_value:
        check_key(asked.target_value, of="target of a budget")
    return {
        "unit": word(asked.budget_unit, _UNITS, of="budget_unit"),
        "amount": amount,
        "duration": None
        if duration is None
        else {"unit": word(duration.unit, _DURATIONS, of="duration.unit"), "value": duration.value},
        "scope": word(asked.target_scope, _SCOPES, of="target_scope"),
        "action": word(asked.budget_action, _ACTIONS, of="budget_action"),
        "target": asked.target_value or None,
    }


def _check_target(ground: Ground, body: Body) -> None:
    scope, target = body["scope"], body["target"]
    if scope == "USER":
        raise invalid(
            "USER-scoped budget policies cannot be kept: this server knows no users that it could attribute requests"
            " to. Use target_scope GLOBAL or ENDPOINT."
        )
    if scope == "ENDPOINT":
        if not target:
            raise invalid("target_value is required when target_scope is ENDPOINT.")
        known(ground, ENDPOINTS_KEPT, target)
    elif target:
        raise invalid("target_value can only be set when target_scope is ENDPOINT or USER.")


def _shown(record: Record) -> BudgetRecord:
    body = record.body
    created, updated = millis(record)
    return BudgetRecord(
        budget_policy_id=record.id,
        budget_unit=body["unit"],
        budget_amount=body["amount"],
        duration=body["duration"],
        target_scope=body["scope"],
        budget_action=body["action"],
        created_at=created,
        last_updated_at=updated,
        target_value=body["target"],
        created_by=body["created_by"],
        last_updated_by=body["updated_by"],
    )


_ALL = "/3.0/mlflow/gateway/budgets"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_ALL}/create", request=_Budget, handle=_create),
    Endpoint(method="GET", path=f"{_ALL}/get", request=_One, handle=_get),
    Endpoint(method="POST", path=f"{_ALL}/update", request=_Budget, handle=_update),
    Endpoint(method="DELETE", path=f"{_ALL}/delete", request=_One, handle=_delete),
    Endpoint(method="GET", path=f"{_ALL}/list", request=_Page, handle=_list),
    Endpoint(method="GET", path=f"{_ALL}/windows", request=_Nothing, handle=_windows),
)
