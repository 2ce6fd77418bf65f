"""Tell events of the journal as MLflow's webhooks are told: which topic, and with what in it.

Source: MLflow's webhooks for the model registry and for prompts, signed as in Standard Webhooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.errors import NotFound
from interlock.core.refs import Ref
from interlock.ports.journal import Event
from interlock.ports.model_catalog import RegisteredModel, VersionNotes
from interlock.ports.stores import Stores
from interlock.server.mlflow.registered import IS_PROMPT, is_prompt
from interlock.server.webhooks.delivery import Language, Message

PROMPT_TEXT = "mlflow.prompt.text"
PROMPT_TYPE = "_mlflow_prompt_type"
TOPICS: dict[str, dict[str, Any]] = {
    "registered_model.created": {
        "name": "example_model",
        "tags": {"example_key": "example_value"},
        "description": "An example registered model",
    },
    "model_version.created": {
        "name": "example_model",
        "version": "1",
        "source": "models:/123",
        "run_id": "abcd1234abcd5678",
        "tags": {"example_key": "example_value"},
        "description": "An example model version",
    },
    "model_version_tag.set": {
        "name": "example_model",
        "version": "1",
        "key": "example_key",
        "value": "example_value",
    },
    "model_version_tag.deleted": {"name": "example_model", "version": "1", "key": "example_key"},
    "model_version_alias.created": {"name": "example_model", "alias": "example_alias", "version": "1"},
    "model_version_alias.deleted": {"name": "example_model", "alias": "example_alias"},
    "prompt.created": {
        "name": "example_prompt",
        "tags": {"example_key": "example_value"},
        "description": "An example prompt",
    },
    "prompt_version.created": {
        "name": "example_prompt",
        "version": "1",
        "template": "Hello {{name}}!",
        "tags": {"example_key": "example_value"},
        "description": "An example prompt version",
    },
    "prompt_tag.set": {"name": "example_prompt", "key": "example_key", "value": "example_value"},
    "prompt_tag.deleted": {"name": "example_prompt", "key": "example_key"},
    "prompt_version_tag.set": {
        "name": "example_prompt",
        "version": "1",
        "key": "example_key",
        "value": "example_value",
    },
    "prompt_version_tag.deleted": {"name": "example_prompt", "version": "1", "key": "example_key"},
    "prompt_alias.created": {"name": "example_prompt", "alias": "example_alias", "version": "1"},
    "prompt_alias.deleted": {"name": "example_prompt", "alias": "example_alias"},
    "budget_policy.exceeded": {
        "budget_policy_id": "bp-abc123",
        "budget_unit": "USD",
        "budget_amount": 100.0,
        "current_spend": 105.5,
        "duration_unit": "MONTHS",
        "duration_value": 1,
        "target_scope": "ENDPOINT",
        "workspace": "default",
        "target_value": "ep-abc123",
        "window_start": 1704067200000,
    },
}
"""Every topic that a webhook may have, and what a test of it says; of budgets nothing here ever tells."""

_UNSAID = (IS_PROMPT, PROMPT_TYPE)
_VERSION = "v1"


class _Told(msgspec.Struct, frozen=True):
    """What an event is about, as far as it is still there."""

    stores: Stores
    event: Event
    name: str
    number: int | None
    model: RegisteredModel | None

    @property
    def is_prompt(self) -> bool:
        return self.model is not None and is_prompt(self.model.tags)

    @property
    def version(self) -> str:
        return "" if self.number is None else str(self.number)

    def notes(self) -> VersionNotes | None:
        try:
            return None if self.number is None else self.stores.catalog.notes(self.name, self.number)
        except NotFound:
            return None


def messages(stores: Stores, event: Event) -> list[Message]:
    """Return what webhooks are told of an event."""
    ref = Ref.parse(event.subject, kind="model")
    try:
        model = stores.catalog.get(ref.name)
    except NotFound:
        model = None
    told = _Told(stores, event, ref.name, ref.number, model)
    return [_message(event, topic, data) for topic, data in _TELLERS[event.kind](told)]


def example(topic: str, *, at: Event) -> Message:
    """Return what a test of a webhook says."""
    return _message(at, topic, TOPICS[topic])


def headers(delivery: str, second: int, signature: str | None) -> dict[str, str]:
    """Return the headers by which a receiver knows a delivery, and that it is genuine."""
    found = {"X-MLflow-Delivery-Id": delivery, "X-MLflow-Timestamp": str(second)}
    return found if signature is None else {**found, "X-MLflow-Signature": f"{_VERSION},{signature}"}


def _message(event: Event, topic: str, data: Mapping[str, Any]) -> Message:
    entity, _, action = topic.partition(".")
    content = {"entity": entity, "action": action, "timestamp": event.time.isoformat(), "data": dict(data)}
    return Message(topic, content)


def _created(told: _Told) -> Iterator[tuple[str, dict[str, Any]]]:
    tags = dict(told.model.tags) if told.model is not None else {}
    description = told.model.description if told.model is not None else ""
    if told.is_prompt:
        tags = _without(tags, _UNSAID)
    topic = "prompt.created" if told.is_prompt else "registered_model.created"
    yield topic, {"name": told.name, "tags": tags, "description": description}


def _registered(told: _Told) -> Iterator[tuple[str, dict[str, Any]]]:
    notes = told.notes()
    tags = dict(notes.tags) if notes is not None else {}
    description = (notes.description if notes is not None else "") or None
    said: dict[str, Any] = {"name": told.name, "version": told.version}
    if told.is_prompt:
        said["template"] = tags.get(PROMPT_TEXT)
        tags = _without(tags, (*_UNSAID, PROMPT_TEXT))
        yield "prompt_version.created", {**said, "tags": tags, "description": description}
        return
    said["source"] = notes.source if notes is not None else ""
    said["run_id"] = notes.run if notes is not None else None
    yield "model_version.created", {**said, "tags": tags, "description": description}


def _model_updated(told: _Told) -> Iterator[tuple[str, dict[str, Any]]]:
    if told.is_prompt and told.model is not None:
        yield from _tags(told, "prompt_tag", {"name": told.name}, told.model.tags)


def _version_updated(told: _Told) -> Iterator[tuple[str, dict[str, Any]]]:
    notes = told.notes()
    entity = "prompt_version_tag" if told.is_prompt else "model_version_tag"
    said = {"name": told.name, "version": told.version}
    yield from _tags(told, entity, said, notes.tags if notes is not None else {})


def _alias_set(told: _Told) -> Iterator[tuple[str, dict[str, Any]]]:
    entity = "prompt_alias" if told.is_prompt else "model_version_alias"
    said = {"name": told.name, "alias": told.event.payload["alias"]}
    version = told.event.payload.get("version")
    if version is None:
        yield f"{entity}.deleted", said
    else:
        yield f"{entity}.created", {**said, "version": str(version)}


def _tags(
    told: _Told, entity: str, said: dict[str, Any], now: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what became of tags; one that was taken away again since is told of as taken away only."""
    for key in told.event.payload.get("tags", ()):
        if key in now:
            yield f"{entity}.set", {**said, "key": key, "value": now[key]}
    for key in told.event.payload.get("removed_tags", ()):
        yield f"{entity}.deleted", {**said, "key": key}


def _without(tags: Mapping[str, str], keys: Sequence[str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in keys}


_TELLERS: dict[str, Callable[[_Told], Iterator[tuple[str, dict[str, Any]]]]] = {
    "model.created": _created,
    "model.registered": _registered,
    "model.updated": _model_updated,
    "model.version_updated": _version_updated,
    "model.alias_set": _alias_set,
}

LANGUAGE = Language(kinds=tuple(_TELLERS), messages=messages, headers=headers)
"""How MLflow's webhooks are told."""
