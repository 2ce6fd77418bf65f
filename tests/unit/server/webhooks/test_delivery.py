"""How events reach webhooks: in order, again after failures, and never where nobody asked."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock
from interlock.core.errors import Refused, Unavailable
from interlock.ports.journal import Event
from interlock.ports.stores import Stores
from interlock.ports.webhook_store import Webhook, WebhookChange
from interlock.server.webhooks.delivery import (
    LONGEST_PAUSE_S,
    MOST_ATTEMPTS,
    REST_S,
    Language,
    Message,
    WebhookDelivery,
    judged,
)
from interlock.server.webhooks.posting import PostAnswer

START = datetime(2026, 1, 1, tzinfo=UTC)


def _messages(stores: Stores, event: Event) -> list[Message]:
    return [Message(topic, {"n": event.payload["n"]}) for topic in event.payload.get("topics", ["a"])]


PLAIN = Language(
    kinds=("thing.happened",),
    messages=_messages,
    headers=lambda delivery, second, signature: {"id": delivery, "second": str(second), "signature": str(signature)},
)


@dataclass
class World:
    """Stores, a clock that stands still, and a network that answers as it is told."""

    clock: FrozenClock = field(default_factory=lambda: FrozenClock(START))
    answers: list[Any] = field(default_factory=list)
    sent: list[tuple[str, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stores = memory_stores(clock=self.clock)
        self.delivery = WebhookDelivery(self.stores, PLAIN, clock=self.clock, send=self.send)

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        self.sent.append((url, json.loads(body)["n"], headers["id"]))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return PostAnswer(answer, "")

    def hook(self, webhook_id: str = "w1", *topics: str, **rest: Any) -> None:
        webhook = Webhook(webhook_id, webhook_id, f"http://{webhook_id}", topics or ("a",), START, START, **rest)
        self.stores.webhooks.create(webhook)

    def happen(self, *numbers: int, **payload: Any) -> None:
        for n in numbers:
            self.stores.journal.append("thing.happened", "model:m", payload={"n": n, **payload})

    def tick(self, seconds: float = 0.0) -> None:
        self.delivery(self.clock.advance(seconds))
        for thread in list(self.delivery._running.values()):
            thread.join(10)

    @property
    def numbers(self) -> list[int]:
        return [n for _, n, _ in self.sent]


@pytest.fixture
def world() -> World:
    return World()


def test_events_are_told_in_order_once(world: World) -> None:
    world.happen(0)
    world.hook()
    world.happen(*range(1, 50))
    for _ in range(3):
        world.tick()
    assert world.numbers == list(range(1, 50))
    assert len({delivery for _, _, delivery in world.sent}) == 49


def test_nothing_new_costs_one_question(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.hook()
    world.tick()
    monkeypatch.setattr(world.stores.webhooks, "progress", None)
    world.tick()


def test_every_webhook_is_told_what_it_asked_for(world: World) -> None:
    world.hook("w1", "a")
    world.hook("w2", "b", "a")
    world.hook("w3", "a", active=False)
    world.happen(1, topics=["a", "b", "c"])
    world.happen(2, topics=["c"])
    world.stores.journal.append("thing.else", "model:m", payload={"n": 3})
    world.tick()
    assert sorted((url, n) for url, n, _ in world.sent) == [("http://w1", 1), ("http://w2", 1), ("http://w2", 1)]
    assert len({delivery for _, _, delivery in world.sent}) == 3
    world.sent.clear()
    world.stores.webhooks.update("w1", WebhookChange(topics=("a", "c")))
    world.happen(4, topics=["c"])
    world.tick()
    assert [(url, n) for url, n, _ in world.sent] == [("http://w1", 4)]


def test_a_failure_is_tried_again_later_and_holds_up_what_follows(world: World) -> None:
    world.hook()
    world.answers = [503, Unavailable("nobody answers"), 429, 200]
    world.happen(1, 2)
    world.tick()
    assert world.numbers == [1]
    world.tick(0.5)
    assert world.numbers == [1]
    for _ in range(3):
        world.tick(10)
    assert world.numbers == [1, 1, 1, 1, 2]
    first = {delivery for _, n, delivery in world.sent if n == 1}
    assert len(first) == 1, "what is told again has the id it had"


def test_pauses_grow_and_end_in_giving_up(world: World) -> None:
    world.hook()
    world.answers = [500] * MOST_ATTEMPTS
    world.happen(1, 2)
    pauses = []
    for _ in range(MOST_ATTEMPTS - 1):
        world.tick()
        (progress,) = world.stores.webhooks.progress()
        assert progress.retry_at is not None
        pauses.append((progress.retry_at - world.clock.now()).total_seconds())
        world.clock.set(progress.retry_at)
    assert all(0.8 * 2**n <= pause <= 1.2 * 2**n for n, pause in enumerate(pauses))
    assert max(pauses) <= LONGEST_PAUSE_S * 1.2
    world.tick()
    assert world.numbers == [1] * MOST_ATTEMPTS + [2]
    (gave_up,) = world.stores.journal.events(kinds=["webhook.gave_up"])
    assert gave_up.payload == {"event": 2, "because": "HTTP 500"}


@pytest.mark.parametrize("answer", [400, 401, 404, 410, 301, 308, Refused("Webhooks may not go to 10.0.0.1")])
def test_what_is_of_no_use_is_not_tried_again(world: World, answer: Any) -> None:
    world.hook()
    world.answers = [answer]
    world.happen(1, 2)
    world.tick()
    assert world.numbers == [1, 2]
    assert len(world.stores.journal.events(kinds=["webhook.gave_up"])) == 1


def test_one_webhook_does_not_hold_up_another(world: World) -> None:
    world.hook("slow")
    world.hook("quick")
    gate, told = threading.Event(), threading.Event()

    def send(url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        if url == "http://slow":
            assert gate.wait(10)
        elif json.loads(body)["n"] == 2:
            told.set()
        return PostAnswer(200, "")

    world.delivery = WebhookDelivery(world.stores, PLAIN, clock=world.clock, send=send)
    world.happen(1)
    world.delivery(world.clock.now())
    world.happen(2)
    while not told.wait(0.01):
        world.delivery(world.clock.now())
    assert [one.webhook.id for one in world.stores.webhooks.progress() if one.cursor < 3] == ["slow"]
    gate.set()
    world.delivery.close()


def test_two_servers_count_an_event_once(world: World) -> None:
    world.hook()
    world.happen(1)
    other = WebhookDelivery(world.stores, PLAIN, clock=world.clock, send=world.send)
    world.answers = [200, 200]
    world.delivery.tell("w1")
    other.tell("w1")
    assert world.numbers == [1]


def test_a_deleted_webhook_is_told_nothing_more(world: World) -> None:
    world.hook()
    world.happen(1, 2)

    def send(url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        world.stores.webhooks.delete("w1")
        return world.send(url, body, headers)

    world.delivery = WebhookDelivery(world.stores, PLAIN, clock=world.clock, send=send)
    world.tick()
    assert world.numbers == [1]


def test_an_outage_of_the_store_is_waited_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.hook()
    world.happen(1)

    def fail(*args: Any, **options: Any) -> bool:
        raise Unavailable("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(world.stores.webhooks, "advance", fail)
        world.tick()
    world.tick(REST_S / 2)
    assert world.numbers == [1]
    world.tick(REST_S)
    assert world.numbers == [1, 1]


def test_after_closing_nothing_is_told(world: World) -> None:
    world.hook()
    world.happen(1)
    world.delivery.close()
    world.tick()
    assert world.numbers == []


def test_a_signature_is_of_id_second_and_body(world: World) -> None:
    webhook = Webhook("w1", "w1", "http://w1", ("a",), START, START)
    world.stores.webhooks.create(webhook, secret="s")
    got: list[Mapping[str, str]] = []

    def send(url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        got.append(headers)
        return PostAnswer(200, "")

    world.delivery = WebhookDelivery(world.stores, PLAIN, clock=world.clock, send=send)
    world.happen(1)
    world.tick()
    (headers,) = got
    assert headers["second"] == str(int(START.timestamp()))
    signed = world.stores.webhooks.sign("w1", f"{headers['id']}.{headers['second']}.".encode() + b'{"n":1}')
    assert signed is not None
    assert headers["signature"] == base64.b64encode(signed).decode()


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, ("", False)), (204, ("", False)), (500, ("HTTP 500", False)), (404, ("HTTP 404", True))],
)
def test_answers_are_judged(status: int, expected: tuple[str, bool]) -> None:
    assert judged(PostAnswer(status, "")) == expected


def test_waiting_ends_when_the_time_has_come(world: World) -> None:
    world.hook()
    world.answers = [500]
    world.happen(1)
    world.tick()
    (progress,) = world.stores.webhooks.progress()
    assert progress.retry_at is not None
    world.tick((progress.retry_at - world.clock.now() - timedelta(milliseconds=1)).total_seconds())
    assert world.numbers == [1]
    world.tick(0.002)
    assert world.numbers == [1, 1]
