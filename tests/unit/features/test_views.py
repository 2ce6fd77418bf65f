from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow as pa
import pytest

from interlock.adapters.duckdb.offline_store import DuckDbOfflineStore
from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock
from interlock.core.errors import InvalidInput, NotFound, SchemaMismatch
from interlock.core.schema import Column
from interlock.features.views import Features
from interlock.ports.feature_store import FeatureView
from interlock.ports.stores import Stores

NOW = datetime(2013, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEATHER = FeatureView(
    "weather", ("origin",), (Column("wind", "double"),), "observed", ttl_s=7200.0, source="dataset:weather"
)
AGE = FeatureView("plane", ("tailnum",), (Column("age", "long"),), "built", source="dataset:planes")
TABLES = {
    "dataset:weather": pa.table(
        {
            "origin": ["JFK", "JFK", "EWR"],
            "observed": [NOW - 3 * HOUR, NOW - HOUR, NOW],
            "wind": [1.0, 2.0, 3.0],
        }
    ),
    "dataset:planes": pa.table({"tailnum": ["N1"], "built": [NOW - 999 * HOUR], "age": [7]}),
}


def read(ref: str) -> pa.Table:
    if ref not in TABLES:
        raise NotFound(f"there is no {ref}")
    return TABLES[ref]


@pytest.fixture
def stores() -> Stores:
    return memory_stores(clock=FrozenClock(NOW))


@pytest.fixture
def features(stores: Stores) -> Features:
    return Features(stores.features, stores.online, DuckDbOfflineStore(), read, stores.journal, clock=FrozenClock(NOW))


SPINE = pa.table(
    {
        "id": [3, 1, 2],
        "origin": ["JFK", "EWR", "JFK"],
        "tailnum": ["N1", "N1", "N9"],
        "at": [NOW, NOW - timedelta(microseconds=1), NOW - 4 * HOUR],
    }
)


def test_a_definition_is_checked_and_numbered(features: Features) -> None:
    assert features.apply(WEATHER).ref == "feature:weather@1"
    assert features.apply(WEATHER).version == 1
    assert features.apply(msgspec.structs.replace(WEATHER, ttl_s=None)).version == 2


def test_a_definition_without_a_source_is_checked_by_itself(features: Features) -> None:
    assert features.apply(msgspec.structs.replace(WEATHER, source="")).version == 1
    with pytest.raises(InvalidInput, match="became known"):
        features.apply(msgspec.structs.replace(WEATHER, source="", known_at=""))


def test_a_definition_that_does_not_fit_its_source_is_not_recorded(features: Features, stores: Stores) -> None:
    with pytest.raises(SchemaMismatch, match="has no column 'wnd'"):
        features.apply(msgspec.structs.replace(WEATHER, features=(Column("wnd", "double"),)))
    with pytest.raises(NotFound, match="no dataset:nothing"):
        features.apply(msgspec.structs.replace(WEATHER, source="dataset:nothing"))
    assert stores.features.find("weather") is None


def test_historical_gives_what_was_known_in_the_order_of_the_spine(features: Features) -> None:
    features.apply(WEATHER)
    joined = features.historical(SPINE, ["weather", AGE], time="at")
    assert joined.column_names == ["id", "origin", "tailnum", "at", "wind", "age"]
    assert joined.column("id").to_pylist() == [3, 1, 2]
    assert joined.column("wind").to_pylist() == [2.0, None, None]
    assert joined.column("age").to_pylist() == [7, 7, None]


def test_rows_may_be_given_in_place_of_the_source(features: Features) -> None:
    features.apply(WEATHER)
    other = pa.table({"origin": ["EWR"], "observed": [NOW - HOUR], "wind": [9.0]})
    joined = features.historical(SPINE, ["weather"], time="at", tables={"weather": other})
    assert joined.column("wind").to_pylist() == [None, 9.0, None]


def test_historical_refuses_what_cannot_be_joined(features: Features) -> None:
    with pytest.raises(NotFound):
        features.historical(SPINE, ["weather"], time="at")
    with pytest.raises(InvalidInput, match="has no rows") as caught:
        features.historical(SPINE, [msgspec.structs.replace(WEATHER, source="")], time="at")
    assert caught.value.fix == 'tables={"weather": rows}'
    with pytest.raises(InvalidInput, match="became known"):
        features.historical(SPINE, [msgspec.structs.replace(WEATHER, known_at="")], time="at")
    with pytest.raises(SchemaMismatch, match="the feature 'wind' of 'gale'"):
        features.historical(SPINE, [WEATHER, msgspec.structs.replace(WEATHER, name="gale")], time="at")
    naive = SPINE.set_column(3, "at", SPINE.column("at").cast(pa.timestamp("us")))
    with pytest.raises(SchemaMismatch, match="'at' of the spine"):
        features.historical(naive, [WEATHER], time="at")
    with pytest.raises(SchemaMismatch, match="has no column 'origin'"):
        features.historical(SPINE.drop_columns(["origin"]), [WEATHER], time="at")
    with pytest.raises(SchemaMismatch, match="has no column 'when'"):
        features.historical(SPINE, [WEATHER], time="when")


def test_materialized_rows_can_be_looked_up(features: Features, stores: Stores) -> None:
    for view in (WEATHER, AGE):
        features.apply(view)
    assert features.materialize("weather") == 2
    assert features.materialize("plane") == 1
    found = features.lookup(
        ["weather", "plane"], [{"origin": "JFK", "tailnum": "N1"}, {"origin": "LGA", "tailnum": "N1"}]
    )
    assert found == [{"wind": 2.0, "age": 7}, {"wind": None, "age": 7}]
    events = stores.journal.events(kinds=["feature.materialized"])
    assert [(event.subject, event.payload) for event in events] == [
        ("feature:weather@1", {"rows": 3, "written": 2}),
        ("feature:plane@1", {"rows": 1, "written": 1}),
    ]


def test_lookups_honour_the_time_to_live(features: Features) -> None:
    features.apply(WEATHER)
    features.materialize("weather")
    (late,) = features.lookup(["weather"], [{"origin": "JFK"}], at=NOW + 2 * HOUR)
    assert late == {"wind": None}
    with pytest.raises(InvalidInput, match="no time zone"):
        features.lookup(["weather"], [{"origin": "JFK"}], at=datetime(2013, 1, 1))  # noqa: DTZ001


def test_a_late_row_does_not_overwrite_a_newer_one(features: Features) -> None:
    features.apply(WEATHER)
    features.materialize("weather")
    late = pa.table({"origin": ["JFK"], "observed": [NOW - 2 * HOUR], "wind": [99.0]})
    assert features.materialize("weather", late) == 0
    assert features.lookup(["weather"], [{"origin": "JFK"}]) == [{"wind": 2.0}]


def test_a_changed_definition_starts_with_no_values(features: Features) -> None:
    features.apply(WEATHER)
    features.materialize("weather")
    features.apply(msgspec.structs.replace(WEATHER, ttl_s=None))
    assert features.lookup(["weather"], [{"origin": "JFK"}]) == [{"wind": None}]


def test_lookup_and_historical_agree(features: Features) -> None:
    features.apply(WEATHER)
    features.materialize("weather")
    spine = pa.table({"origin": ["JFK", "EWR"], "at": [NOW, NOW]})
    joined = features.historical(spine, ["weather"], time="at")
    online = features.lookup(["weather"], [{"origin": "JFK"}, {"origin": "EWR"}], at=NOW)
    assert joined.column("wind").to_pylist() == [row["wind"] for row in online]


def test_lookup_refuses_what_it_cannot_answer(features: Features) -> None:
    features.apply(WEATHER)
    features.apply(msgspec.structs.replace(WEATHER, name="gale"))
    with pytest.raises(InvalidInput, match="is in view 'weather' and in view 'gale'"):
        features.lookup(["weather", "gale"], [{"origin": "JFK"}])
    with pytest.raises(InvalidInput, match="the entity lacks 'origin'"):
        features.lookup(["weather"], [{"tailnum": "N1"}])
    with pytest.raises(NotFound):
        features.materialize("nothing")
    assert features.lookup([], [{}]) == [{}]
