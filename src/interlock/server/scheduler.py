"""Let one of many processes do what is due: a thread that works while it holds a lease."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import InterlockError
from interlock.core.ids import new_id
from interlock.ports.lease_store import LeaseStore

LEASE = "scheduler"
TICK_S = 0.2
LEASE_TTL_S = 10.0

Tick = Callable[[datetime], None]

_logger = logging.getLogger(__name__)


class Scheduler:
    """Calls its ticks five times a second while it holds the lease `scheduler`.

    Of all processes on a workspace one ticks; when it dies, another takes over within the lease's ten seconds. A tick
    that runs for longer may overlap with the next holder's, which triggers bear: they fire by compare-and-swap. A
    tick that raises is logged and called again; it never ends the thread.

    Args:
        leases: Where the lease is.
        ticks: What is called, in order, with the present.
        clock: What tells the time.
        tick_s: Pause between two rounds.

    Example:
        with Scheduler(stores.leases, [loop.tick]):
            serve()
    """

    def __init__(
        self, leases: LeaseStore, ticks: Sequence[Tick], *, clock: Clock | None = None, tick_s: float = TICK_S
    ) -> None:
        self._leases = leases
        self._ticks = tuple(ticks)
        self._clock = clock or SystemClock()
        self._tick_s = tick_s
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{new_id()}"
        self._renew_at: datetime | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="interlock-scheduler", daemon=True)

    def __enter__(self) -> Scheduler:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish the running tick and give the lease back."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._leases.release(LEASE, holder=self._holder)
        except InterlockError as error:
            # it lapses by itself
            _logger.warning("the scheduler's lease was not released: %s", error)

    def round(self) -> bool:
        """Do one round, if the lease is held or can be had; return whether it was done."""
        now = self._clock.now()
        if not self._hold(now):
            return False
        for tick in self._ticks:
            try:
                tick(now)
            except Exception:  # noqa: BLE001 (the edge of a thread that must live on)
                _logger.exception("a scheduled tick failed")
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            self.round()
            self._stop.wait(self._tick_s)

    def _hold(self, now: datetime) -> bool:
        # renewing writes to the store, so it is done three times per lifetime of the lease and not at every round
        if self._renew_at is not None and now < self._renew_at:
            return True
        try:
            lease = self._leases.acquire(LEASE, holder=self._holder, ttl_s=LEASE_TTL_S, now=now)
        except InterlockError as error:
            _logger.warning("the scheduler's lease cannot be had: %s", error)
            lease = None
        self._renew_at = now + timedelta(seconds=LEASE_TTL_S / 3) if lease is not None else None
        return lease is not None
