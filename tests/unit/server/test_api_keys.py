from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock
from interlock.ports.stores import Stores
from interlock.server import api_keys
from interlock.server.api_keys import LATER, KeyGate, credential_of, credential_of_metadata, read_use
from interlock.server.guard import Access, Guard
from interlock.server.http import Rejection
from interlock.serving.api_keys import ApiKeys

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


@pytest.fixture
def gate(keys: ApiKeys, stores: Stores, clock: FrozenClock) -> KeyGate:
    return KeyGate(keys, stores.journal, clock=clock)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Stop the clock that rates go by; return what moves it on by some seconds."""
    now = [10**15]
    monkeypatch.setattr(api_keys.time, "monotonic_ns", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += round(seconds * 1e9)

    return move


def status(act: Callable[[], object]) -> int:
    """Return the status that something is refused with, or 200."""
    try:
        act()
    except Rejection as refused:
        return refused.status
    return 200


def test_before_the_first_key_everything_is_as_it_was(gate: KeyGate) -> None:
    for access in ("open", "api", "data", "admin"):
        assert Guard(keys=gate).check(None, access) is None
    guarded = Guard(keys=gate, token="t")
    assert guarded.check(b"t", "data") is None
    assert status(lambda: guarded.check(None, "data")) == 401


def test_from_the_first_key_on_predictions_want_one(gate: KeyGate, keys: ApiKeys) -> None:
    _, secret = keys.create("dash")
    gate.refresh()
    guard = Guard(keys=gate)
    assert status(lambda: guard.check(None, "data")) == 401
    assert status(lambda: guard.check(b"", "data")) == 401
    assert status(lambda: guard.check(b"ilk_wrong", "data")) == 401
    caller = guard.check(secret.encode(), "data", "delay")
    assert caller is not None
    assert (caller.name, caller.headers) == ("dash", ())
    # probes stay open, and so does the control plane where it has no token
    assert guard.check(None, "open") is None
    assert guard.check(None, "api") is None
    # a key that ended leaves the door shut
    keys.revoke("dash")
    gate.refresh()
    assert status(lambda: guard.check(None, "data")) == 401


def test_the_server_s_token_may_do_everything(gate: KeyGate, keys: ApiKeys) -> None:
    _, secret = keys.create("dash", admin=True)
    gate.refresh()
    guard = Guard(keys=gate, token="t")
    accesses: tuple[Access, ...] = ("api", "data", "admin")
    assert [status(lambda a=access: guard.check(b"t", a)) for access in accesses] == [200, 200, 200]  # type: ignore[misc]
    # a key is for the data plane only
    assert [status(lambda a=access: guard.check(secret.encode(), a)) for access in accesses] == [401, 200, 200]  # type: ignore[misc]


def test_revoked_expired_and_foreign_keys(gate: KeyGate, keys: ApiKeys, clock: FrozenClock) -> None:
    _, short = keys.create("short", lasts=timedelta(hours=1))
    _, gone = keys.create("gone")
    gate.refresh()
    assert gate.admit(short.encode(), endpoint="").name == "short"
    clock.advance(3_600)
    with pytest.raises(Rejection) as refused:
        gate.admit(short.encode(), endpoint="")
    assert (refused.value.status, refused.value.error.why) == (401, "the key 'short' has expired")
    assert gate.admit(gone.encode(), endpoint="").name == "gone"
    keys.revoke("gone")
    gate.refresh()
    with pytest.raises(Rejection, match="wants a key") as refused:
        gate.admit(gone.encode(), endpoint="")
    assert refused.value.error.why == "the key 'gone' was revoked"


def test_scopes(gate: KeyGate, keys: ApiKeys) -> None:
    _, one = keys.create("one", endpoints=["delay"])
    _, chief = keys.create("chief", admin=True)
    gate.refresh()
    assert status(lambda: gate.admit(one.encode(), endpoint="delay")) == 200
    assert status(lambda: gate.admit(one.encode(), endpoint="fare")) == 403
    assert status(lambda: gate.admit(one.encode(), endpoint="")) == 403
    assert status(lambda: gate.admit(one.encode(), endpoint="delay", admin=True)) == 403
    assert status(lambda: gate.admit(chief.encode(), endpoint="fare", admin=True)) == 200
    assert gate.use()["one"].refused == 3
    # what is mounted is checked again when the endpoint is known
    assert status(lambda: gate.admit(one.encode(), endpoint=LATER)) == 200


def test_a_rate_is_a_bucket_that_fills_up_again(gate: KeyGate, keys: ApiKeys, moment: Callable[[float], None]) -> None:
    _, secret = keys.create("dash", rate_per_s=10, burst=3)
    gate.refresh()

    def ask() -> int:
        return status(lambda: gate.admit(secret.encode(), endpoint="delay"))

    assert [ask() for _ in range(5)] == [200, 200, 200, 429, 429]
    moment(0.1)
    assert [ask() for _ in range(2)] == [200, 429]
    moment(100)
    assert [ask() for _ in range(4)] == [200, 200, 200, 429]


def test_a_flood_is_let_through_at_the_rate(gate: KeyGate, keys: ApiKeys, moment: Callable[[float], None]) -> None:
    _, secret = keys.create("dash", rate_per_s=100, burst=10)
    gate.refresh()
    taken = 0
    for _ in range(20_000):
        moment(0.000_5)
        taken += status(lambda: gate.admit(secret.encode(), endpoint="")) == 200
    assert 1_000 <= taken <= 1_011
    assert gate.use()["dash"].requests == taken
    assert gate.use()["dash"].refused == 20_000 - taken


def test_the_answer_says_when_to_come_again(gate: KeyGate, keys: ApiKeys, moment: Callable[[float], None]) -> None:
    _, secret = keys.create("dash", rate_per_s=0.5, burst=2)
    gate.refresh()
    moment(0)
    caller = gate.admit(secret.encode(), endpoint="")
    assert dict(caller.headers) == {
        b"ratelimit-limit": b"2",
        b"ratelimit-remaining": b"1",
        b"ratelimit-reset": b"2",
    }
    gate.admit(secret.encode(), endpoint="")
    with pytest.raises(Rejection) as refused:
        gate.admit(secret.encode(), endpoint="")
    headers = dict(refused.value.headers)
    assert (headers[b"retry-after"], headers[b"ratelimit-remaining"]) == (b"2", b"0")


def test_keys_do_not_draw_on_each_other(gate: KeyGate, keys: ApiKeys, moment: Callable[[float], None]) -> None:
    _, loud = keys.create("loud", rate_per_s=1, burst=1)
    _, quiet = keys.create("quiet", rate_per_s=1, burst=1)
    gate.refresh()
    moment(0)
    assert [status(lambda: gate.admit(loud.encode(), endpoint="")) for _ in range(3)] == [200, 429, 429]
    assert status(lambda: gate.admit(quiet.encode(), endpoint="")) == 200


def test_processes_share_rates_and_use(
    tmp_path: Path, keys: ApiKeys, stores: Stores, clock: FrozenClock, moment: Callable[[float], None]
) -> None:
    _, secret = keys.create("dash", rate_per_s=1, burst=2)
    gates = [KeyGate(keys, stores.journal, folder=tmp_path, clock=clock) for _ in range(2)]
    moment(0)
    assert [status(lambda g=gate: g.admit(secret.encode(), endpoint="")) for gate in gates * 2] == [200, 200, 429, 429]  # type: ignore[misc]
    use = gates[0].use()["dash"]
    assert (use.requests, use.refused) == (2, 2)
    for gate in gates:
        gate.close()
    assert read_use(tmp_path)["dash"].last_used_ms > 0


def test_a_moment_from_before_a_restart_of_the_machine_counts_for_nothing(
    gate: KeyGate, keys: ApiKeys, moment: Callable[[float], None]
) -> None:
    _, secret = keys.create("dash", rate_per_s=1, burst=2)
    gate.refresh()
    moment(0)
    assert [status(lambda: gate.admit(secret.encode(), endpoint="")) for _ in range(3)] == [200, 200, 429]
    moment(-100_000)
    assert status(lambda: gate.admit(secret.encode(), endpoint="")) == 200


def test_every_comparison_takes_the_same_time(gate: KeyGate, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = keys.create("dash")
    gate.refresh()
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    class Watched:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(api_keys, "hmac", Watched)
    gate.admit(secret.encode(), endpoint="")
    # digests are compared, of which a caller cannot choose a single byte
    assert [len(one) for pair in compared for one in pair] == [32, 32]
    assert secret.encode() not in [one for pair in compared for one in pair]


def test_it_follows_the_journal_in_a_thread(keys: ApiKeys, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "_LOOK_EVERY_S", 0.001)
    gate = KeyGate(keys, stores.journal)
    gate.start()
    _, secret = keys.create("dash")
    while not gate.is_active:
        gate._stopping.wait(0.001)
    assert gate.admit(secret.encode(), endpoint="").name == "dash"
    keys.revoke("dash")
    while status(lambda: gate.admit(secret.encode(), endpoint="")) == 200:
        gate._stopping.wait(0.001)
    gate.close()


def test_only_news_of_keys_is_read(gate: KeyGate, keys: ApiKeys, stores: Stores) -> None:
    gate.refresh()
    stores.journal.append("run.ended", "run:x")
    gate.refresh()
    assert not gate.is_active
    keys.create("dash")
    gate.refresh()
    gate.refresh()
    assert gate.is_active


def test_how_a_key_is_shown() -> None:
    assert credential_of([(b"host", b"x")]) is None
    assert credential_of([(b"authorization", b"bearer  abc ")]) == b"abc"
    assert credential_of([(b"authorization", b"Basic abc"), (b"x-api-key", b"abc")]) == b""
    assert credential_of([(b"x-api-key", b" abc ")]) == b"abc"
    assert credential_of_metadata([("Authorization", "Bearer abc")]) == b"abc"
    assert credential_of_metadata([("x-api-key", b"abc")]) == b"abc"
