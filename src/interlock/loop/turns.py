"""Let one process at a time turn the loop, and free the right of one that was killed."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from interlock.core.clock import Clock
from interlock.core.errors import Conflict
from interlock.core.ids import new_id
from interlock.ports.lease_store import LeaseStore

NAME = "loop"
TTL_S = 600.0
"""Longer than a retrain takes. A holder that dies on this machine is seen at once, on another after this."""
POLL_S = 0.1


class TurnRight:
    """The right to turn the loop of a workspace, or to do another thing alone; re-entrant within its owner.

    Args:
        leases: Where it is kept.
        clock: Tells when it lapses.
        name: What the lease is called.
        what: What its holder does, for those who cannot have it.
    """

    def __init__(
        self,
        leases: LeaseStore,
        clock: Clock,
        *,
        name: str = NAME,
        what: str = "another process turns the loop of this workspace",
    ) -> None:
        self._leases = leases
        self._clock = clock
        self._name = name
        self._what = what
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{new_id()}"
        self._depth = 0

    @contextmanager
    def held(self, *, wait_s: float = 0.0) -> Iterator[None]:
        """Hold it for a block, and renew it where it is held already.

        Args:
            wait_s: How long to wait for another holder.

        Raises:
            Conflict: Another process holds it.
        """
        self._take(wait_s)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._leases.release(self._name, holder=self._holder)

    def _take(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while not self._try():
            if time.monotonic() >= until:
                found = self._leases.find(self._name)
                raise Conflict(
                    self._what,
                    why=f"{found.holder if found else 'it'} has the right to until {found.expires_at if found else ''}",
                    fix="wait for it to finish, or end it",
                )
            time.sleep(POLL_S)

    def _try(self) -> bool:
        now = self._clock.now()
        if self._leases.acquire(self._name, holder=self._holder, ttl_s=TTL_S, now=now) is not None:
            return True
        found = self._leases.find(self._name)
        if found is not None and _is_dead(found.holder):
            self._leases.release(self._name, holder=found.holder)
        return False


def _is_dead(holder: str) -> bool:
    """Say whether a holder is a process of this machine that is no more."""
    host, _, rest = holder.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
