"""What every lease store must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.ports.lease_store import Lease
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    """Return a moment after noon."""
    return NOON + timedelta(seconds=seconds)


class LeaseStoreContract(Contract):
    """Of many, one."""

    def test_a_free_lease_is_taken(self, stores: Stores) -> None:
        assert stores.leases.find("loop") is None
        lease = stores.leases.acquire("loop", holder="ada", ttl_s=30, now=NOON)
        assert lease == Lease("loop", "ada", 1, later(30))
        assert stores.leases.find("loop") == lease

    def test_another_waits_until_it_lapses(self, stores: Stores) -> None:
        stores.leases.acquire("loop", holder="ada", ttl_s=30, now=NOON)
        assert stores.leases.acquire("loop", holder="bob", ttl_s=30, now=later(29.999999)) is None
        assert stores.leases.find("loop") == Lease("loop", "ada", 1, later(30))
        assert stores.leases.acquire("loop", holder="bob", ttl_s=30, now=later(30)) == Lease(
            "loop", "bob", 2, later(60)
        )

    def test_its_holder_renews_it_under_the_same_token(self, stores: Stores) -> None:
        stores.leases.acquire("loop", holder="ada", ttl_s=30, now=NOON)
        assert stores.leases.acquire("loop", holder="ada", ttl_s=30, now=later(20)) == Lease(
            "loop", "ada", 1, later(50)
        )
        assert stores.leases.acquire("loop", holder="ada", ttl_s=30, now=later(90)) == Lease(
            "loop", "ada", 1, later(120)
        )

    def test_a_released_lease_is_free_and_the_token_grows(self, stores: Stores) -> None:
        stores.leases.acquire("loop", holder="ada", ttl_s=30, now=NOON)
        assert stores.leases.release("loop", holder="bob") is False
        assert stores.leases.release("loop", holder="ada") is True
        assert stores.leases.release("loop", holder="ada") is False
        assert stores.leases.find("loop") is None
        taken = stores.leases.acquire("loop", holder="ada", ttl_s=30, now=later(1))
        assert taken is not None
        assert taken.token == 2

    def test_a_holder_who_lost_it_cannot_release_it(self, stores: Stores) -> None:
        stores.leases.acquire("loop", holder="ada", ttl_s=30, now=NOON)
        stores.leases.acquire("loop", holder="bob", ttl_s=30, now=later(31))
        assert stores.leases.release("loop", holder="ada") is False
        found = stores.leases.find("loop")
        assert found is not None
        assert found.holder == "bob"

    def test_names_are_apart(self, stores: Stores) -> None:
        for name in ("a", "b"):
            lease = stores.leases.acquire(name, holder=name, ttl_s=1, now=NOON)
            assert lease is not None
            assert lease.token == 1

    def test_of_many_threads_one_gets_it(self, stores: Stores) -> None:
        with ThreadPoolExecutor(8) as pool:
            taken = list(
                pool.map(lambda n: stores.leases.acquire("loop", holder=f"h{n}", ttl_s=30, now=NOON), range(16))
            )
        assert sum(lease is not None for lease in taken) == 1

    def test_a_naive_time_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.leases.acquire("loop", holder="ada", ttl_s=30, now=NOON.replace(tzinfo=None))
        assert stores.leases.find("loop") is None

    def test_leases_write_no_events(self, stores: Stores) -> None:
        stores.leases.acquire("loop", holder="ada", ttl_s=30, now=NOON)
        stores.leases.release("loop", holder="ada")
        assert stores.journal.events() == []


_names = st.sampled_from(["a", "b"])
_holders = st.sampled_from(["ada", "bob", "cyd"])

LEASE_STORE_PLAYS: Plays = {
    "acquire": st.fixed_dictionaries(
        {
            "name": _names,
            "holder": _holders,
            "ttl_s": st.sampled_from([0.0, 0.5, 10.0]),
            "now": st.integers(0, 20).map(later),
        }
    ),
    "release": st.fixed_dictionaries({"name": _names, "holder": _holders}),
    "find": st.fixed_dictionaries({"name": _names}),
}
