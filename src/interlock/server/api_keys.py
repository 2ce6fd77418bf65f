"""Admit requests by their API key: whose it is, what it may, and how often."""

from __future__ import annotations

import hmac
import logging
import mmap
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from interlock.core.background import in_background
from interlock.core.clock import Clock, SystemClock, to_micros
from interlock.core.errors import InterlockError, Overloaded, Refused, Unauthorised
from interlock.ports.journal import Journal
from interlock.server.http import Rejection
from interlock.serving.api_keys import SUBJECT, ApiKey, ApiKeys, digest_of_key
from interlock.serving.counters import CounterFile, Layout, Series, private_series, read_series

LATER = "*"
"""In place of an endpoint: what was shown is checked now; for what, and how often, when the endpoint is known."""

_logger = logging.getLogger(__name__)
_USE = Layout("keys", 8, 1_024)
_COUNT, _LAST_MS, _REFUSED = range(3)
_PLACES = 65_536
_RATES_FILE = "rates.bin"
_LOOK_EVERY_S = 0.4
_NS = 1_000_000_000


class KeyUse(msgspec.Struct, frozen=True):
    """How a key was used on this machine.

    Args:
        requests: Requests that it let in.
        refused: Requests that were refused, most often because there were too many.
        last_used_ms: When it was shown last. Unit: milliseconds since 1970 UTC.
    """

    requests: int
    refused: int
    last_used_ms: int


class Caller(msgspec.Struct, frozen=True):
    """Who makes a request, by the key that was shown.

    Args:
        name: The key's name.
        headers: What the answer tells of its rate.
    """

    name: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


OWNER = "owner"
"""Who calls with the owner's key, in the words of the access log."""


class _Entry(msgspec.Struct):
    key: ApiKey
    digest: bytes
    expires_micros: int
    use: Series
    step_ns: int
    slack_ns: int


class KeyGate:
    """The keys of a workspace, at hand for every request.

    Thread-safe. All processes of a machine draw on the same rates.

    Args:
        keys: The keys.
        journal: Tells that they changed.
        folder: Where the processes of this machine share rates and use; None keeps them to this process.
        clock: Tells when keys expire.
        owner: A key that may do everything, of whoever may read the workspace's folder.
    """

    def __init__(
        self,
        keys: ApiKeys,
        journal: Journal,
        *,
        folder: Path | None = None,
        clock: Clock | None = None,
        owner: str | None = None,
    ) -> None:
        self._owner = digest_of_key(owner.encode()) if owner is not None else None
        self._keys = keys
        self._journal = journal
        self._clock = clock or SystemClock()
        self._file = CounterFile(folder, _USE) if folder is not None else None
        self._rates = _shared_rates(folder) if folder is not None else memoryview(bytearray(8 * _PLACES)).cast("Q")
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._seen = 0
        self._entries: dict[bytes, _Entry] = {}
        self._is_active = False
        self.refresh()

    @property
    def is_active(self) -> bool:
        """Whether any key was ever made: from then on the data plane is open to nobody without one."""
        return self._is_active

    def start(self) -> None:
        """Follow what changes from now on, in a thread, so that a revoked key is refused within half a second."""
        in_background(self._follow, name="interlock-keys")

    def refresh(self) -> None:
        """Follow what changed since the last time."""
        with self._lock:
            newest = self._journal.last_seq()
            if newest == self._seen and self._seen:
                return
            if self._seen and not self._journal.events(after=self._seen, subject=SUBJECT, limit=1):
                self._seen = newest
                return
            entries = [self._entry(key) for key in self._keys.listed()]
            self._entries = {entry.digest: entry for entry in entries}
            self._is_active = bool(entries)
            self._seen = newest

    def admit(self, credential: bytes, *, endpoint: str, admin: bool = False) -> Caller:
        """Return who shows a key, and count the request against its rate.

        Cost: two microseconds.

        Args:
            credential: What was shown.
            endpoint: The endpoint that the request is for; empty where it is for none or several.
            admin: Whether it changes what is served.

        Raises:
            Rejection: The key is unknown, revoked or expired (401), may not do this (403), or asks too often (429).
        """
        digest = digest_of_key(credential)
        if self._owner is not None and hmac.compare_digest(self._owner, digest):
            return Caller(OWNER)
        entry = self._entries.get(digest)
        # found by its digest, of which nobody can learn by trying; compared again so that no lookup decides alone
        if entry is None or not hmac.compare_digest(entry.digest, digest):
            raise _unauthorised("the key is not one of this server's")
        key = entry.key
        if key.revoked_at is not None:
            raise _unauthorised(f"the key '{key.name}' was revoked")
        if entry.expires_micros and entry.expires_micros <= to_micros(self._clock.now()):
            raise _unauthorised(f"the key '{key.name}' has expired")
        if admin and not key.admin:
            raise self._refused(entry, f"the key '{key.name}' may not change what is served")
        if endpoint == LATER:
            return Caller(key.name)
        if key.endpoints and endpoint not in key.endpoints:
            asked = f"endpoint '{endpoint[:100]}'" if endpoint else "more than single endpoints"
            raise self._refused(entry, f"the key '{key.name}' is not for {asked}")
        headers = self._draw(entry) if entry.step_ns else ()
        cells = entry.use.cells
        cells[_COUNT] += 1
        cells[_LAST_MS] = time.time_ns() // 1_000_000
        return Caller(key.name, headers)

    def use(self) -> dict[str, KeyUse]:
        """Return how keys were used on this machine, by name."""
        if self._file is None:
            return {entry.key.name: _use_of(entry.use.cells.tolist()) for entry in self._entries.values()}
        return read_use(self._file.path.parent)

    def close(self) -> None:
        """Stop following, and leave the file to the next process."""
        self._stopping.set()
        if self._file is not None:
            self._file.close()

    def _follow(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 (the edge of its thread; a key that is revoked later must be seen)
                _logger.warning("cannot follow the keys: %s", error)

    def _entry(self, key: ApiKey) -> _Entry:
        digest = bytes.fromhex(key.digest)
        known = self._entries.get(digest)
        if known is not None:
            use = known.use
        elif self._file is not None:
            use = self._file.series({"key": key.name})
        else:
            use = private_series(_USE.cells)
        step_ns = round(_NS / key.rate_per_s) if key.rate_per_s else 0
        return _Entry(
            key,
            digest,
            0 if key.expires_at is None else to_micros(key.expires_at),
            use,
            step_ns,
            step_ns * (key.burst - 1),
        )

    def _draw(self, entry: _Entry) -> tuple[tuple[bytes, bytes], ...]:
        """Take one request from a key's rate.

        Source: the generic cell rate algorithm, which is a token bucket kept as one number: the moment at which the
        bucket would be full again. Another process that draws in the same tenth of a microsecond may be overlooked.
        """
        place = entry.key.place % _PLACES
        now = time.monotonic_ns()
        with self._lock:
            full_at = self._rates[place]
            # a moment that no draw can have written comes from before the machine was started again
            if full_at < now or full_at - now > entry.slack_ns + 2 * entry.step_ns:
                full_at = now
            wait_ns = full_at - now - entry.slack_ns
            if wait_ns <= 0:
                full_at += entry.step_ns
                self._rates[place] = full_at
        key = entry.key
        left = max(0, (entry.slack_ns + entry.step_ns - (full_at - now)) // entry.step_ns)
        reset_s = -(-(full_at - now) // _NS)
        headers = (
            (b"ratelimit-limit", b"%d" % key.burst),
            (b"ratelimit-remaining", b"%d" % left),
            (b"ratelimit-reset", b"%d" % reset_s),
        )
        if wait_ns <= 0:
            return headers
        entry.use.cells[_REFUSED] += 1
        seconds = max(1, -(-wait_ns // _NS))
        raise Rejection(
            Overloaded(
                f"the key '{key.name}' asks too often",
                why=f"it may make {key.rate_per_s:g} requests a second, {key.burst} at once",
                fix=f"try again in {seconds} s",
            ),
            status=429,
            headers=((b"retry-after", b"%d" % seconds), *headers),
        )

    def _refused(self, entry: _Entry, why: str) -> Rejection:
        entry.use.cells[_REFUSED] += 1
        fix = "interlock endpoint key create NAME --endpoint E, or --admin"
        return Rejection(Refused("this key may not do that", why=why, fix=fix), status=403)


def read_use(folder: Path) -> dict[str, KeyUse]:
    """Return how keys were used by all processes of this machine, by name."""
    found: dict[str, KeyUse] = {}
    for reading in read_series(folder, _USE):
        name, one = reading.label["key"], _use_of(reading.cells)
        if name in found:
            more = found[name]
            one = KeyUse(
                one.requests + more.requests,
                one.refused + more.refused,
                max(one.last_used_ms, more.last_used_ms),
            )
        found[name] = one
    return found


def credential_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the token or key that a request shows, in `Authorization: Bearer …` or `x-api-key`; None if it shows none.

    The names are in lower case, as they are in ASGI and in the metadata of gRPC.

    Example:
        >>> credential_of([(b"x-api-key", b"ilk_abc")])
        b'ilk_abc'
    """
    found = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, credential = value.partition(b" ")
            return credential.strip() if scheme.lower() == b"bearer" else b""
        if name == b"x-api-key":
            found = value.strip()
    return found


def credential_of_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> bytes | None:
    """Return the token or key in the metadata of a gRPC call."""
    return credential_of(
        (name.lower().encode(), value.encode() if isinstance(value, str) else value) for name, value in metadata
    )


def _unauthorised(why: str) -> Rejection:
    error: InterlockError = Unauthorised(
        "this server wants a key", why=why, fix="send 'Authorization: Bearer KEY'; interlock endpoint key create NAME"
    )
    return Rejection(error, status=401, headers=((b"www-authenticate", b"Bearer"),))


def _use_of(cells: list[int]) -> KeyUse:
    return KeyUse(cells[_COUNT], cells[_REFUSED], cells[_LAST_MS])


def _shared_rates(folder: Path) -> memoryview:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(folder / _RATES_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(file).st_size < 8 * _PLACES:
            os.ftruncate(file, 8 * _PLACES)
        return memoryview(mmap.mmap(file, 8 * _PLACES)).cast("Q")
    finally:
        os.close(file)
