"""Answer MLflow's endpoints for the secrets of a gateway: what comes in is sealed, and never given back.

A secret is one or several values, such as an API key, or the two halves of a cloud's credentials.
"""

from __future__ import annotations

import os
from uuid import uuid4

import msgspec

from interlock.core.sealing import PASSPHRASES
from interlock.ports.checks import check_key, check_text
from interlock.ports.record_store import Record
from interlock.server.http import Response
from interlock.server.mlflow.gateway_records import SECRETS, known, no_such
from interlock.server.mlflow.kept_records import Body, changed_record, every_record, millis
from interlock.server.mlflow.unique_names import delete_named, find_owner, put_named
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, invalid, missing, required

LARGEST_SECRET_BYTES = 64 * 1024
_SHORTEST_SHOWN = 12
_STEERING = ("api_base", "base_url", "custom_llm_provider", "fallbacks", "model_list")
"""Settings of clients' libraries that choose where requests go; of those only the first, and never among secrets."""


class SecretRecord(msgspec.Struct, omit_defaults=True):
    """One secret, with its values masked."""

    secret_id: str
    secret_name: str
    created_at: int
    last_updated_at: int
    masked_values: dict[str, str] = {}
    provider: str | None = None
    created_by: str | None = None
    last_updated_by: str | None = None
    auth_config: dict[str, str] = {}


class SecretAnswer(msgspec.Struct, frozen=True):
    """One secret."""

    secret: SecretRecord


class SecretsAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some secrets."""

    secrets: list[SecretRecord] = []


class _Create(msgspec.Struct):
    secret_name: str = ""
    secret_value: dict[str, str] = {}
    provider: str | None = None
    auth_config: dict[str, str] = {}
    created_by: str | None = None


class _Update(msgspec.Struct):
    secret_id: str = ""
    secret_value: dict[str, str] = {}
    auth_config: dict[str, str] = {}
    updated_by: str | None = None


class _One(msgspec.Struct):
    secret_id: str = ""
    secret_name: str = ""


class _List(msgspec.Struct):
    provider: str | None = None


class _Nothing(msgspec.Struct):
    pass


def _create(ground: Ground, asked: _Create) -> SecretAnswer:
    for name in ("secret_name", "secret_value"):
        if not getattr(asked, name):
            raise required(name)
    check_key(asked.secret_name, of="name of a secret")
    secret_id = f"s-{uuid4().hex}"
    body = {
        "name": asked.secret_name,
        "provider": asked.provider or None,
        "auth_config": _settings(asked.auth_config),
        "created_by": asked.created_by or None,
        "updated_by": asked.created_by or None,
        **_sealed(ground, secret_id, asked.secret_value),
    }
    return SecretAnswer(_shown(put_named(ground, Record(SECRETS, secret_id, body), what="Secret")))


def _get(ground: Ground, asked: _One) -> SecretAnswer:
    if bool(asked.secret_id) == bool(asked.secret_name):
        raise invalid("Exactly one of secret_id or secret_name must be provided")
    owner = asked.secret_id or find_owner(ground, SECRETS, asked.secret_name)
    if owner is None:
        raise missing(f"GatewaySecret not found (secret_name='{asked.secret_name[:120]}')")
    return SecretAnswer(_shown(known(ground, SECRETS, owner)))


def _update(ground: Ground, asked: _Update) -> SecretAnswer:
    if not asked.secret_id:
        raise required("secret_id")
    changed: Body = {"updated_by": asked.updated_by or None}
    if asked.secret_value:
        changed |= _sealed(ground, asked.secret_id, asked.secret_value)
    if asked.auth_config:
        changed["auth_config"] = _settings(asked.auth_config)
    record = changed_record(
        ground, SECRETS, asked.secret_id, lambda: no_such(SECRETS, asked.secret_id), lambda body: {**body, **changed}
    )
    return SecretAnswer(_shown(record))


def _delete(ground: Ground, asked: _One) -> Response:
    delete_named(ground, known(ground, SECRETS, asked.secret_id))
    return DONE


def _list(ground: Ground, asked: _List) -> SecretsAnswer:
    found = (_shown(one) for one in every_record(ground, SECRETS))
    return SecretsAnswer([one for one in found if asked.provider in (None, "", one.provider)])


def _config(ground: Ground, asked: _Nothing) -> dict[str, bool]:
    """Say whether secrets can be kept, and whether the operator has set no passphrase of their own for them.

    Without a passphrase they are sealed with a random key that lies beside the workspace, never with a known one.
    """
    return {
        "secrets_available": True,
        "using_default_passphrase": not any(os.environ.get(name) for name in PASSPHRASES),
    }


def _sealed(ground: Ground, secret_id: str, values: dict[str, str]) -> Body:
    for key, value in values.items():
        check_key(key, of="key of a secret")
        check_text(value, of=f"value of '{key[:80]}'")
        if key in _STEERING:
            raise _steering("secret_value", key)
    plain = msgspec.json.encode(values)
    if len(plain) > LARGEST_SECRET_BYTES:
        raise invalid(f"The secret is too large: at most {LARGEST_SECRET_BYTES} bytes are taken.")
    return {
        "sealed": ground.seal.close(plain.decode(), of=secret_id),
        "masked": {key: _masked(value) for key, value in values.items()},
    }


def _settings(settings: dict[str, str]) -> dict[str, str]:
    for key, value in settings.items():
        check_key(key, of="key of 'auth_config'")
        check_text(value, of=f"value of '{key[:80]}'")
        if key in _STEERING[1:]:
            raise _steering("auth_config", key)
    if len(msgspec.json.encode(settings)) > LARGEST_SECRET_BYTES:
        raise invalid(f"auth_config is too large: at most {LARGEST_SECRET_BYTES} bytes are taken.")
    return {key: value for key, value in settings.items() if key != "api_base" or value.strip()}


def _steering(field: str, key: str) -> Failure:
    return invalid(
        f"{field} must not contain '{key}': it chooses where requests are sent. Set 'api_base' in auth_config."
    )


def _masked(value: str) -> str:
    """Return enough of a value to tell it from others, and nothing of a short one."""
    return f"{value[:3]}...{value[-4:]}" if len(value) >= _SHORTEST_SHOWN else "***"


def _shown(record: Record) -> SecretRecord:
    body = record.body
    created, updated = millis(record)
    return SecretRecord(
        secret_id=record.id,
        secret_name=body["name"],
        created_at=created,
        last_updated_at=updated,
        masked_values=body["masked"],
        provider=body["provider"],
        created_by=body["created_by"],
        last_updated_by=body["updated_by"],
        auth_config=body["auth_config"],
    )


_ALL = "/3.0/mlflow/gateway/secrets"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=f"{_ALL}/create", request=_Create, handle=_create),
    Endpoint(method="GET", path=f"{_ALL}/get", request=_One, handle=_get),
    Endpoint(method="POST", path=f"{_ALL}/update", request=_Update, handle=_update),
    Endpoint(method="DELETE", path=f"{_ALL}/delete", request=_One, handle=_delete),
    Endpoint(method="GET", path=f"{_ALL}/list", request=_List, handle=_list),
    Endpoint(method="GET", path=f"{_ALL}/config", request=_Nothing, handle=_config),
)
