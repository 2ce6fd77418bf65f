"""What every webhook store refuses, and what a change comes to."""

from __future__ import annotations

import hmac
from datetime import datetime

import msgspec

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.core.refs import check_name
from interlock.ports.checks import check_key, check_text
from interlock.ports.webhook_store import Webhook, WebhookChange

MOST_TOPICS = 100
LONGEST_URL = 2000
LONGEST_SECRET = 1000


def check_webhook(webhook: Webhook, *, secret: str) -> None:
    """Refuse a webhook that cannot be kept."""
    check_name(webhook.id, of="webhook")
    check_key(webhook.name, of="name of a webhook")
    check_text(webhook.description, of="description of a webhook")
    check_text(secret, of="secret of a webhook")
    if not 1 <= len(webhook.url) <= LONGEST_URL:
        raise InvalidInput(f"{webhook.url!r:.80} cannot be told", why=f"expected 1 to {LONGEST_URL} characters")
    check_text(webhook.url, of="address of a webhook")
    if not 1 <= len(webhook.topics) <= MOST_TOPICS or len(set(webhook.topics)) < len(webhook.topics):
        raise InvalidInput("a webhook cannot have these topics", why=f"expected 1 to {MOST_TOPICS}, each once")
    for topic in webhook.topics:
        check_key(topic, of="topic of a webhook")
    if len(secret) > LONGEST_SECRET:
        raise InvalidInput("the secret is too long", why=f"expected up to {LONGEST_SECRET} characters")


def changed(before: Webhook, change: WebhookChange, *, now: datetime) -> Webhook:
    """Return a webhook as a change leaves it; changing nothing leaves it as it was."""
    after = msgspec.structs.replace(
        before,
        name=before.name if change.name is None else change.name,
        url=before.url if change.url is None else change.url,
        topics=before.topics if change.topics is None else tuple(change.topics),
        description=before.description if change.description is None else change.description,
        active=before.active if change.active is None else change.active,
        signed=before.signed if change.secret is None else bool(change.secret),
    )
    check_webhook(after, secret=change.secret or "")
    if after == before and change.secret is None:
        return before
    return msgspec.structs.replace(after, updated_at=now)


def since_of(before: Webhook | None, after: Webhook, since: dict[str, int], *, now_seq: int) -> dict[str, int]:
    """Return from where on a webhook is told of each topic: from now on, where it was not before."""
    kept = since if before is not None and before.active else {}
    return {topic: kept.get(topic, now_seq) for topic in after.topics}


def signature(secret: str, message: bytes) -> bytes | None:
    """Return the HMAC-SHA256 of a message, or None without a secret."""
    return hmac.digest(secret.encode(), message, "sha256") if secret else None


def unknown_webhook(webhook_id: str) -> NotFound:
    """Build the error for an id that names no webhook."""
    return NotFound(f"there is no webhook '{webhook_id}'")


def webhook_taken(webhook_id: str) -> Conflict:
    """Build the error for an id that is in use."""
    return Conflict(f"webhook '{webhook_id}' exists", why="an id is used once")


def told(webhook: Webhook) -> dict[str, object]:
    """Return what the events of a webhook tell of it; its address may hold secrets of others."""
    return {"name": webhook.name, "topics": list(webhook.topics), "active": webhook.active}
