"""Bring what waits to the upstream server: in order, as often as it takes, each with one effect."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import takewhile

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import InterlockError, Unavailable
from interlock.server.spool.batches import Batch, joined
from interlock.server.spool.creating import create
from interlock.server.spool.known import PAGES
from interlock.server.spool.log import LogReader
from interlock.server.spool.records import MADE_BY, Write, decode_write
from interlock.server.spool.sending import NotNow, NotTaken, Sender
from interlock.server.spool.state import Made
from interlock.server.spool.store import Store
from interlock.server.spool.upstream import AWAY, Upstream

WINDOW, WINDOW_BYTES = 2_000, 8 << 20
"""How much is read from the log at once."""
PAUSES_S = (0.25, 5.0)
LOOK_EVERY_S = 60.0
"""How often the server is looked at while nothing happens."""
PATIENCE_TRIES, PATIENCE_S = 5, 60.0
"""A write at which the server fails by a fault of its own is set aside after so many tries and so long, if the
server is well otherwise."""
PROBE = "/api/2.0/mlflow/experiments/search?max_results=1000&view_type=ALL"
"""A read that needs the server's database, and whose answer is worth remembering."""

_LOGGING = frozenset({"log-metric", "log-parameter", "log-batch", "set-tag"})
_logger = logging.getLogger(__name__)


class Forwarder:
    """The thread that empties a spool.

    After a crash, or an answer that did not come, it is not known whether a write had its effect. What is logged has
    the same effect twice as once; what is created is looked for by its marker first.

    Args:
        store: What to empty.
        upstream: Where to.
        clock: Says when something was refused.
        pauses_s: The first pause after a failure, which doubles, and the longest.
        patience_s: How long a server may fail at one write while it is well otherwise.
    """

    def __init__(
        self,
        store: Store,
        upstream: Upstream,
        *,
        clock: Clock | None = None,
        pauses_s: tuple[float, float] = PAUSES_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._store = store
        self._upstream = upstream
        self._sender = Sender(store, upstream)
        self._clock = clock or SystemClock()
        self._first_pause_s, self._longest_pause_s = pauses_s
        self._patience_s = patience_s
        self._pause_s = self._first_pause_s
        self._reader = LogReader(store.log, store.state.done())
        self._window: deque[tuple[int, Write]] = deque()
        # whoever had the spool before may have been killed between sending a write and noting it
        self._doubtful = True
        self._seen: bytes | None = None
        self._failing: tuple[int, int, float] | None = None
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="interlock-spool", daemon=True)
        self.forwarded = 0
        """How many writes this process has brought upstream."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to forward."""
        self._wake.set()

    def close(self) -> None:
        """Stop after the call that is under way; what waits stays in the log."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        there = False
        while not self._stopped.is_set():
            try:
                if not there or self._upstream.away_since is not None:
                    there = self._look()
                if not there:
                    self._rest()
                elif not self._forward():
                    # nothing waits: look again when there is something, or after a while
                    there = self._wake.wait(LOOK_EVERY_S)
                    self._wake.clear()
            except Unavailable:
                self._rest()
            except InterlockError as error:
                self._upstream.trouble = str(error)
                self._rest()
            except Exception as error:  # noqa: BLE001 (the edge of its thread, which must go on for the writes to move)
                _logger.exception("forwarding failed; it is tried again")
                self._upstream.trouble = f"{type(error).__name__}: {error}"
                self._rest()

    def _rest(self) -> None:
        self._doubtful = True
        self._stopped.wait(self._pause_s * random.uniform(0.8, 1.2))  # noqa: S311
        self._pause_s = min(2 * self._pause_s, self._longest_pause_s)

    def _look(self) -> bool:
        """Find out whether the server is there, and remember what it shows of itself."""
        back = self._seen is None or self._upstream.away_since is not None
        try:
            reply = self._upstream.call("GET", PROBE, {}, timeout_s=10.0)
            if reply.status in AWAY:
                return False
            self._upstream.mark_there()
            if reply.status != 200:
                self._upstream.trouble = f"it answers a search for experiments with status {reply.status}"
                return True
            if reply.body != self._seen:
                self._store.known.learn(reply.body)
                self._seen = reply.body
            if back:
                self._learn_pages()
        except Unavailable:
            return False
        return True

    def _learn_pages(self) -> None:
        for path in PAGES:
            reply = self._upstream.call("GET", path, {})
            if reply.status == 200:
                self._store.known.learn_page(path, reply.header("content-type"), reply.body)

    def _forward(self) -> bool:
        """Forward the next writes; say whether there were any."""
        if not self._window:
            found = self._reader.take(WINDOW, size_bytes=WINDOW_BYTES)
            self._window.extend((number, decode_write(payload)) for number, payload in found)
        if not self._window:
            return False
        number, write = self._window[0]
        logged = list(takewhile(lambda one: one[1].call in _LOGGING, self._window))
        try:
            if logged:
                self._send_logged(logged)
                self._finish(logged)
            else:
                made = self._send_one(number, write)
                self._finish([(number, write)], made=made)
        except NotNow as delay:
            self._upstream.trouble = str(delay)
            self._rest()
        return True

    def _send_logged(self, logged: Sequence[tuple[int, Write]]) -> None:
        numbers = {id(write): number for number, write in logged if number not in self._store.refusals}
        for piece in joined([write for _, write in logged if id(write) in numbers]):
            try:
                if isinstance(piece, Batch):
                    self._sender.send_batch(piece)
                    continue
            except NotTaken:
                # something in it is refused: the rest is not to suffer from it
                pass
            except (NotNow, Unavailable) as failure:
                # or something in it breaks the server
                if not self._is_at_fault(failure):
                    raise
            for write in piece.writes if isinstance(piece, Batch) else [piece]:
                self._send_one(numbers[id(write)], write)

    def _send_one(self, number: int, write: Write) -> Made | None:
        """Send a write, or set it aside; return what was created."""
        if number in self._store.refusals:
            return None
        try:
            if write.call in MADE_BY:
                return create(self._sender, self._store.ids, write, doubtful=self._doubtful)
            self._sender.send(write)
        except NotTaken as refusal:
            return self._refuse(number, write, refusal.status, refusal.answer)
        except (NotNow, Unavailable) as delay:
            if not self._is_at_fault(delay) or not self._out_of_patience(number):
                raise
            status = delay.status if isinstance(delay, NotNow) else 0
            return self._refuse(number, write, status, f"{PATIENCE_TRIES} times and more: {delay}")
        return None

    def _refuse(self, number: int, write: Write, status: int, answer: str) -> Made | None:
        _logger.warning("the tracking server refused %s %s: %s", write.call, write.about, answer)
        self._store.refusals.add(number, write, status=status, answer=answer, now=self._clock.now())
        return Made(write.makes, MADE_BY[write.call], "", "") if write.makes else None

    def _is_at_fault(self, failure: NotNow | Unavailable) -> bool:
        """Say whether it is because of one write that the server fails, as it is well otherwise."""
        if isinstance(failure, NotNow) and failure.status < 500:
            return False
        return self._look() and not self._upstream.trouble

    def _out_of_patience(self, number: int) -> bool:
        """Count a failure at a write; say whether there were enough."""
        known, tries, since = self._failing or (number, 0, time.monotonic())
        if known != number:
            tries, since = 0, time.monotonic()
        self._failing = (number, tries + 1, since)
        return tries + 1 >= PATIENCE_TRIES and time.monotonic() - since >= self._patience_s

    def _finish(self, writes: Sequence[tuple[int, Write]], *, made: Made | None = None) -> None:
        """Note, before anything else, that writes are forwarded; then forget them."""
        done = writes[-1][0] + 1
        self._store.state.advance(done, made=made)
        if made is not None:
            self._store.ids.settle(made)
        self.forwarded += len(writes)
        for _ in writes:
            self._window.popleft()
        for thing in self._store.backlog.remove(write for _, write in writes):
            self._store.known.settle(thing)
        for number, write in writes:
            if write.file and number not in self._store.refusals:
                self._store.files.remove(write.file)
        self._store.log.drop_before(done)
        self._doubtful = False
        self._failing = None
        self._pause_s = self._first_pause_s
        self._upstream.trouble = ""
