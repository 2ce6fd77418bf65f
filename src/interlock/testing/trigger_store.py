"""What every trigger store must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput, NotFound
from interlock.ports.stores import Stores
from interlock.ports.trigger_store import Trigger
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

RETRAIN = Trigger(
    "retrain-on-drift", "retrain", on="alert.opened", where={"endpoint": "delay"}, params={"days": 90, "models": ["a"]}
)


class TriggerStoreContract(Contract):
    """Standing orders, each carried out once."""

    def test_an_applied_trigger_is_listed_and_got(self, stores: Stores) -> None:
        assert stores.triggers.apply(RETRAIN) == RETRAIN
        weekly = stores.triggers.apply(Trigger("a-weekly", "retrain", cron="0 3 * * 1", time_zone="Europe/Berlin"))
        assert stores.triggers.get(RETRAIN.name) == RETRAIN
        assert stores.triggers.triggers() == [weekly, RETRAIN]

    def test_a_new_trigger_brings_its_cursor(self, stores: Stores) -> None:
        assert stores.triggers.apply(msgspec.structs.replace(RETRAIN, cursor=41)).cursor == 41

    def test_a_changed_trigger_keeps_its_cursor(self, stores: Stores) -> None:
        stores.triggers.apply(RETRAIN)
        stores.triggers.advance(RETRAIN.name, expect=0, to=7)
        changed = stores.triggers.apply(msgspec.structs.replace(RETRAIN, enabled=False, cursor=0))
        assert (changed.enabled, changed.cursor) == (False, 7)
        assert stores.triggers.get(RETRAIN.name) == changed

    def test_an_equal_trigger_changes_nothing(self, stores: Stores) -> None:
        for _ in range(2):
            stores.triggers.apply(RETRAIN)
        assert [(event.kind, event.subject) for event in stores.journal.events()] == [
            ("trigger.applied", "trigger:retrain-on-drift")
        ]

    def test_advance_moves_only_from_where_it_stands(self, stores: Stores) -> None:
        stores.triggers.apply(RETRAIN)
        assert stores.triggers.advance(RETRAIN.name, expect=3, to=4) is False
        assert stores.triggers.advance(RETRAIN.name, expect=0, to=4) is True
        assert stores.triggers.advance(RETRAIN.name, expect=0, to=4) is False
        assert stores.triggers.get(RETRAIN.name).cursor == 4
        assert stores.triggers.advance("unknown", expect=0, to=1) is False

    def test_only_a_firing_advance_writes_an_event(self, stores: Stores) -> None:
        stores.triggers.apply(RETRAIN)
        stores.triggers.advance(RETRAIN.name, expect=0, to=4)
        stores.triggers.advance(RETRAIN.name, expect=4, to=9, fired={"event": 9, "because": "alert:x"})
        stores.triggers.advance(RETRAIN.name, expect=4, to=9, fired={"event": 9})
        fired = stores.journal.events(kinds=["trigger.fired"])
        assert [(event.subject, event.payload) for event in fired] == [
            ("trigger:retrain-on-drift", {"event": 9, "because": "alert:x"})
        ]

    def test_of_many_threads_one_acts(self, stores: Stores) -> None:
        stores.triggers.apply(RETRAIN)
        with ThreadPoolExecutor(8) as pool:
            moved = list(
                pool.map(lambda n: stores.triggers.advance(RETRAIN.name, expect=0, to=5, fired={"by": n}), range(16))
            )
        assert sum(moved) == 1
        assert len(stores.journal.events(kinds=["trigger.fired"])) == 1

    def test_a_deleted_trigger_is_gone(self, stores: Stores) -> None:
        stores.triggers.apply(RETRAIN)
        assert stores.triggers.delete(RETRAIN.name) is True
        assert stores.triggers.delete(RETRAIN.name) is False
        assert stores.triggers.triggers() == []

    def test_an_unknown_name_names_the_near_one(self, stores: Stores) -> None:
        stores.triggers.apply(RETRAIN)
        with pytest.raises(NotFound) as caught:
            stores.triggers.get("retrain-on-drfit")
        assert RETRAIN.name in caught.value.why

    def test_a_bad_name_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.triggers.apply(Trigger("no spaces", "retrain"))
        assert stores.triggers.triggers() == []
        assert stores.journal.events() == []


_names = st.sampled_from(["a", "b"])
_cursors = st.integers(0, 2)

TRIGGER_STORE_PLAYS: Plays = {
    "apply": st.fixed_dictionaries(
        {
            "trigger": st.builds(
                Trigger,
                _names,
                st.just("retrain"),
                on=st.sampled_from([None, "alert.opened"]),
                where=st.dictionaries(st.sampled_from("xy"), st.integers(0, 1) | st.text(max_size=1), max_size=2),
                enabled=st.booleans(),
                cursor=_cursors,
            )
        }
    ),
    "get": st.fixed_dictionaries({"name": _names}),
    "triggers": st.just({}),
    "advance": st.fixed_dictionaries(
        {"name": _names, "expect": _cursors, "to": _cursors}, optional={"fired": st.just({"event": 1})}
    ),
    "delete": st.fixed_dictionaries({"name": _names}),
}
