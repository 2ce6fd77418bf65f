"""What every store of feature views, and every online store, must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput, NotFound
from interlock.core.schema import Column
from interlock.ports.feature_store import FeatureView, OnlineRow
from interlock.ports.journal import Edge
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
KEYS: list[tuple[str | int | float | bool, ...]] = [
    (1, 23),
    (12, 3),
    ("1", 23),
    (1, "23"),
    (123,),
    (True,),
    (1,),
    (1.0,),
    ("",),
    (),
    (False,),
    (0,),
    ("é", -1),
]


def feature_view(name: str = "weather", **changes: object) -> FeatureView:
    """Return a draft definition."""
    view = FeatureView(
        name,
        entity=("origin",),
        features=(Column("temp", "double", unit="F"),),
        known_at="measured_at",
        ttl_s=7200.0,
        source="dataset:weather@1",
    )
    return msgspec.structs.replace(view, **changes)


def online_row(*key: str | int | float | bool, minutes: float = 0, **values: object) -> OnlineRow:
    """Return a row known some minutes after noon."""
    return OnlineRow(key, NOON + timedelta(minutes=minutes), values)


class FeatureViewStoreContract(Contract):
    """Versioned definitions."""

    def test_the_first_definition_is_version_one(self, stores: Stores) -> None:
        applied = stores.features.apply(feature_view(version=9))
        assert applied == feature_view(version=1)
        assert applied.ref == "feature:weather@1"
        assert stores.features.get("weather") == stores.features.find("weather") == applied

    def test_an_equal_definition_changes_nothing(self, stores: Stores) -> None:
        applied = stores.features.apply(feature_view())
        assert stores.features.apply(feature_view()) == applied
        assert stores.features.apply(applied) == applied
        assert len(stores.journal.events()) == 1

    def test_a_changed_definition_is_the_next_version(self, stores: Stores) -> None:
        first = stores.features.apply(feature_view())
        second = stores.features.apply(feature_view(ttl_s=None))
        third = stores.features.apply(feature_view())
        assert [view.version for view in (first, second, third)] == [1, 2, 3]
        assert stores.features.get("weather") == third
        assert [stores.features.get("weather", version=n) for n in (1, 2, 3)] == [first, second, third]

    def test_unknown_names_and_versions(self, stores: Stores) -> None:
        stores.features.apply(feature_view())
        with pytest.raises(NotFound, match="wether") as caught:
            stores.features.get("wether")
        assert "weather" in caught.value.why
        for version in (0, 2, -1):
            with pytest.raises(NotFound):
                stores.features.get("weather", version=version)
        assert stores.features.find("wether") is None

    @pytest.mark.parametrize("name", ["", "no spaces", "../up", "a" * 300])
    def test_a_bad_name_is_refused(self, stores: Stores, name: str) -> None:
        with pytest.raises(InvalidInput):
            stores.features.apply(feature_view(name))
        assert stores.features.views() == []
        assert stores.journal.events() == []

    def test_the_newest_of_each_is_listed_by_name(self, stores: Stores) -> None:
        for name in ("b", "a", "c", "a"):
            stores.features.apply(feature_view(name, description=str(len(stores.journal.events()))))
        listed = stores.features.views()
        assert [view.ref for view in listed] == ["feature:a@2", "feature:b@1", "feature:c@1"]
        assert stores.features.views(after="a", limit=1) == listed[1:2]

    def test_applying_writes_event_and_edge(self, stores: Stores) -> None:
        stores.features.apply(feature_view())
        stores.features.apply(feature_view("sourceless", source=""))
        events = [(event.kind, event.subject) for event in stores.journal.events()]
        assert events == [("feature.applied", "feature:weather@1"), ("feature.applied", "feature:sourceless@1")]
        edge = Edge("dataset:weather@1", "feature:weather@1", "read_by")
        assert stores.journal.walk("feature:weather@1", direction="back") == [edge]
        assert stores.journal.walk("feature:sourceless@1", direction="back") == []

    def test_parallel_changes_get_distinct_versions(self, stores: Stores) -> None:
        drafts = [feature_view(description=str(n)) for n in range(16)]
        with ThreadPoolExecutor(8) as pool:
            versions = [view.version for view in pool.map(stores.features.apply, drafts)]
        assert sorted(versions) == list(range(1, 17))


class OnlineStoreContract(Contract):
    """The newest row per key."""

    def test_rows_are_read_in_the_order_asked(self, stores: Stores) -> None:
        rows = [online_row("JFK", temp=70.5, sky=None), online_row("LGA", temp=71.0, sky="clear")]
        assert stores.online.write("weather", rows) == 2
        assert stores.online.read("weather", [("LGA",), ("EWR",), ("JFK",), ("LGA",)]) == [
            rows[1],
            None,
            rows[0],
            rows[1],
        ]
        assert stores.online.count("weather") == 2

    def test_nothing_is_nothing(self, stores: Stores) -> None:
        assert stores.online.write("weather", []) == 0
        assert stores.online.read("weather", []) == []
        assert stores.online.read("weather", [("JFK",)]) == [None]
        assert stores.online.count("weather") == 0

    def test_keys_differ_by_type_and_value(self, stores: Stores) -> None:
        rows = [online_row(*key, n=n) for n, key in enumerate(KEYS)]
        assert stores.online.write("v", rows) == len(KEYS)
        assert [row.values["n"] for row in stores.online.read("v", KEYS) if row] == list(range(len(KEYS)))
        assert stores.online.count("v") == len(KEYS)

    def test_keys_come_back_with_their_types(self, stores: Stores) -> None:
        stores.online.write("v", [online_row(*key) for key in KEYS])
        found = [row.key for row in stores.online.read("v", KEYS) if row]
        assert [[(type(part), part) for part in key] for key in found] == [
            [(type(part), part) for part in key] for key in KEYS
        ]

    def test_views_are_apart(self, stores: Stores) -> None:
        stores.online.write("a", [online_row(1, x=1)])
        stores.online.write("b", [online_row(1, x=2)])
        assert stores.online.read("a", [(1,)]) == [online_row(1, x=1)]
        assert stores.online.read("b", [(1,)]) == [online_row(1, x=2)]

    def test_a_late_row_never_replaces_a_newer_one(self, stores: Stores) -> None:
        stores.online.write("v", [online_row(1, minutes=5, x="new")])
        assert stores.online.write("v", [online_row(1, minutes=4.99, x="late"), online_row(2, x="other")]) == 1
        assert stores.online.read("v", [(1,)]) == [online_row(1, minutes=5, x="new")]

    def test_a_row_as_old_as_the_stored_one_replaces_it(self, stores: Stores) -> None:
        stores.online.write("v", [online_row(1, x="first", gone=1)])
        assert stores.online.write("v", [online_row(1, x="second")]) == 1
        assert stores.online.read("v", [(1,)]) == [online_row(1, x="second")]

    def test_within_a_batch_the_same_rule_holds(self, stores: Stores) -> None:
        batch = [online_row(1, minutes=m, x=m) for m in (1, 3, 2, 3)]
        assert stores.online.write("v", batch) == 3
        assert stores.online.read("v", [(1,)]) == [online_row(1, minutes=3, x=3)]

    def test_times_of_other_zones_are_the_same_moment(self, stores: Stores) -> None:
        local = OnlineRow((1,), NOON.astimezone(timezone(timedelta(hours=-5))), {})
        stores.online.write("v", [local])
        assert stores.online.read("v", [(1,)]) == [online_row(1)]

    def test_a_naive_time_is_refused_and_nothing_written(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.online.write("v", [online_row(1), OnlineRow((2,), NOON.replace(tzinfo=None), {})])
        assert stores.online.count("v") == 0

    def test_values_that_cannot_be_stored_are_refused_and_nothing_written(self, stores: Stores) -> None:
        for bad in (object(), 2**70):
            with pytest.raises(InvalidInput):
                stores.online.write("v", [online_row(1), online_row(2, x=bad)])
        assert stores.online.count("v") == 0

    def test_many_keys_at_once(self, stores: Stores) -> None:
        stores.online.write("v", [online_row(n, n=n) for n in range(1500)])
        found = stores.online.read("v", [(n,) for n in range(1600)])
        assert [row.values["n"] if row else None for row in found] == [*range(1500), *[None] * 100]

    def test_threads_leave_the_newest(self, stores: Stores) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda m: stores.online.write("v", [online_row(1, minutes=m % 17, x=m % 17)]), range(40)))
        assert stores.online.read("v", [(1,)]) == [online_row(1, minutes=16, x=16)]


_names = st.sampled_from(["a", "b", "bad name"])
_views = st.builds(
    feature_view,
    _names,
    ttl_s=st.sampled_from([None, 60.0]),
    source=st.sampled_from(["", "dataset:weather@1"]),
    version=st.integers(0, 3),
)
_keys = st.sampled_from([(1,), (True,), ("1",), (1.0,), (1, 2)])
_rows = st.lists(
    st.builds(
        OnlineRow,
        _keys,
        st.integers(0, 3).map(lambda m: NOON + timedelta(minutes=m)),
        st.dictionaries(st.sampled_from("xy"), st.none() | st.floats() | st.text(max_size=2), max_size=2),
    ),
    max_size=4,
)

FEATURE_VIEW_STORE_PLAYS: Plays = {
    "apply": st.fixed_dictionaries({"view": _views}),
    "get": st.fixed_dictionaries({"name": _names}, optional={"version": st.integers(0, 3)}),
    "find": st.fixed_dictionaries({"name": _names}),
    "views": st.fixed_dictionaries({}, optional={"after": _names, "limit": st.integers(1, 2)}),
}

ONLINE_STORE_PLAYS: Plays = {
    "write": st.fixed_dictionaries({"view": _names, "rows": _rows}),
    "read": st.fixed_dictionaries({"view": _names, "keys": st.lists(_keys, max_size=4)}),
    "count": st.fixed_dictionaries({"view": _names}),
}
