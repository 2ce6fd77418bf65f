"""Port: webhooks, the addresses of others that want to be told of events, and how far each has been told."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

import msgspec


class Webhook(msgspec.Struct, frozen=True):
    """An address that is told of events; its Ref is `webhook:<id>`.

    Args:
        id: Its id; comes from the caller.
        name: A name for people.
        url: Where events are posted.
        topics: What it is told of, in the words of the protocol that made it (`model_version.created`).
        created_at: When it was made; set by the store.
        updated_at: When it last changed; set by the store.
        description: What it is for.
        active: Whether it is told anything now.
        signed: Whether it has a secret, with which what it is told is signed; set by the store.
    """

    id: str
    name: str
    url: str
    topics: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    description: str = ""
    active: bool = True
    signed: bool = False


class WebhookChange(msgspec.Struct, frozen=True):
    """What to change of a webhook; what is None stays, and the empty secret takes the secret away."""

    name: str | None = None
    url: str | None = None
    topics: tuple[str, ...] | None = None
    description: str | None = None
    active: bool | None = None
    secret: str | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far an active webhook has been told.

    Args:
        webhook: The webhook.
        cursor: The `seq` of the journal up to which it has been.
        since: For each of its topics the `seq` after which it wants to be told of it.
        attempts: How often telling it of the next event failed.
        retry_at: When to try again, after a failure.
    """

    webhook: Webhook
    cursor: int
    since: dict[str, int] = {}
    attempts: int = 0
    retry_at: datetime | None = None


class WebhookStore(Protocol):
    """Webhooks.

    Thread-safe and process-safe; every method is one transaction with its events. Unknown ids raise `NotFound`, an id
    used before `Conflict`. A secret is never given back: the store itself signs. A new webhook, a topic added later,
    and a webhook made active again begin with what happens from then on. `advance` and `postpone` are
    compare-and-swap on the cursor, so that of several processes one counts an event as told.

    Events: `webhook.created`, `webhook.updated`, `webhook.deleted`, and `webhook.gave_up` (written by `advance` when
    `gave_up` is given; payload: what it says).
    """

    @abstractmethod
    def create(self, webhook: Webhook, *, secret: str = "") -> Webhook:
        """Add a webhook."""

    @abstractmethod
    def get(self, webhook_id: str) -> Webhook:
        """Return a webhook."""

    @abstractmethod
    def webhooks(self, *, after: str | None = None, limit: int = 100) -> list[Webhook]:
        """List webhooks, newest first; `after` is the id that ended the page before."""

    @abstractmethod
    def update(self, webhook_id: str, change: WebhookChange) -> Webhook:
        """Change a webhook."""

    @abstractmethod
    def delete(self, webhook_id: str) -> None:
        """Forget a webhook."""

    @abstractmethod
    def sign(self, webhook_id: str, message: bytes) -> bytes | None:
        """Return the HMAC-SHA256 of a message under the webhook's secret, or None where it has none."""

    @abstractmethod
    def progress(self) -> list[Progress]:
        """Return how far each active webhook has been told, oldest first."""

    @abstractmethod
    def advance(self, webhook_id: str, *, expect: int, to: int, gave_up: str = "") -> bool:
        """Count the events up to one as told; return whether this call did.

        Args:
            webhook_id: Which webhook.
            expect: Where its cursor stands.
            to: Where it is to stand.
            gave_up: Why the last of them was in truth not told.
        """

    @abstractmethod
    def postpone(self, webhook_id: str, *, expect: int, attempts: int, retry_at: datetime) -> bool:
        """Note that telling the next event failed; return whether the cursor still stood there."""
