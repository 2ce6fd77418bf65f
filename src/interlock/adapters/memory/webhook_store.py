"""Keep webhooks in a dictionary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.records import settled
from interlock.core.clock import Clock, aware
from interlock.ports.checks import check_limit
from interlock.ports.webhook_rules import (
    changed,
    check_webhook,
    signature,
    since_of,
    told,
    unknown_webhook,
    webhook_taken,
)
from interlock.ports.webhook_store import Progress, Webhook, WebhookChange, WebhookStore


@dataclass
class _Entry:
    webhook: Webhook
    secret: str
    cursor: int
    since: dict[str, int]
    attempts: int = 0
    retry_at: datetime | None = None


class MemoryWebhookStore(WebhookStore):
    """Webhooks in memory."""

    def __init__(self, journal: MemoryJournal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def create(self, webhook: Webhook, *, secret: str = "") -> Webhook:
        check_webhook(webhook, secret=secret)
        with self._journal.lock:
            if webhook.id in self._entries:
                raise webhook_taken(webhook.id)
            now = self._clock.now()
            new = settled(msgspec.structs.replace(webhook, created_at=now, updated_at=now, signed=bool(secret)))
            seq = self._journal.append("webhook.created", f"webhook:{new.id}", payload=told(new)).seq
            self._entries[new.id] = _Entry(new, secret, seq, since_of(None, new, {}, now_seq=seq))
            return new

    def get(self, webhook_id: str) -> Webhook:
        with self._journal.lock:
            return self._known(webhook_id).webhook

    def webhooks(self, *, after: str | None = None, limit: int = 100) -> list[Webhook]:
        check_limit(limit)
        with self._journal.lock:
            ids = list(self._entries)[::-1]
            if after is not None:
                self._known(after)
                ids = ids[ids.index(after) + 1 :]
            return [self._entries[one].webhook for one in ids[:limit]]

    def update(self, webhook_id: str, change: WebhookChange) -> Webhook:
        with self._journal.lock:
            entry = self._known(webhook_id)
            before = entry.webhook
            after = settled(changed(before, change, now=self._clock.now()))
            if after == before and change.secret is None:
                return before
            seq = self._journal.append("webhook.updated", f"webhook:{webhook_id}", payload=told(after)).seq
            entry.webhook = after
            entry.since = since_of(before, after, entry.since, now_seq=seq)
            entry.secret = entry.secret if change.secret is None else change.secret
            if not before.active and after.active:
                entry.cursor, entry.attempts, entry.retry_at = seq, 0, None
            return after

    def delete(self, webhook_id: str) -> None:
        with self._journal.lock:
            gone = self._known(webhook_id).webhook
            del self._entries[webhook_id]
            self._journal.append("webhook.deleted", f"webhook:{webhook_id}", payload=told(gone))

    def sign(self, webhook_id: str, message: bytes) -> bytes | None:
        with self._journal.lock:
            return signature(self._known(webhook_id).secret, message)

    def progress(self) -> list[Progress]:
        with self._journal.lock:
            return [
                Progress(one.webhook, one.cursor, dict(one.since), one.attempts, one.retry_at)
                for one in self._entries.values()
                if one.webhook.active
            ]

    def advance(self, webhook_id: str, *, expect: int, to: int, gave_up: str = "") -> bool:
        with self._journal.lock:
            entry = self._entries.get(webhook_id)
            if entry is None or entry.cursor != expect:
                return False
            entry.cursor, entry.attempts, entry.retry_at = to, 0, None
            if gave_up:
                self._journal.append(
                    "webhook.gave_up", f"webhook:{webhook_id}", payload={"event": to, "because": gave_up}
                )
            return True

    def postpone(self, webhook_id: str, *, expect: int, attempts: int, retry_at: datetime) -> bool:
        moment = aware(retry_at)
        with self._journal.lock:
            entry = self._entries.get(webhook_id)
            if entry is None or entry.cursor != expect:
                return False
            entry.attempts, entry.retry_at = attempts, moment
            return True

    def _known(self, webhook_id: str) -> _Entry:
        if webhook_id not in self._entries:
            raise unknown_webhook(webhook_id)
        return self._entries[webhook_id]
