"""One of many schedulers ticks; a tick that fails ends nothing; the lease moves on when its holder is gone."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from interlock.core.clock import FrozenClock
from interlock.core.errors import Unavailable
from interlock.ports.lease_store import Lease
from interlock.ports.stores import Stores
from interlock.server.scheduler import LEASE, LEASE_TTL_S, Scheduler
from tests.unit.server.conftest import START


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(START)


def test_ticks_are_called_in_order_with_the_present(stores: Stores, clock: FrozenClock) -> None:
    calls: list[tuple[str, datetime]] = []
    ticks = [lambda now: calls.append(("a", now)), lambda now: calls.append(("b", now))]
    scheduler = Scheduler(stores.leases, ticks, clock=clock)
    assert scheduler.round()
    assert calls == [("a", START), ("b", START)]


def test_of_two_one_ticks(stores: Stores, clock: FrozenClock) -> None:
    calls: list[str] = []
    first = Scheduler(stores.leases, [lambda now: calls.append("first")], clock=clock)
    second = Scheduler(stores.leases, [lambda now: calls.append("second")], clock=clock)
    assert [first.round(), second.round(), first.round(), second.round()] == [True, False, True, False]
    assert calls == ["first", "first"]


def test_the_lease_is_renewed_while_it_is_held_and_taken_over_when_it_lapses(
    stores: Stores, clock: FrozenClock
) -> None:
    first, second = (Scheduler(stores.leases, [], clock=clock) for _ in range(2))
    assert first.round()
    for _ in range(5):
        clock.advance(LEASE_TTL_S * 0.9)
        assert first.round()
        assert not second.round()
    clock.advance(LEASE_TTL_S * 1.1)
    assert second.round()
    assert not first.round()


def test_renewing_is_rarer_than_ticking(stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    acquire = stores.leases.acquire

    def counted(name: str, *, holder: str, ttl_s: float, now: datetime) -> Lease | None:
        nonlocal asked
        asked += 1
        return acquire(name, holder=holder, ttl_s=ttl_s, now=now)

    monkeypatch.setattr(stores.leases, "acquire", counted)
    scheduler = Scheduler(stores.leases, [], clock=clock)
    for _ in range(50):
        assert scheduler.round()
        clock.advance(0.2)
    assert asked == 3


def test_closing_gives_the_lease_back(stores: Stores, clock: FrozenClock) -> None:
    first, second = (Scheduler(stores.leases, [], clock=clock) for _ in range(2))
    first.round()
    first.close()
    assert second.round()


def test_a_tick_that_fails_is_logged_and_the_others_run(
    stores: Stores, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[datetime] = []

    def fail(now: datetime) -> None:
        raise ZeroDivisionError("a fault in a tick")

    scheduler = Scheduler(stores.leases, [fail, calls.append], clock=clock)
    assert scheduler.round()
    assert scheduler.round()
    assert len(calls) == 2
    assert "a fault in a tick" in caplog.text


def test_a_store_that_is_away_pauses_the_ticks(
    stores: Stores, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise Unavailable("the database is away")

    scheduler = Scheduler(stores.leases, [], clock=clock)
    with monkeypatch.context() as patch:
        patch.setattr(stores.leases, "acquire", away)
        patch.setattr(stores.leases, "release", away)
        assert not scheduler.round()
        scheduler.close()
    assert caplog.text.count("the database is away") == 2
    assert scheduler.round()


def test_the_thread_ticks_until_it_is_closed(stores: Stores) -> None:
    ticked = threading.Semaphore(0)
    with Scheduler(stores.leases, [lambda now: ticked.release()], tick_s=0.001):
        for _ in range(3):
            assert ticked.acquire(timeout=5)
        assert stores.leases.find(LEASE) is not None
    assert not any(thread.name == "interlock-scheduler" for thread in threading.enumerate())
    other = Scheduler(stores.leases, [])
    assert other.round()
    other.close()
