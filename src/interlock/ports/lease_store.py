"""Port: leases, so that of many processes one does the work."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

import msgspec


class Lease(msgspec.Struct, frozen=True):
    """The right to do something until it expires.

    Args:
        name: What it is the right to do.
        holder: Who holds it.
        token: Grows with every new holder; a fence for late writers.
        expires_at: When it lapses unless renewed.
    """

    name: str
    holder: str
    token: int
    expires_at: datetime


class LeaseStore(Protocol):
    """Leases by name.

    Thread-safe and process-safe. At any moment at most one holder has an unexpired lease of a name. `acquire` by
    its holder renews it and keeps the token; by another it succeeds only after expiry or release, with a greater
    token. The caller passes the present, so tests can freeze it. No events: leases are plumbing.
    """

    @abstractmethod
    def acquire(self, name: str, *, holder: str, ttl_s: float, now: datetime) -> Lease | None:
        """Take or renew a lease; None while another holds it."""

    @abstractmethod
    def release(self, name: str, *, holder: str) -> bool:
        """Give a lease back; return whether the holder had it."""

    @abstractmethod
    def find(self, name: str) -> Lease | None:
        """Return the lease as last taken, expired or not."""
