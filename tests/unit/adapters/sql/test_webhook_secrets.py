import hashlib
import hmac
from pathlib import Path

import pytest

from interlock.adapters.sql.dialect import Dialect
from interlock.adapters.sql.stores import sql_stores
from interlock.core.errors import Corrupt
from interlock.core.sealing import PASSPHRASES, Seal, is_sealed
from interlock.ports.webhook_store import Webhook, WebhookChange
from interlock.workspace import open_workspace
from tests.unit.adapters.sql.conftest import NOW, Opener


def a_webhook(webhook_id: str) -> Webhook:
    return Webhook(webhook_id, "hook", "https://example.com/", ("version.created",), NOW, NOW)


def digest(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"text", hashlib.sha256)


def test_secrets_lie_sealed_in_the_database(dialect: Dialect, opened: Opener) -> None:
    database = opened(dialect)
    webhooks = sql_stores(database, seal=Seal(lambda: [bytes(32)])).webhooks
    webhooks.create(a_webhook("w1"), secret="s3cret")
    webhooks.create(a_webhook("w2"))
    kept = dict(database.query("SELECT id, secret FROM webhooks"))
    assert is_sealed(kept["w1"]) and kept["w2"] == ""
    assert (webhooks.sign("w1", b"text"), webhooks.sign("w2", b"text")) == (digest("s3cret"), None)
    webhooks.update("w1", WebhookChange(secret="0ther"))
    assert is_sealed(database.query("SELECT secret FROM webhooks WHERE id = 'w1'")[0][0])
    assert webhooks.sign("w1", b"text") == digest("0ther")


def test_a_secret_from_before_there_was_a_seal_still_signs(dialect: Dialect, opened: Opener) -> None:
    database = opened(dialect)
    sql_stores(database).webhooks.create(a_webhook("w1"), secret="s3cret")
    webhooks = sql_stores(database, seal=Seal(lambda: [bytes(32)])).webhooks
    assert webhooks.sign("w1", b"text") == digest("s3cret")
    webhooks.update("w1", WebhookChange(secret="s3cret"))
    assert is_sealed(database.query("SELECT secret FROM webhooks")[0][0])


def test_one_moved_to_another_webhook_does_not_sign(dialect: Dialect, opened: Opener) -> None:
    database = opened(dialect)
    webhooks = sql_stores(database, seal=Seal(lambda: [bytes(32)])).webhooks
    webhooks.create(a_webhook("w1"), secret="s3cret")
    webhooks.create(a_webhook("w2"), secret="0ther")
    with database.write() as tx:
        tx.execute("UPDATE webhooks SET secret = (SELECT secret FROM webhooks WHERE id = 'w1') WHERE id = 'w2'")
    with pytest.raises(Corrupt):
        webhooks.sign("w2", b"text")


def test_a_workspace_seals_with_its_own_key_or_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PASSPHRASES:
        monkeypatch.delenv(name, raising=False)
    with open_workspace(tmp_path / "w") as workspace:
        workspace.stores.webhooks.create(a_webhook("w1"), secret="s3cret")
        assert workspace.seal.open(workspace.seal.close("x", of="a"), of="a") == "x"
    assert b"s3cret" not in (tmp_path / "w" / "metadata.db").read_bytes()
    monkeypatch.setenv(PASSPHRASES[0], "correct horse")
    with open_workspace(tmp_path / "w") as workspace:
        assert workspace.stores.webhooks.sign("w1", b"text") == digest("s3cret"), "older ones open with the key"
        sealed = workspace.seal.close("x", of="a")
    with open_workspace(tmp_path / "other") as workspace:
        assert workspace.seal.open(sealed, of="a") == "x", "and every process with the passphrase opens new ones"
