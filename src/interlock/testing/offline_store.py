"""What every offline store must do: point-in-time joins that leak nothing."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.core.errors import SchemaMismatch
from interlock.core.schema import Column
from interlock.ports.feature_store import FeatureView, JoinSource, OfflineStore
from interlock.testing.machine import plain

MINUTE = 60_000_000


def view(*entity: str, features: Sequence[str] = ("temp",), ttl_s: float | None = None) -> FeatureView:
    """Return a view of the table that `source` makes."""
    columns = tuple(Column(name, "double") for name in features)
    return FeatureView("weather", entity or ("origin",), columns, known_at="known", ttl_s=ttl_s)


def moments(minutes: Sequence[float | None], *, unit: str = "us", tz: str = "UTC") -> pa.Array:
    """Return times some minutes after 1970."""
    micros = [None if minute is None else round(minute * MINUTE) for minute in minutes]
    return pa.array(micros, pa.timestamp("us", tz="UTC")).cast(pa.timestamp(unit, tz=tz), safe=False)


def spine(minutes: Sequence[float | None], **keys: Any) -> pa.Table:
    """Return the rows to be joined to; without keys, all at JFK."""
    return pa.table({**(keys or {"origin": ["JFK"] * len(minutes)}), "at": moments(minutes)})


def source(minutes: Sequence[float | None], temps: Sequence[Any] | None = None, **keys: Any) -> pa.Table:
    """Return the rows of the view; without temperatures, these are the row numbers."""
    values = list(range(len(minutes))) if temps is None else temps
    return pa.table({**(keys or {"origin": ["JFK"] * len(minutes)}), "known": moments(minutes), "temp": values})


class OfflineRefusalsContract:
    """What is refused before any work.

    A backend provides the fixture `offline`; `oracle` is a slow join that is right.
    """

    @pytest.fixture
    def offline(self) -> OfflineStore:
        """Return the store under test."""
        raise AssertionError(f"{type(self).__name__} must define the fixture 'offline'")

    @pytest.fixture
    def oracle(self) -> OfflineStore:
        """Return a store that is right."""
        raise AssertionError(f"{type(self).__name__} must define the fixture 'oracle'")

    def joined(self, offline: OfflineStore, rows: pa.Table, table: pa.Table, of: FeatureView) -> list[Any]:
        """Return the feature of a join with one source."""
        result = offline.join(rows, [JoinSource(of, table)], time="at")
        assert plain(result.select(rows.column_names).to_pylist()) == plain(rows.to_pylist())
        return result["temp"].to_pylist()  # type: ignore[no-any-return]

    @pytest.mark.parametrize(
        ("drop_here", "drop_there", "named"),
        [
            ("origin", None, ("spine", "origin")),
            ("at", None, ("spine", "at")),
            (None, "origin", ("weather", "origin")),
            (None, "known", ("weather", "known")),
            (None, "temp", ("weather", "temp")),
        ],
    )
    def test_a_missing_column_is_named(
        self, offline: OfflineStore, drop_here: str | None, drop_there: str | None, named: tuple[str, str]
    ) -> None:
        rows, table = spine([9]), source([1])
        with pytest.raises(SchemaMismatch) as caught:
            offline.join(
                rows.drop_columns([drop_here] if drop_here else []),
                [JoinSource(view(), table.drop_columns([drop_there] if drop_there else []))],
                time="at",
            )
        assert all(word in caught.value.what for word in named)

    @pytest.mark.parametrize("times", [[1], pa.array([1], pa.timestamp("us")), ["1970-01-01"]], ids=str)
    def test_a_time_without_zone_is_refused(self, offline: OfflineStore, times: Any) -> None:
        with pytest.raises(SchemaMismatch, match="'at' of the spine"):
            offline.join(pa.table({"origin": ["JFK"], "at": times}), [JoinSource(view(), source([1]))], time="at")
        with pytest.raises(SchemaMismatch, match="'known'"):
            table = source([1]).set_column(1, "known", pa.chunked_array([pa.array(times)]))
            offline.join(spine([1]), [JoinSource(view(), table)], time="at")

    @pytest.mark.parametrize("keys", [[1], [True], [b"JFK"], [["JFK"]]], ids=str)
    def test_keys_of_two_kinds_are_refused(self, offline: OfflineStore, keys: list[Any]) -> None:
        with pytest.raises(SchemaMismatch, match="'origin' is string"):
            offline.join(spine([1], origin=keys), [JoinSource(view(), source([1]))], time="at")

    def test_a_feature_named_as_a_column_is_refused(self, offline: OfflineStore) -> None:
        with pytest.raises(SchemaMismatch, match="'temp'"):
            offline.join(spine([1], origin=["JFK"], temp=[1.0]), [JoinSource(view(), source([1]))], time="at")
        with pytest.raises(SchemaMismatch, match="'temp'"):
            offline.join(spine([1]), [JoinSource(view(), source([1]))] * 2, time="at")


class OfflineStoreContract(OfflineRefusalsContract):
    """Point-in-time joins."""

    def test_the_newest_row_known_by_then_is_taken(self, offline: OfflineStore) -> None:
        rows, table = spine([25, 5, 10, 35]), source([10, 30, 20])
        assert self.joined(offline, rows, table, view()) == [2, None, 0, 1]

    def test_known_at_the_very_moment_counts_and_a_microsecond_later_does_not(self, offline: OfflineStore) -> None:
        micro = 1 / MINUTE
        assert self.joined(offline, spine([10 - micro, 10, 10 + micro]), source([10]), view()) == [None, 0, 0]

    @pytest.mark.parametrize("ttl_s", [60.0, 0.29, 1e-6])
    def test_a_row_as_old_as_the_ttl_counts_and_a_microsecond_older_does_not(
        self, offline: OfflineStore, ttl_s: float
    ) -> None:
        last, micro = 10 + ttl_s / 60, 1 / MINUTE
        assert self.joined(offline, spine([last, last + micro]), source([10]), view(ttl_s=ttl_s)) == [0, None]

    def test_a_row_too_old_is_not_replaced_by_an_older_one(self, offline: OfflineStore) -> None:
        assert self.joined(offline, spine([15]), source([1, 2, 3]), view(ttl_s=60)) == [None]

    def test_ties_go_to_the_last_row_of_the_table(self, offline: OfflineStore) -> None:
        table = source([10, 10, 5, 10, 5], [3.5, None, 7.0, 1.5, 8.0])
        assert self.joined(offline, spine([10, 9]), table, view()) == [1.5, 8.0]
        assert self.joined(offline, spine([10]), source([10, 10], [2.5, None]), view()) == [None]

    def test_keys_are_joined_each_for_itself(self, offline: OfflineStore) -> None:
        rows = spine([9, 9, 9], origin=["LGA", "JFK", "EWR"])
        assert self.joined(offline, rows, source([1, 2, 3], origin=["JFK", "LGA", "JFK"]), view()) == [1, 2, None]

    def test_composite_keys_match_in_all_parts(self, offline: OfflineStore) -> None:
        rows = spine([9] * 4, origin=["A", "A", "B", "AA"], hour=[1, 11, 1, 1])
        table = source([1, 2, 3], origin=["A", "A", "B"], hour=[11, 1, 1])
        assert self.joined(offline, rows, table, view("origin", "hour")) == [1, 0, 2, None]

    def test_null_keys_and_times_match_nothing(self, offline: OfflineStore) -> None:
        rows = spine([9, None, 9], origin=[None, "JFK", "JFK"])
        table = source([1, 2, None, 8], origin=["JFK", None, "JFK", None])
        assert self.joined(offline, rows, table, view()) == [None, None, 0]
        both = spine([9, 9], origin=["A", None], hour=[None, 1])
        known = source([1, 1], origin=["A", None], hour=[None, 1])
        assert self.joined(offline, both, known, view("origin", "hour")) == [None, None]

    def test_nan_keys_match_nothing(self, offline: OfflineStore) -> None:
        nan = float("nan")
        rows, table = spine([9, 9], origin=[nan, 1.0]), source([1, 2], origin=[nan, 1.0])
        assert self.joined(offline, rows, table, view()) == [None, 1]

    @pytest.mark.parametrize(
        ("here", "there"),
        [
            (pa.int8(), pa.int64()),
            (pa.int64(), pa.float64()),
            (pa.uint32(), pa.int32()),
            (pa.string(), pa.large_string()),
            (pa.string(), pa.dictionary(pa.int8(), pa.string())),
        ],
        ids=str,
    )
    def test_keys_of_one_kind_match_across_types(
        self, offline: OfflineStore, here: pa.DataType, there: pa.DataType
    ) -> None:
        keys: list[Any] = ["1", "2"] if here == pa.string() else [1, 2]
        rows, table = spine([9, 9], origin=pa.array(keys, here)), source([1, 2], origin=pa.array(keys[::-1], there))
        assert self.joined(offline, rows, table, view()) == [1, 0]

    def test_times_of_other_zones_and_units_are_the_same_moments(self, offline: OfflineStore) -> None:
        for unit in ("s", "ms", "us", "ns"):
            rows = pa.table({"origin": ["JFK"] * 2, "at": moments([9, 10], unit=unit, tz="America/New_York")})
            for other in ("s", "ms", "us", "ns"):
                table = source([10]).set_column(1, "known", moments([10], unit=other, tz="Asia/Tokyo"))
                assert self.joined(offline, rows, table, view(ttl_s=1)) == [None, 0]

    def test_nanoseconds_are_told_apart(self, offline: OfflineStore) -> None:
        kind = pa.timestamp("ns", tz="UTC")
        rows = pa.table({"origin": ["JFK"] * 2, "at": pa.array([999, 1001], kind)})
        table = pa.table({"origin": ["JFK"], "known": pa.array([1000], kind), "temp": [7.0]})
        assert self.joined(offline, rows, table, view()) == [None, 7.0]

    def test_features_keep_their_exact_types(self, offline: OfflineStore) -> None:
        table = pa.table(
            {
                "origin": ["JFK", "LGA"],
                "known": moments([1, 1]),
                "i": pa.array([2**62 + 1, 2], pa.int64()),
                "s": pa.array(["a", "b"]).dictionary_encode(),
                "b": pa.array([True, None]),
                "l": pa.array([[1, 2], None], pa.list_(pa.int8())),
            }
        )
        of = view(features=("i", "s", "b", "l"))
        result = offline.join(spine([9, 0]), [JoinSource(of, table)], time="at")
        assert [result.schema.field(name).type for name in "isbl"] == [table.schema.field(name).type for name in "isbl"]
        assert result.select(list("isbl")).to_pylist()[0] == {"i": 2**62 + 1, "s": "a", "b": True, "l": [1, 2]}
        assert result.select(list("isbl")).to_pylist()[1] == dict.fromkeys("isbl")

    def test_every_source_adds_its_features(self, offline: OfflineStore) -> None:
        planes = FeatureView("planes", ("tail",), (Column("year", "long"),), known_at="seen")
        table = pa.table({"tail": ["N1"], "seen": moments([1]), "year": [1999], "unused": [0]})
        rows = spine([9, 9], origin=["JFK", "LGA"], tail=["N1", "N2"])
        result = offline.join(rows, [JoinSource(view(), source([1])), JoinSource(planes, table)], time="at")
        assert result.column_names == ["origin", "tail", "at", "temp", "year"]
        assert result["temp"].to_pylist() == [0, None]
        assert result["year"].to_pylist() == [1999, None]
        assert offline.join(rows, [], time="at").equals(rows)

    def test_empty_tables(self, offline: OfflineStore) -> None:
        nobody = pa.array([], pa.string())
        assert self.joined(offline, spine([], origin=nobody), source([1]), view()) == []
        assert self.joined(offline, spine([1, 2]), source([], [], origin=nobody), view()) == [None, None]

    def test_threads_join_at_once(self, offline: OfflineStore) -> None:
        rows, table = spine(range(100)), source(range(100))
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: self.joined(offline, rows, table, view()), range(8)))
        assert results == [list(range(100))] * 8

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_random_tables_agree_with_the_oracle(
        self, offline: OfflineStore, oracle: OfflineStore, data: st.DataObject
    ) -> None:
        key_types = data.draw(st.lists(st.sampled_from(list(_KEYS)), min_size=1, max_size=3), label="keys")
        of = view(
            *(f"k{n}" for n in range(len(key_types))), ttl_s=data.draw(st.sampled_from([None, 0.0, 1e-6, 2e-6, 60.0]))
        )
        rows = data.draw(_tables(key_types, "at"), label="spine")
        table = data.draw(_tables(key_types, "known"), label="source")
        table = table.append_column("temp", pa.array(range(table.num_rows), pa.int64()))
        assert self.joined(offline, rows, table, of) == self.joined(oracle, rows, table, of)


_KEYS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "string": (pa.string(), ["", "a", "b", None]),
    "long": (pa.int64(), [-1, 0, 2**62, None]),
    "double": (pa.float64(), [0.0, -0.0, 0.1, float("inf"), float("nan"), None]),
    "boolean": (pa.bool_(), [True, False, None]),
}
_micros = st.sampled_from(
    [None, -1, 0, 1, 2, 3, 4, 60_000_000, 60_000_001, -62_135_596_800_000_000, 253_402_300_799_999_999]
)


@st.composite
def _tables(draw: st.DrawFn, key_types: list[str], time: str) -> pa.Table:
    size = draw(st.integers(0, 12))
    columns = {
        f"k{n}": pa.array(draw(st.lists(st.sampled_from(_KEYS[name][1]), min_size=size, max_size=size)), _KEYS[name][0])
        for n, name in enumerate(key_types)
    }
    times = draw(st.lists(_micros, min_size=size, max_size=size))
    return pa.table({**columns, time: pa.array(times, pa.timestamp("us", tz="UTC"))})
