"""What every step cache must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput
from interlock.core.hashing import digest_of
from interlock.ports.step_cache import StepRecord, Touched
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def step_record(key: str, *, minutes: float = 0, **changes: object) -> StepRecord:
    """Return a record made some minutes after noon."""
    record = StepRecord(
        key=key,
        step="flights.train",
        run="01J0000000000000000000000A",
        created_at=NOON + timedelta(minutes=minutes),
        duration_s=1.25,
        symbols={"flights.train": "b3:1", "flights.RATE": "b3:2"},
        inputs={"table": "b3:3"},
        libraries={"numpy": "2.2.0"},
        output=digest_of(key.encode()),
        output_form="arrow",
        shown={"flights.RATE": "0.5"},
    )
    return msgspec.structs.replace(record, **changes)


class StepCacheContract(Contract):
    """What steps produced before."""

    def test_a_record_is_found_by_its_key(self, stores: Stores) -> None:
        record = step_record("k")
        assert stores.steps.find("k") is None
        assert stores.steps.put(record) == record
        assert stores.steps.find("k") == record

    def test_what_a_step_touched_is_kept(self, stores: Stores) -> None:
        touched = (Touched("file:data/x.csv", "b3:1", "7 120 1 1"), Touched("env:RATE", "absent"))
        record = step_record("k", touched=touched, doubts=("clock: time.time in flights.train (flights.py:9)",))
        assert stores.steps.put(record) == record
        assert stores.steps.find("k") == record
        assert stores.steps.history("flights.train") == [record]

    def test_the_first_record_of_a_key_stands(self, stores: Stores) -> None:
        first = stores.steps.put(step_record("k"))
        assert stores.steps.put(step_record("k", minutes=5, output="b3:other")) == first
        assert stores.steps.find("k") == first
        assert stores.steps.history("flights.train") == [first]

    def test_history_is_newest_first(self, stores: Stores) -> None:
        for key, minutes in (("a", 1), ("b", 3), ("c", 2), ("d", 3)):
            stores.steps.put(step_record(key, minutes=minutes))
        stores.steps.put(step_record("other", minutes=9, step="flights.load"))
        assert [record.key for record in stores.steps.history("flights.train")] == ["d", "b", "c", "a"]
        assert [record.key for record in stores.steps.history("flights.train", limit=2)] == ["d", "b"]
        assert stores.steps.history("flights.unknown") == []

    def test_a_deleted_record_is_forgotten(self, stores: Stores) -> None:
        stores.steps.put(step_record("k"))
        assert stores.steps.delete("k") is True
        assert stores.steps.delete("k") is False
        assert stores.steps.find("k") is None
        assert stores.steps.history("flights.train") == []
        again = step_record("k", output="b3:again")
        assert stores.steps.put(again) == again

    def test_of_many_threads_all_get_one_record(self, stores: Stores) -> None:
        records = [step_record("k", output=f"b3:{n}") for n in range(16)]
        with ThreadPoolExecutor(8) as pool:
            standing = list(pool.map(stores.steps.put, records))
        assert len({record.output for record in standing}) == 1

    def test_many_are_found_at_once(self, stores: Stores) -> None:
        records = {key: stores.steps.put(step_record(key)) for key in ("a", "b", "c")}
        found = stores.steps.find_many(["a", "none", "c", "a"])
        assert sorted(found, key=lambda record: record.key) == [records["a"], records["c"]]
        assert stores.steps.find_many([]) == []
        assert len(stores.steps.find_many([f"k{n}" for n in range(1200)] + ["b"])) == 1

    def test_a_naive_time_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.steps.put(step_record("k", created_at=NOON.replace(tzinfo=None)))
        assert stores.steps.find("k") is None


_keys = st.sampled_from(["a", "b", "c"])
_steps = st.sampled_from(["x.train", "x.load"])

STEP_CACHE_PLAYS: Plays = {
    "find": st.fixed_dictionaries({"key": _keys}),
    "put": st.fixed_dictionaries(
        {
            "record": st.builds(
                step_record, _keys, minutes=st.integers(0, 3), step=_steps, output=st.sampled_from(["b3:1", "b3:2"])
            )
        }
    ),
    "find_many": st.fixed_dictionaries({"keys": st.lists(_keys, max_size=1)}),
    "history": st.fixed_dictionaries({"step": _steps}, optional={"limit": st.integers(1, 2)}),
    "delete": st.fixed_dictionaries({"key": _keys}),
}
