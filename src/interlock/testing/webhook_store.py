"""What every webhook store must do."""

from __future__ import annotations

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.stores import Stores
from interlock.ports.webhook_store import Webhook, WebhookChange
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

LONG_AGO = datetime(1999, 1, 1, tzinfo=UTC)
SOON = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def a_webhook(webhook_id: str, **rest: Any) -> Webhook:
    """Return a webhook as its maker hands it in."""
    given = {"name": "ci", "url": "https://example.com/hook", "topics": ("version.created",), **rest}
    return Webhook(webhook_id, created_at=LONG_AGO, updated_at=LONG_AGO, **given)


class WebhookStoreContract(Contract):
    """Addresses, their secrets, and how far each has been told."""

    def test_a_webhook_comes_back_with_its_times(self, stores: Stores) -> None:
        made = stores.webhooks.create(a_webhook("w1", description="builds", topics=("b.set", "a.set")))
        assert made == stores.webhooks.get("w1")
        assert (made.description, made.topics, made.active, made.signed) == ("builds", ("b.set", "a.set"), True, False)
        assert made.created_at == made.updated_at > LONG_AGO
        assert [(event.kind, event.subject) for event in stores.journal.events()] == [("webhook.created", "webhook:w1")]

    def test_an_address_is_not_told_to_all(self, stores: Stores) -> None:
        stores.webhooks.create(a_webhook("w1", url="https://example.com/T0KEN"), secret="s3cret")
        stores.webhooks.update("w1", WebhookChange(secret="0ther"))
        stores.webhooks.delete("w1")
        told = str([event.payload for event in stores.journal.events()])
        assert "T0KEN" not in told and "s3cret" not in told and "0ther" not in told

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "no spaces"},
            {"name": ""},
            {"url": ""},
            {"url": "https://" + "x" * 2000},
            {"topics": ()},
            {"topics": ("a.set", "a.set")},
            {"topics": ("a\0",)},
            {"description": "\ud800"},
        ],
    )
    def test_a_webhook_that_cannot_be_kept_leaves_nothing(self, stores: Stores, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            stores.webhooks.create(msgspec.structs.replace(a_webhook("w1"), **changes))
        assert stores.webhooks.webhooks() == []
        assert stores.journal.events() == []

    def test_an_id_is_used_once(self, stores: Stores) -> None:
        stores.webhooks.create(a_webhook("w1", name="first"))
        with pytest.raises(Conflict):
            stores.webhooks.create(a_webhook("w1", name="second"))
        assert stores.webhooks.get("w1").name == "first"

    def test_webhooks_are_paged_newest_first(self, stores: Stores) -> None:
        for number in range(5):
            stores.webhooks.create(a_webhook(f"w{number}"))
        assert [one.id for one in stores.webhooks.webhooks(limit=2)] == ["w4", "w3"]
        assert [one.id for one in stores.webhooks.webhooks(after="w3", limit=2)] == ["w2", "w1"]
        assert stores.webhooks.webhooks(after="w0") == []
        with pytest.raises(NotFound):
            stores.webhooks.webhooks(after="w9")

    def test_a_change_changes_what_it_names(self, stores: Stores) -> None:
        before = stores.webhooks.create(a_webhook("w1", description="builds"))
        after = stores.webhooks.update("w1", WebhookChange(name="cd", active=False))
        assert after == msgspec.structs.replace(before, name="cd", active=False, updated_at=after.updated_at)
        assert stores.webhooks.get("w1") == after
        told = stores.journal.last_seq()
        assert stores.webhooks.update("w1", WebhookChange(name="cd")) == after
        assert stores.journal.last_seq() == told, "changing nothing tells nothing"
        with pytest.raises(InvalidInput):
            stores.webhooks.update("w1", WebhookChange(name="x", topics=()))
        assert stores.webhooks.get("w1") == after

    def test_unknown_ids_are_not_found(self, stores: Stores) -> None:
        for ask in (
            lambda: stores.webhooks.get("w1"),
            lambda: stores.webhooks.update("w1", WebhookChange(name="x")),
            lambda: stores.webhooks.delete("w1"),
            lambda: stores.webhooks.sign("w1", b""),
        ):
            with pytest.raises(NotFound):
                ask()
        assert stores.webhooks.advance("w1", expect=0, to=1) is False
        assert stores.webhooks.postpone("w1", expect=0, attempts=1, retry_at=SOON) is False

    def test_the_store_signs_and_keeps_the_secret(self, stores: Stores) -> None:
        made = stores.webhooks.create(a_webhook("w1"), secret="sé")
        assert made.signed
        assert stores.webhooks.sign("w1", b"text") == hmac.digest("sé".encode(), b"text", hashlib.sha256)
        stores.webhooks.update("w1", WebhookChange(secret="new"))
        assert stores.webhooks.sign("w1", b"text") == hmac.digest(b"new", b"text", hashlib.sha256)
        assert stores.webhooks.update("w1", WebhookChange(secret="")).signed is False
        assert stores.webhooks.sign("w1", b"text") is None

    def test_a_deleted_webhook_is_gone(self, stores: Stores) -> None:
        stores.webhooks.create(a_webhook("w1"), secret="s")
        stores.webhooks.delete("w1")
        assert stores.webhooks.webhooks() == []
        assert stores.webhooks.progress() == []
        assert stores.webhooks.create(a_webhook("w1")).signed is False

    def test_a_new_webhook_begins_with_what_comes(self, stores: Stores) -> None:
        stores.journal.append("version.created", "model:m@1")
        made = stores.webhooks.create(a_webhook("w1"))
        stores.webhooks.create(a_webhook("w2", active=False))
        (progress,) = stores.webhooks.progress()
        assert (progress.webhook, progress.cursor, progress.since) == (made, 2, {"version.created": 2})
        assert (progress.attempts, progress.retry_at) == (0, None)

    def test_a_topic_added_later_begins_later(self, stores: Stores) -> None:
        stores.webhooks.create(a_webhook("w1", topics=("a.set", "b.set")))
        stores.journal.append("c.set", "model:m")
        stores.webhooks.update("w1", WebhookChange(topics=("c.set", "a.set")))
        (progress,) = stores.webhooks.progress()
        assert progress.cursor == 1
        assert progress.since == {"c.set": 3, "a.set": 1}

    def test_what_happened_while_it_was_inactive_is_not_told(self, stores: Stores) -> None:
        stores.webhooks.create(a_webhook("w1"))
        stores.webhooks.postpone("w1", expect=1, attempts=3, retry_at=SOON)
        stores.webhooks.update("w1", WebhookChange(active=False))
        stores.journal.append("version.created", "model:m@1")
        stores.webhooks.update("w1", WebhookChange(active=True))
        (progress,) = stores.webhooks.progress()
        assert (progress.cursor, progress.since) == (4, {"version.created": 4})
        assert (progress.attempts, progress.retry_at) == (0, None)

    def test_advance_moves_only_from_where_it_stands(self, stores: Stores) -> None:
        stores.webhooks.create(a_webhook("w1"))
        assert stores.webhooks.postpone("w1", expect=1, attempts=2, retry_at=SOON) is True
        assert [(one.attempts, one.retry_at) for one in stores.webhooks.progress()] == [(2, SOON)]
        assert stores.webhooks.advance("w1", expect=0, to=5) is False
        assert stores.webhooks.advance("w1", expect=1, to=5) is True
        assert stores.webhooks.postpone("w1", expect=1, attempts=3, retry_at=SOON) is False
        assert [(one.cursor, one.attempts, one.retry_at) for one in stores.webhooks.progress()] == [(5, 0, None)]
        assert stores.journal.last_seq() == 1

    def test_giving_up_is_told(self, stores: Stores) -> None:
        stores.webhooks.create(a_webhook("w1"))
        stores.webhooks.advance("w1", expect=9, to=5, gave_up="no")
        stores.webhooks.advance("w1", expect=1, to=5, gave_up="HTTP 500")
        told = stores.journal.events(kinds=["webhook.gave_up"])
        assert [(event.subject, event.payload) for event in told] == [
            ("webhook:w1", {"event": 5, "because": "HTTP 500"})
        ]

    def test_of_many_threads_one_advances(self, stores: Stores) -> None:
        stores.webhooks.create(a_webhook("w1"))
        with ThreadPoolExecutor(8) as pool:
            moved = list(pool.map(lambda n: stores.webhooks.advance("w1", expect=1, to=7), range(16)))
        assert sum(moved) == 1


_ids = st.sampled_from(["w1", "w2"])
_seqs = st.integers(0, 6)
_topics = st.lists(st.sampled_from(["a.set", "b.set", "c.set"]), unique=True, max_size=3).map(tuple)

WEBHOOK_STORE_PLAYS: Plays = {
    "create": st.fixed_dictionaries(
        {"webhook": st.builds(a_webhook, _ids, topics=_topics, active=st.booleans())},
        optional={"secret": st.sampled_from(["", "s"])},
    ),
    "get": st.fixed_dictionaries({"webhook_id": _ids}),
    "webhooks": st.fixed_dictionaries({}, optional={"after": _ids, "limit": st.integers(0, 2)}),
    "update": st.fixed_dictionaries(
        {
            "webhook_id": _ids,
            "change": st.builds(
                WebhookChange,
                name=st.sampled_from([None, "", "x"]),
                topics=st.none() | _topics,
                active=st.sampled_from([None, True, False]),
                secret=st.sampled_from([None, "", "t"]),
            ),
        }
    ),
    "delete": st.fixed_dictionaries({"webhook_id": _ids}),
    "sign": st.fixed_dictionaries({"webhook_id": _ids, "message": st.just(b"m")}),
    "progress": st.just({}),
    "advance": st.fixed_dictionaries(
        {"webhook_id": _ids, "expect": _seqs, "to": _seqs}, optional={"gave_up": st.just("no")}
    ),
    "postpone": st.fixed_dictionaries(
        {
            "webhook_id": _ids,
            "expect": _seqs,
            "attempts": st.integers(0, 2),
            "retry_at": st.just(SOON + timedelta(microseconds=7)),
        }
    ),
}
