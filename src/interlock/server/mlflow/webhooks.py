"""Answer MLflow's endpoints for webhooks: make, show, change, delete and test them."""

from __future__ import annotations

import re
from uuid import uuid4

import msgspec

from interlock.core.clock import to_micros
from interlock.core.errors import InterlockError, NotFound
from interlock.core.ids import new_id
from interlock.ports.journal import Event
from interlock.ports.webhook_store import Webhook, WebhookChange
from interlock.server.http import Response
from interlock.server.mlflow.webhook_topics import LANGUAGE, TOPICS, example
from interlock.server.mlflow.wire import DONE, Endpoint, Failure, Ground, invalid, missing, required
from interlock.server.webhooks.addresses import private_allowed, read_url
from interlock.server.webhooks.delivery import deliver, judged
from interlock.server.webhooks.posting import post

MOST_LISTED = 1000
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_STATUSES = ("ACTIVE", "DISABLED")
_ENTITIES = (
    "ENTITY_UNSPECIFIED",
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
    "BUDGET_POLICY",
)
_ACTIONS = ("ACTION_UNSPECIFIED", "CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED")


class EventRecord(msgspec.Struct):
    """One topic, as MLflow writes it: what something happened to, and what."""

    entity: str | int = "ENTITY_UNSPECIFIED"
    action: str | int = "ACTION_UNSPECIFIED"


class WebhookRecord(msgspec.Struct, omit_defaults=True):
    """One webhook; its secret is never shown."""

    webhook_id: str
    name: str
    url: str
    events: list[EventRecord]
    status: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""


class TestRecord(msgspec.Struct, omit_defaults=True):
    """What came of a test."""

    success: bool
    response_status: int | None = None
    response_body: str = ""
    error_message: str = ""


class WebhookAnswer(msgspec.Struct, frozen=True):
    """One webhook."""

    webhook: WebhookRecord


class WebhooksAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of webhooks."""

    webhooks: list[WebhookRecord] = []
    next_page_token: str = ""


class TestAnswer(msgspec.Struct, frozen=True):
    """What came of a test."""

    result: TestRecord


class _Create(msgspec.Struct):
    name: str = ""
    url: str = ""
    events: list[EventRecord] = []
    description: str = ""
    secret: str = ""
    status: str | int | None = None


class _List(msgspec.Struct):
    max_results: int | None = None
    page_token: str = ""


class _OneWebhook(msgspec.Struct):
    webhook_id: str = ""


class _Update(msgspec.Struct):
    webhook_id: str = ""
    name: str = ""
    url: str = ""
    events: list[EventRecord] = []
    description: str | None = None
    secret: str | None = None
    status: str | int | None = None


class _Test(msgspec.Struct):
    webhook_id: str = ""
    event: EventRecord | None = None


def _create(ground: Ground, asked: _Create) -> WebhookAnswer:
    for name in ("name", "url", "events"):
        if not getattr(asked, name):
            raise required(name)
    now = ground.clock.now()
    webhook = Webhook(
        id=str(uuid4()),
        name=_name(asked.name),
        url=_url(asked.url),
        topics=_topics(asked.events),
        created_at=now,
        updated_at=now,
        description=asked.description,
        active=_is_active(asked.status),
    )
    return WebhookAnswer(_record(ground.stores.webhooks.create(webhook, secret=asked.secret)))


def _list(ground: Ground, asked: _List) -> WebhooksAnswer:
    most = 100 if asked.max_results is None else asked.max_results
    if not 1 <= most <= MOST_LISTED:
        raise invalid(f"max_results must be between 1 and {MOST_LISTED}.")
    try:
        found = ground.stores.webhooks.webhooks(after=asked.page_token or None, limit=most + 1)
    except NotFound:
        raise invalid("Invalid page token: the webhook it names is gone.") from None
    more = found[most - 1].id if len(found) > most else ""
    return WebhooksAnswer([_record(one) for one in found[:most]], more)


def _get(ground: Ground, asked: _OneWebhook) -> WebhookAnswer:
    return WebhookAnswer(_record(_known(ground, asked.webhook_id)))


def _update(ground: Ground, asked: _Update) -> WebhookAnswer:
    _known(ground, asked.webhook_id)
    change = WebhookChange(
        name=_name(asked.name) if asked.name else None,
        url=_url(asked.url) if asked.url else None,
        topics=_topics(asked.events) if asked.events else None,
        description=asked.description,
        active=None if asked.status is None else _is_active(asked.status),
        secret=asked.secret,
    )
    try:
        return WebhookAnswer(_record(ground.stores.webhooks.update(asked.webhook_id, change)))
    except NotFound:
        raise _no_webhook(asked.webhook_id) from None


def _delete(ground: Ground, asked: _OneWebhook) -> Response:
    try:
        ground.stores.webhooks.delete(asked.webhook_id)
    except NotFound:
        raise _no_webhook(asked.webhook_id) from None
    return DONE


def _test(ground: Ground, asked: _Test) -> TestAnswer:
    webhook = _known(ground, asked.webhook_id)
    topic = webhook.topics[0] if asked.event is None else _topics([asked.event])[0]
    now = ground.clock.now()
    test = Event(0, new_id(), now, "webhook.tested", f"webhook:{webhook.id}", "user", {})
    private = private_allowed()
    try:
        answer = deliver(
            ground.stores,
            LANGUAGE,
            webhook,
            str(uuid4()),
            example(topic, at=test),
            ground.clock,
            lambda url, body, headers: post(url, body, headers, private=private),
        )
    except InterlockError as error:
        return TestAnswer(TestRecord(False, error_message=f"Failed to test webhook: {error.what}: {error.why}"))
    trouble, _ = judged(answer)
    return TestAnswer(TestRecord(not trouble, answer.status, answer.body))


def _record(webhook: Webhook) -> WebhookRecord:
    return WebhookRecord(
        webhook_id=webhook.id,
        name=webhook.name,
        url=webhook.url,
        events=[EventRecord(*topic.upper().split(".", 1)) for topic in webhook.topics],
        status=_STATUSES[not webhook.active],
        creation_timestamp=to_micros(webhook.created_at) // 1000,
        last_updated_timestamp=to_micros(webhook.updated_at) // 1000,
        description=webhook.description,
    )


def _known(ground: Ground, webhook_id: str) -> Webhook:
    try:
        return ground.stores.webhooks.get(webhook_id)
    except NotFound:
        raise _no_webhook(webhook_id) from None


def _no_webhook(webhook_id: str) -> Failure:
    return missing(f"Webhook with ID {webhook_id[:120]} not found.")


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Webhook name {name[:80]!r} is invalid. It must start and end with a letter or digit, be less than 63"
            " characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-)."
        )
    return name


def _url(url: str) -> str:
    try:
        read_url(url, private=private_allowed())
    except InterlockError as error:
        raise invalid(f"{error.what}: {error.why}") from error
    return url


def _topics(events: list[EventRecord]) -> tuple[str, ...]:
    found = []
    for one in events:
        topic = f"{_word(one.entity, _ENTITIES)}.{_word(one.action, _ACTIONS)}".lower()
        if topic not in TOPICS:
            raise invalid(f"Invalid webhook event '{topic}'. Valid events are: {', '.join(TOPICS)}")
        found.append(topic)
    return tuple(dict.fromkeys(found))


def _word(value: str | int, words: tuple[str, ...]) -> str:
    if isinstance(value, int) and 0 <= value < len(words):
        return words[value]
    return str(value)[:80]


def _is_active(status: str | int | None) -> bool:
    word = "ACTIVE" if status is None else _word(status, ("UNSPECIFIED", *_STATUSES))
    if word not in _STATUSES:
        raise invalid(f"Invalid webhook status '{word}'. Valid statuses are: {', '.join(_STATUSES)}")
    return word == "ACTIVE"


_PATH = "/2.0/mlflow/webhooks"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(method="POST", path=_PATH, request=_Create, handle=_create),
    Endpoint(method="GET", path=_PATH, request=_List, handle=_list),
    Endpoint(method="GET", path=f"{_PATH}/{{webhook_id}}", request=_OneWebhook, handle=_get),
    Endpoint(method="PATCH", path=f"{_PATH}/{{webhook_id}}", request=_Update, handle=_update),
    Endpoint(method="DELETE", path=f"{_PATH}/{{webhook_id}}", request=_OneWebhook, handle=_delete),
    Endpoint(method="POST", path=f"{_PATH}/{{webhook_id}}/test", request=_Test, handle=_test),
)
