"""The webhook store on every backend."""

from __future__ import annotations

from interlock.testing.webhook_store import WEBHOOK_STORE_PLAYS, WebhookStoreContract
from tests.contracts.conftest import Backed, Compared


class _Compared(Compared):
    port = "webhooks"
    plays = WEBHOOK_STORE_PLAYS


class TestMemory(Backed, WebhookStoreContract):
    backend = "memory"


class TestSqlite(_Compared, WebhookStoreContract):
    backend = "sqlite"


class TestPostgres(_Compared, WebhookStoreContract):
    backend = "postgres"


class TestRemote(_Compared, WebhookStoreContract):
    backend = "remote"
