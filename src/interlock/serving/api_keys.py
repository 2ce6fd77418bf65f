"""Give out keys for the data plane: shown once, kept as a digest, limited to endpoints, a rate and a time."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from interlock.core.clock import Clock, SystemClock
from interlock.core.errors import Conflict, InvalidInput, NotFound, did_you_mean
from interlock.core.refs import check_name
from interlock.ports.journal import Journal
from interlock.ports.record_store import Record, RecordStore

COLLECTION = "serving.keys"
SUBJECT = f"record:{COLLECTION}"
PREFIX = "ilk_"
"""How every key begins, so that scanners of code and logs find keys that leaked."""
_SECRET_BYTES = 32
_MOST_KEYS = 10_000
_MOST_PER_S = 1e6


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept: whoever reads it cannot use it.

    Args:
        name: What people call it; it stands in the access log.
        digest: SHA-256 of the key, in hex. The key is 256 random bits, so that there is nothing to guess.
        hint: Its first characters, by which its holder knows it again.
        endpoints: Which endpoints it may ask; all if there are none.
        admin: Whether it may change what is served.
        rate_per_s: How many requests a second it may make on the long run; any number if None.
        burst: How many it may make at once.
        created_at: When it was made.
        expires_at: When it ends.
        revoked_at: When it was revoked.
        place: Its number among all keys.
    """

    name: str
    digest: str
    hint: str
    endpoints: tuple[str, ...] = ()
    admin: bool = False
    rate_per_s: float | None = None
    burst: int = 1
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    place: int = 0

    def state(self, now: datetime) -> str:
        """Return `active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


class ApiKeys:
    """The keys of a workspace.

    Args:
        records: Where they are kept.
        journal: Where it is told that one was made or revoked.
        clock: Tells when.

    Example:
        key, secret = ApiKeys(stores.records, stores.journal).create("dashboard", endpoints=["delay"])
    """

    def __init__(self, records: RecordStore, journal: Journal, *, clock: Clock | None = None) -> None:
        self._records = records
        self._journal = journal
        self._clock = clock or SystemClock()

    def create(
        self,
        name: str,
        *,
        endpoints: Sequence[str] = (),
        admin: bool = False,
        rate_per_s: float | None = None,
        burst: int | None = None,
        lasts: timedelta | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key, and return it with its secret text, which nobody can find out later.

        Args:
            name: What people call it; the name of a key that was revoked or has expired may be used again.
            endpoints: Which endpoints it may ask; all by default.
            admin: Whether it may change what is served.
            rate_per_s: How many requests a second it may make on the long run.
            burst: How many it may make at once; as many as in a second by default.
            lasts: How long it is good for.

        Raises:
            Conflict: There is a key of that name.
            InvalidInput: The name, an endpoint, the rate or the time makes no sense.
        """
        check_name(name, of="record")
        for endpoint in endpoints:
            check_name(endpoint, of="endpoint")
        if rate_per_s is not None and not 0 < rate_per_s <= _MOST_PER_S:
            raise InvalidInput(f"a rate of {rate_per_s:g} a second cannot be held", why="expected more than 0")
        if burst is not None and (rate_per_s is None or burst < 1):
            raise InvalidInput("the burst makes no sense", why="it is 1 or more, and needs a rate", fix="--rate 100/s")
        if lasts is not None and lasts <= timedelta(0):
            raise InvalidInput("the key would have ended already", why=f"it lasts {lasts}", fix="--expires 30d")
        now = self._clock.now()
        before = self.find(name)
        if before is not None and before[0].state(now) == "active":
            raise Conflict(
                f"there is a key '{name}'",
                why="names are unique among keys in use",
                fix=f"interlock endpoint key revoke {name}",
            )
        secret = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        key = ApiKey(
            name=name,
            digest=digest_of_key(secret.encode()).hex(),
            hint=secret[:8],
            endpoints=tuple(dict.fromkeys(endpoints)),
            admin=admin,
            rate_per_s=rate_per_s,
            burst=burst or max(1, math.ceil(rate_per_s or 1)),
            created_at=now,
            expires_at=None if lasts is None else now + lasts,
        )
        kept = self._put(key, revision=0 if before is None else before[1])
        self._tell("key.created", kept)
        return kept, secret

    def listed(self) -> list[ApiKey]:
        """List all keys, those that were revoked or have expired included, in the order in which they were made."""
        found: list[ApiKey] = []
        after = 0
        while page := self._records.records(COLLECTION, after=after, limit=1_000):
            found += [_key(record) for record in page]
            after = page[-1].seq
            if len(found) >= _MOST_KEYS:
                break
        return found

    def find(self, name: str) -> tuple[ApiKey, int] | None:
        """Return a key and the revision of its record, or None."""
        found = self._records.find(COLLECTION, [name])
        return (_key(found[0]), found[0].revision) if found else None

    def revoke(self, name: str) -> ApiKey:
        """End a key at once; serving processes refuse it within a second. Revoking twice changes nothing.

        Raises:
            NotFound: There is no such key; the nearest names are given.
        """
        found = self.find(name)
        if found is None:
            why = did_you_mean(name, [key.name for key in self.listed()])
            raise NotFound(f"there is no key '{name[:100]}'", why=why, fix="interlock endpoint key list")
        key, revision = found
        if key.revoked_at is not None:
            return key
        kept = self._put(msgspec.structs.replace(key, revoked_at=self._clock.now()), revision=revision)
        self._tell("key.revoked", kept)
        return kept

    def _put(self, key: ApiKey, *, revision: int) -> ApiKey:
        body: dict[str, Any] = msgspec.to_builtins(key)
        del body["place"]
        return _key(self._records.put([Record(COLLECTION, key.name, body, revision=revision)])[0])

    def _tell(self, kind: str, key: ApiKey) -> None:
        limits = {"endpoints": list(key.endpoints), "admin": key.admin, "rate_per_s": key.rate_per_s}
        self._journal.append(kind, SUBJECT, payload={"name": key.name, **limits})


def digest_of_key(secret: bytes) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(secret).digest()


def parse_rate(text: str) -> float:
    """Read a rate as people write it. Unit: requests a second.

    Example:
        >>> parse_rate("100/s"), parse_rate("90/min"), parse_rate("3600/h")
        (100.0, 1.5, 1.0)
    """
    count, _, unit = text.strip().partition("/")
    seconds = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400}.get(unit.strip() or "s")
    try:
        rate = float(count) / (seconds or 0)
    except (ValueError, ZeroDivisionError):
        rate = math.nan
    if not 0 < rate <= _MOST_PER_S:
        raise InvalidInput(f"'{text[:40]}' is not a rate", why="expected as 100/s, 600/min or 5000/h")
    return rate


def parse_time(text: str) -> timedelta:
    """Read how long something lasts, as people write it.

    Example:
        >>> parse_time("30d").days, parse_time("12h").seconds
        (30, 43200)
    """
    unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}.get(text.strip()[-1:])
    try:
        lasts = timedelta(**{unit or "": float(text.strip()[:-1])})
    except (ValueError, TypeError, OverflowError):
        lasts = timedelta(0)
    if lasts <= timedelta(0):
        raise InvalidInput(f"'{text[:40]}' is not a length of time", why="expected as 90m, 12h, 30d or 4w")
    return lasts


def _key(record: Record) -> ApiKey:
    return msgspec.structs.replace(msgspec.convert(record.body, ApiKey), place=record.seq)
