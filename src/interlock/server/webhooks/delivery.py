"""Tell webhooks of what the journal says: in order, once for each event as far as that can be, again after failures."""

from __future__ import annotations

import base64
import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import msgspec

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import InterlockError, InvalidInput, Refused
from interlock.ports.journal import Event
from interlock.ports.stores import Stores
from interlock.ports.webhook_store import Progress, Webhook
from interlock.server.webhooks.posting import PostAnswer, post

MOST_ATTEMPTS = 10
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
MOST_AT_ONCE = 8
"""How many webhooks are told at the same time."""
EVENTS_AT_ONCE = 20
REST_S = 60.0
"""How long a webhook is left alone after something unforeseen."""
PATIENCE_S = 2.0
"""How long a stopping server waits for posts that are under way."""
_IDS = UUID("6f1d4f0e-8a2b-4f57-9f0a-6d1f5a3c2b10")
_WORTH_TRYING_AGAIN = frozenset({408, 425, 429})

_logger = logging.getLogger(__name__)


class Message(msgspec.Struct, frozen=True):
    """What one webhook topic says of one event.

    Args:
        topic: The topic, as webhooks name it.
        content: What is posted, as JSON.
    """

    topic: str
    content: dict[str, Any]


class Language(msgspec.Struct, frozen=True):
    """How events are told.

    Args:
        kinds: Kinds of event that anything is told of.
        messages: Turns an event into messages.
        headers: Turns the id and the second of a delivery, and its signature if there is one, into headers.
    """

    kinds: tuple[str, ...]
    messages: Callable[[Stores, Event], Sequence[Message]]
    headers: Callable[[str, int, str | None], Mapping[str, str]]


Post = Callable[[str, bytes, Mapping[str, str]], PostAnswer]
"""Posts a text to a URL with headers."""


class WebhookDelivery:
    """A tick for the scheduler that tells webhooks of new events, each in a thread of its own.

    A webhook gets its events in order. What fails is tried again, after ever longer pauses, and given up after
    `MOST_ATTEMPTS`, which the journal then says. The id of a delivery stays the same when it is tried again, so that
    who gets it twice can tell.

    Args:
        stores: Where the journal and the webhooks are.
        language: How events are told.
        private: Whether private addresses may be reached.
        clock: What tells the time.
        send: What posts, where that is not the network.
    """

    def __init__(
        self,
        stores: Stores,
        language: Language,
        *,
        private: bool = False,
        clock: Clock | None = None,
        send: Post | None = None,
    ) -> None:
        self._stores = stores
        self._language = language
        self._clock = clock or SystemClock()
        self._send = send or (lambda url, body, headers: post(url, body, headers, private=private))
        self._seen = -1
        self._look_again: datetime | None = None
        self._resting: dict[str, datetime] = {}
        self._running: dict[str, threading.Thread] = {}
        self._stop = threading.Event()

    def __call__(self, now: datetime) -> None:
        """Start telling those webhooks for which there is something new; return at once."""
        seq = self._stores.journal.last_seq()
        if seq == self._seen and (self._look_again is None or now < self._look_again):
            return
        self._seen, self._look_again = seq, None
        for progress in self._stores.webhooks.progress():
            due = max(filter(None, (progress.retry_at, self._resting.get(progress.webhook.id))), default=None)
            if due is not None and now < due:
                self._look_at(due)
            elif progress.webhook.id in self._running or len(self._running) >= MOST_AT_ONCE:
                self._look_at(now)
            elif self._events(progress.cursor, limit=1):
                self._start(progress.webhook.id)

    def close(self) -> None:
        """Start nothing more, and wait a little for what is under way; what is cut off is told again."""
        self._stop.set()
        for thread in list(self._running.values()):
            thread.join(PATIENCE_S)

    def tell(self, webhook_id: str) -> None:
        """Tell one webhook of all that is new, until there is nothing more or something fails."""
        while not self._stop.is_set():
            progress = next((one for one in self._stores.webhooks.progress() if one.webhook.id == webhook_id), None)
            events = self._events(progress.cursor, limit=EVENTS_AT_ONCE) if progress is not None else []
            if progress is None or not events:
                return
            for event in events:
                messages = self._wanted(progress, event)
                if messages or event is events[-1]:
                    after = self._tell_of(progress, event, messages)
                    if after is None or self._stop.is_set():
                        return
                    progress = after

    def _start(self, webhook_id: str) -> None:
        def run() -> None:
            # whatever ends this thread without notice is not tried again at once
            self._resting[webhook_id] = self._clock.now() + timedelta(seconds=REST_S)
            try:
                self.tell(webhook_id)
                del self._resting[webhook_id]
            except InterlockError as error:
                _logger.warning("webhook %s cannot be told now: %s", webhook_id, error)
            finally:
                del self._running[webhook_id]
                self._look_again = self._clock.now()

        self._running[webhook_id] = threading.Thread(target=run, name=f"interlock-webhook-{webhook_id}", daemon=True)
        self._running[webhook_id].start()

    def _look_at(self, moment: datetime) -> None:
        self._look_again = moment if self._look_again is None else min(moment, self._look_again)

    def _events(self, after: int, *, limit: int) -> list[Event]:
        return self._stores.journal.events(after=after, kinds=self._language.kinds, limit=limit)

    def _wanted(self, progress: Progress, event: Event) -> list[tuple[str, Message]]:
        """Return what a webhook wants to be told of an event, each message with the id of its delivery."""
        return [
            (str(uuid5(_IDS, f"{progress.webhook.id}/{event.id}/{at}")), message)
            for at, message in enumerate(self._language.messages(self._stores, event))
            if event.seq > progress.since.get(message.topic, event.seq)
        ]

    def _tell_of(self, progress: Progress, event: Event, messages: Sequence[tuple[str, Message]]) -> Progress | None:
        """Tell of one event; return how far the webhook has been told then, or None to stop."""
        webhook = progress.webhook
        trouble, hopeless = "", False
        for delivery, message in messages:
            trouble, hopeless = self._post(webhook, delivery, message)
            if trouble:
                break
        attempts = progress.attempts + 1
        if trouble and not hopeless and attempts < MOST_ATTEMPTS:
            pause_s = min(FIRST_PAUSE_S * 2**progress.attempts, LONGEST_PAUSE_S) * random.uniform(0.8, 1.2)
            retry_at = self._clock.now() + timedelta(seconds=pause_s)
            self._stores.webhooks.postpone(webhook.id, expect=progress.cursor, attempts=attempts, retry_at=retry_at)
            _logger.info("webhook %s is told again later: %s", webhook.id, trouble)
            return None
        if trouble:
            _logger.warning("webhook %s is not told of %s: %s", webhook.id, event.kind, trouble)
        if not self._stores.webhooks.advance(webhook.id, expect=progress.cursor, to=event.seq, gave_up=trouble):
            # another process told it, or it is gone
            return None
        return msgspec.structs.replace(progress, cursor=event.seq, attempts=0, retry_at=None)

    def _post(self, webhook: Webhook, delivery: str, message: Message) -> tuple[str, bool]:
        """Post one message; return what went wrong, if anything, and whether trying again is of no use."""
        try:
            return judged(deliver(self._stores, self._language, webhook, delivery, message, self._clock, self._send))
        except InterlockError as error:
            return f"{error.what}: {error.why}", isinstance(error, (Refused, InvalidInput))


def deliver(
    stores: Stores, language: Language, webhook: Webhook, delivery: str, message: Message, clock: Clock, send: Post
) -> PostAnswer:
    """Post one message to a webhook, signed if it has a secret; return what came back."""
    body = msgspec.json.encode(message.content)
    second = int(clock.now().timestamp())
    digest = stores.webhooks.sign(webhook.id, f"{delivery}.{second}.".encode() + body)
    signature = None if digest is None else base64.b64encode(digest).decode()
    return send(webhook.url, body, language.headers(delivery, second, signature))


def judged(answer: PostAnswer) -> tuple[str, bool]:
    """Return what is wrong with an answer, if anything, and whether trying again is of no use."""
    if answer.status < 300:
        return "", False
    if answer.status < 400:
        return f"HTTP {answer.status}: redirects are not followed", True
    return f"HTTP {answer.status}", answer.status < 500 and answer.status not in _WORTH_TRYING_AGAIN
