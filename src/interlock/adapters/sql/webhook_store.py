"""Keep webhooks in SQL."""

from __future__ import annotations

from datetime import datetime

import msgspec

from interlock.adapters.sql.database import Database, Readable, Row, encode
from interlock.core.clock import aware, from_micros, to_micros
from interlock.core.sealing import Seal, is_sealed
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

SCHEMA = (
    """CREATE TABLE webhooks (
        seq AUTOSEQ, id TEXT NOT NULL UNIQUE, active INTEGER NOT NULL, secret TEXT NOT NULL, cursor INTEGER NOT NULL,
        since BLOB NOT NULL, attempts INTEGER NOT NULL, retry_at INTEGER, record BLOB NOT NULL)""",
)

_decode = msgspec.msgpack.Decoder(Webhook).decode
_decode_since = msgspec.msgpack.Decoder(dict[str, int]).decode


class SqlWebhookStore(WebhookStore):
    """Webhooks in one table; the secret has a column of its own, which nothing gives back.

    Args:
        database: Where they are kept.
        seal: What seals secrets on their way in. One that was kept before there was a seal stays as it is until it is
            set again.
    """

    def __init__(self, database: Database, *, seal: Seal | None = None) -> None:
        self._database = database
        self._seal = seal

    def create(self, webhook: Webhook, *, secret: str = "") -> Webhook:
        check_webhook(webhook, secret=secret)
        with self._database.write() as tx:
            if tx.one("SELECT 1 FROM webhooks WHERE id = ?", (webhook.id,)):
                raise webhook_taken(webhook.id)
            now = self._database.clock.now()
            record = encode(msgspec.structs.replace(webhook, created_at=now, updated_at=now, signed=bool(secret)))
            new = _decode(record)
            seq = tx.event("webhook.created", f"webhook:{new.id}", told(new)).seq
            since = encode(since_of(None, new, {}, now_seq=seq))
            tx.execute(
                """INSERT INTO webhooks (id, active, secret, cursor, since, attempts, record)
                   VALUES (?, ?, ?, ?, ?, 0, ?)""",
                (new.id, int(new.active), self._sealed(new.id, secret), seq, since, record),
            )
            return new

    def get(self, webhook_id: str) -> Webhook:
        return _get(self._database, webhook_id)

    def webhooks(self, *, after: str | None = None, limit: int = 100) -> list[Webhook]:
        check_limit(limit)
        before = 2**63 - 1
        if after is not None:
            row = self._database.one("SELECT seq FROM webhooks WHERE id = ?", (after,))
            if row is None:
                raise unknown_webhook(after)
            before = row[0]
        rows = self._database.query(
            "SELECT record FROM webhooks WHERE seq < ? ORDER BY seq DESC LIMIT ?", (before, limit)
        )
        return [_decode(record) for (record,) in rows]

    def update(self, webhook_id: str, change: WebhookChange) -> Webhook:
        with self._database.write() as tx:
            before = _get(tx, webhook_id)
            record = encode(changed(before, change, now=self._database.clock.now()))
            after = _decode(record)
            if after == before and change.secret is None:
                return before
            seq = tx.event("webhook.updated", f"webhook:{webhook_id}", told(after)).seq
            row = tx.one("SELECT since FROM webhooks WHERE id = ?", (webhook_id,))
            assert row is not None
            since = since_of(before, after, _decode_since(row[0]), now_seq=seq)
            tx.execute(
                "UPDATE webhooks SET active = ?, since = ?, record = ? WHERE id = ?",
                (int(after.active), encode(since), record, webhook_id),
            )
            if change.secret is not None:
                sealed = self._sealed(webhook_id, change.secret)
                tx.execute("UPDATE webhooks SET secret = ? WHERE id = ?", (sealed, webhook_id))
            if not before.active and after.active:
                tx.execute(
                    "UPDATE webhooks SET cursor = ?, attempts = 0, retry_at = NULL WHERE id = ?", (seq, webhook_id)
                )
            return after

    def delete(self, webhook_id: str) -> None:
        with self._database.write() as tx:
            gone = _get(tx, webhook_id)
            tx.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,))
            tx.event("webhook.deleted", f"webhook:{webhook_id}", told(gone))

    def sign(self, webhook_id: str, message: bytes) -> bytes | None:
        row = self._database.one("SELECT secret FROM webhooks WHERE id = ?", (webhook_id,))
        if row is None:
            raise unknown_webhook(webhook_id)
        return signature(self._opened(webhook_id, row[0]), message)

    def _sealed(self, webhook_id: str, secret: str) -> str:
        return self._seal.close(secret, of=f"webhook:{webhook_id}") if self._seal and secret else secret

    def _opened(self, webhook_id: str, kept: str) -> str:
        return self._seal.open(kept, of=f"webhook:{webhook_id}") if self._seal and is_sealed(kept) else kept

    def progress(self) -> list[Progress]:
        rows = self._database.query(
            "SELECT record, cursor, since, attempts, retry_at FROM webhooks WHERE active = 1 ORDER BY seq"
        )
        return [_progress(row) for row in rows]

    def advance(self, webhook_id: str, *, expect: int, to: int, gave_up: str = "") -> bool:
        with self._database.write() as tx:
            moved = tx.execute(
                "UPDATE webhooks SET cursor = ?, attempts = 0, retry_at = NULL WHERE id = ? AND cursor = ?",
                (to, webhook_id, expect),
            )
            if moved and gave_up:
                tx.event("webhook.gave_up", f"webhook:{webhook_id}", {"event": to, "because": gave_up})
            return moved > 0

    def postpone(self, webhook_id: str, *, expect: int, attempts: int, retry_at: datetime) -> bool:
        moment = to_micros(aware(retry_at))
        with self._database.write() as tx:
            return (
                tx.execute(
                    "UPDATE webhooks SET attempts = ?, retry_at = ? WHERE id = ? AND cursor = ?",
                    (attempts, moment, webhook_id, expect),
                )
                > 0
            )


def _get(source: Readable, webhook_id: str) -> Webhook:
    row = source.one("SELECT record FROM webhooks WHERE id = ?", (webhook_id,))
    if row is None:
        raise unknown_webhook(webhook_id)
    return _decode(row[0])


def _progress(row: Row) -> Progress:
    record, cursor, since, attempts, retry_at = row
    return Progress(
        _decode(record), cursor, _decode_since(since), attempts, None if retry_at is None else from_micros(retry_at)
    )
