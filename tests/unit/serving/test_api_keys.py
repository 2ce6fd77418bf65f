from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock
from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.ports.stores import Stores
from interlock.serving.api_keys import COLLECTION, PREFIX, ApiKeys, parse_rate, parse_time

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def stores(clock: FrozenClock) -> Stores:
    return memory_stores(clock=clock)


@pytest.fixture
def keys(stores: Stores, clock: FrozenClock) -> ApiKeys:
    return ApiKeys(stores.records, stores.journal, clock=clock)


def test_only_the_digest_is_kept(keys: ApiKeys, stores: Stores) -> None:
    key, secret = keys.create("dash", endpoints=["delay", "delay"], rate_per_s=2.5, lasts=timedelta(days=1))
    assert secret.startswith(PREFIX)
    assert len(secret) == len(PREFIX) + 43
    assert key.digest == hashlib.sha256(secret.encode()).hexdigest()
    kept = stores.records.get(COLLECTION, "dash").body
    assert secret not in str(kept)
    assert secret not in str([event.payload for event in stores.journal.events()])
    assert keys.listed() == [key]
    assert (key.endpoints, key.burst, key.hint) == (("delay",), 3, secret[:8])
    assert key.expires_at == NOW + timedelta(days=1)


def test_making_and_revoking_is_told(keys: ApiKeys, stores: Stores) -> None:
    keys.create("dash", admin=True)
    keys.revoke("dash")
    told = [(event.kind, event.payload["name"]) for event in stores.journal.events(kinds=["key."])]
    assert told == [("key.created", "dash"), ("key.revoked", "dash")]


def test_states(keys: ApiKeys, clock: FrozenClock) -> None:
    key, _ = keys.create("a", lasts=timedelta(hours=1))
    assert key.state(NOW) == "active"
    assert key.state(NOW + timedelta(hours=1)) == "expired"
    assert keys.revoke("a").state(NOW) == "revoked"
    assert keys.revoke("a").revoked_at == NOW


def test_a_name_is_free_again_when_its_key_has_ended(keys: ApiKeys, clock: FrozenClock) -> None:
    first, _ = keys.create("a", lasts=timedelta(hours=1))
    with pytest.raises(Conflict):
        keys.create("a")
    clock.advance(3_600)
    second, _ = keys.create("a")
    assert second.digest != first.digest
    assert keys.listed() == [second]
    keys.revoke("a")
    keys.create("a")


@pytest.mark.parametrize(
    "wish",
    [
        {"rate_per_s": 0.0},
        {"rate_per_s": float("nan")},
        {"burst": 3},
        {"rate_per_s": 1.0, "burst": 0},
        {"lasts": timedelta(0)},
        {"endpoints": ["no such*name"]},
    ],
)
def test_what_makes_no_sense_is_refused(keys: ApiKeys, wish: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        keys.create("a", **wish)  # type: ignore[arg-type]
    assert keys.listed() == []


def test_unknown_keys_are_named(keys: ApiKeys) -> None:
    keys.create("dash")
    with pytest.raises(NotFound, match="dash"):
        keys.revoke("dsh")


@pytest.mark.parametrize("text", ["", "x", "0/s", "-1/s", "5/fortnight", "1e9/s", "nan"])
def test_rates_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_rate(text)


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "5y", "1e30d"])
def test_times_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_time(text)
