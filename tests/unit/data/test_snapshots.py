from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock
from interlock.core.errors import Conflict, InvalidInput, NotFound, SchemaMismatch
from interlock.core.schema import Column
from interlock.data.profiles import Profile
from interlock.data.rules import in_range, not_null
from interlock.data.snapshots import Datasets, parquet_bytes
from interlock.ports.dataset_store import Snapshot
from interlock.ports.journal import Edge
from interlock.ports.stores import Stores

NOW = datetime(2013, 1, 1, tzinfo=UTC)
ROWS = {"id": [1, 2, 3], "speed": [10.0, 1048.4, None], "origin": ["JFK", "EWR", "LGA"]}


@pytest.fixture
def stores() -> Stores:
    return memory_stores(clock=FrozenClock(NOW))


@pytest.fixture
def datasets(stores: Stores) -> Datasets:
    return Datasets(stores.datasets, stores.artifacts, clock=FrozenClock(NOW))


def test_a_commit_can_be_read_back(datasets: Datasets) -> None:
    snapshot = datasets.commit("weather", ROWS, message="first", source="weather.csv")
    assert (snapshot.ref, snapshot.rows, snapshot.created_at) == ("dataset:weather@1", 3, NOW)
    assert (snapshot.message, snapshot.source) == ("first", "weather.csv")
    assert snapshot.columns == (Column("id", "long"), Column("speed", "double"), Column("origin", "string"))
    assert (snapshot.quarantine, snapshot.violations) == (None, {})
    for ref in ("weather", "dataset:weather", "dataset:weather@1", snapshot.ref):
        assert datasets.read(ref).to_pydict() == ROWS


def test_columns_come_in_the_order_asked_for(datasets: Datasets) -> None:
    datasets.commit("weather", ROWS)
    assert datasets.read("weather", columns=["origin", "id"]).to_pydict() == {
        "origin": ["JFK", "EWR", "LGA"],
        "id": [1, 2, 3],
    }
    with pytest.raises(SchemaMismatch, match="has no column 'spede'") as caught:
        datasets.read("weather", columns=["spede"])
    assert caught.value.why == "did you mean 'speed'?"


def test_rows_that_break_a_rule_are_set_aside(datasets: Datasets) -> None:
    snapshot = datasets.commit("weather", ROWS, rules=[in_range("speed", 0, 200), not_null("speed")])
    assert (snapshot.rows, snapshot.quarantined_rows) == (1, 2)
    assert snapshot.violations == {"speed in range": 1, "speed not null": 1}
    assert datasets.read("weather").to_pydict()["id"] == [1]
    aside = datasets.quarantine("weather")
    assert aside is not None
    assert aside.to_pydict()["broken_rules"] == ["speed in range", "speed not null"]


def test_a_snapshot_without_bad_rows_has_no_quarantine(datasets: Datasets) -> None:
    datasets.commit("weather", ROWS)
    assert datasets.quarantine("weather") is None


def test_the_profile_is_of_the_good_rows(datasets: Datasets) -> None:
    datasets.commit("weather", ROWS, rules=[in_range("speed", 0, 200)])
    profile = datasets.profile("weather")
    assert isinstance(profile, Profile)
    assert (profile.rows, profile.column("speed").max) == (2, 10.0)


def test_a_snapshot_may_lack_a_profile(datasets: Datasets, stores: Stores) -> None:
    snapshot = datasets.commit("weather", ROWS)
    bare = msgspec.structs.replace(snapshot, version=0, profile=None, content="b3:" + "0" * 64)
    stores.datasets.commit(bare)
    assert datasets.profile("weather") is None
    assert datasets.diff("weather@1", "weather@2").shifts == ()


def test_equal_rows_make_no_new_snapshot(datasets: Datasets, stores: Stores) -> None:
    first = datasets.commit("weather", ROWS)
    chunked = pa.concat_tables([pa.table(ROWS).slice(0, 1), pa.table(ROWS).slice(1)])
    assert datasets.commit("weather", chunked, message="again") == first
    assert len(stores.journal.events(kinds=["dataset.committed"])) == 1


def test_other_bad_rows_beside_equal_good_ones_are_news(datasets: Datasets) -> None:
    rules = [in_range("id", 1, 2)]
    assert datasets.commit("d", {"id": [1, 2, 7]}, rules=rules).version == 1
    assert datasets.commit("d", {"id": [1, 2, 8]}, rules=rules).version == 2


def test_append_keeps_the_parts_and_adds_one(datasets: Datasets) -> None:
    first = datasets.commit("weather", ROWS)
    more = {"origin": ["JFK"], "id": [4], "speed": [5.0]}
    second = datasets.commit("weather", more, append=True)
    assert second.parts[:-1] == first.parts
    assert (second.version, second.rows, len(second.parts)) == (2, 4, 2)
    assert datasets.read("weather").to_pydict()["id"] == [1, 2, 3, 4]
    assert datasets.read("weather@1").num_rows == 3
    profile = datasets.profile("weather")
    assert profile is not None
    assert (profile.rows, profile.column("id").max, profile.column("id").mean) == (4, 4.0, 2.5)


def test_append_to_nothing_begins_a_dataset(datasets: Datasets) -> None:
    assert datasets.commit("weather", ROWS, append=True).version == 1


def test_append_of_no_rows_changes_nothing(datasets: Datasets) -> None:
    first = datasets.commit("weather", ROWS)
    assert datasets.commit("weather", pa.table(ROWS).slice(0, 0), append=True) == first


def test_append_of_bad_rows_alone_records_them(datasets: Datasets) -> None:
    rules = [in_range("id", 1, 5)]
    first = datasets.commit("d", {"id": [1]}, rules=rules)
    second = datasets.commit("d", {"id": [9]}, rules=rules, append=True)
    assert (second.version, second.parts, second.quarantined_rows) == (2, first.parts, 1)


def test_append_expects_the_version_it_added_to(datasets: Datasets, stores: Stores) -> None:
    datasets.commit("d", {"id": [1]})

    class Late(type(stores.datasets)):  # type: ignore[misc]
        """A store in which another commit always comes between the reading and the writing."""

        def commit(self, draft: Snapshot, *, expect: int | None = None, edges: object = ()) -> Snapshot:
            Datasets(stores.datasets, stores.artifacts).commit("d", {"id": [5]})
            return stores.datasets.commit(draft, expect=expect)

        def find(self, name: str, *, version: int | None = None) -> Snapshot | None:
            return stores.datasets.find(name, version=version)

    with pytest.raises(Conflict):
        Datasets(Late(stores.journal), stores.artifacts).commit("d", {"id": [2]}, append=True)


def test_expect(datasets: Datasets) -> None:
    assert datasets.commit("d", {"id": [1]}, expect=0).version == 1
    with pytest.raises(Conflict):
        datasets.commit("d", {"id": [2]}, expect=0)


@pytest.mark.parametrize(
    ("rows", "what", "why"),
    [
        ({"id": [1], "speed": ["fast"], "origin": ["JFK"]}, "'speed' does not fit", "expected double, got string"),
        ({"id": [1], "speed": [1.0]}, "lacks the column 'origin'", "expected 'origin' string"),
        ({"id": [1], "speed": [1.0], "origin": ["a"], "x": [1]}, "a column 'x' that", "expected the columns id,"),
    ],
)
def test_append_of_another_schema_is_refused(
    datasets: Datasets, stores: Stores, rows: dict[str, list[object]], what: str, why: str
) -> None:
    datasets.commit("weather", ROWS)
    kept = stores.artifacts.blobs()
    with pytest.raises(SchemaMismatch, match=what) as caught:
        datasets.commit("weather", rows, append=True)
    assert why in caught.value.why
    assert stores.artifacts.blobs() == kept


def test_a_bad_rule_leaves_nothing_behind(datasets: Datasets, stores: Stores) -> None:
    with pytest.raises(SchemaMismatch):
        datasets.commit("weather", ROWS, rules=[not_null("spede")])
    assert stores.artifacts.blobs() == []
    assert stores.journal.last_seq() == 0


def test_a_table_of_bad_rows_only_is_an_empty_snapshot(datasets: Datasets) -> None:
    snapshot = datasets.commit("weather", ROWS, rules=[in_range("id", 7, 9)])
    assert (snapshot.rows, snapshot.quarantined_rows) == (0, 3)
    table = datasets.read("weather")
    assert (table.num_rows, table.column_names) == (0, list(ROWS))


def test_what_it_was_made_from_becomes_lineage(datasets: Datasets, stores: Stores) -> None:
    datasets.commit("flights", {"id": [1]})
    datasets.commit("flights", {"id": [2]})
    made = datasets.commit("delays", {"id": [1]}, derived_from=["dataset:flights", "run:01J"])
    assert set(stores.journal.walk(made.ref, direction="back", depth=1)) == {
        Edge("dataset:flights@2", made.ref, "derived_from"),
        Edge("run:01J", made.ref, "derived_from"),
    }
    more = datasets.commit("delays", {"id": [2]}, append=True)
    assert Edge(made.ref, more.ref, "derived_from") in stores.journal.walk(more.ref, direction="back")


def test_unknown_sources_and_snapshots(datasets: Datasets, stores: Stores) -> None:
    with pytest.raises(NotFound):
        datasets.commit("delays", {"id": [1]}, derived_from=["dataset:flights"])
    with pytest.raises(InvalidInput):
        datasets.commit("delays", {"id": [1]}, derived_from=["flights"])
    assert stores.artifacts.blobs() == []
    with pytest.raises(NotFound):
        datasets.read("flights")
    with pytest.raises(InvalidInput, match="names no snapshot"):
        datasets.read("dataset:flights@latest")
    with pytest.raises(InvalidInput, match="is a model"):
        datasets.read("model:delay@1")
    with pytest.raises(InvalidInput, match="cannot name a dataset"):
        datasets.commit("no spaces", ROWS)


def test_diff(datasets: Datasets) -> None:
    datasets.commit("d", {"id": [1, 2, 2], "x": [1.0, 2.0, 2.0]})
    datasets.commit("d", {"id": [2, 1, 3], "x": [2.0, 1.0, None]})
    diff = datasets.diff("d@1", "d@2")
    assert (diff.old, diff.new) == ("dataset:d@1", "dataset:d@2")
    assert (diff.added_rows, diff.removed_rows) == (1, 1)
    assert [shift.name for shift in diff.shifts] == ["id", "x"]
    assert diff.shifts[1].null_share == (0.0, pytest.approx(1 / 3))
    assert diff.new_bytes > 0
    same = datasets.diff("d@2", "d")
    assert (same.added_rows, same.removed_rows, same.new_bytes, same.shifts) == (0, 0, 0, ())


def test_diff_of_an_append_reads_the_new_part_only(datasets: Datasets, stores: Stores) -> None:
    first = datasets.commit("d", {"id": [1, 2]})
    datasets.commit("d", {"id": [1]}, append=True)
    stores.artifacts.delete(first.parts[0].digest)
    diff = datasets.diff("d@1", "d@2")
    assert (diff.added_rows, diff.removed_rows) == (1, 0)


def test_the_same_rows_in_other_parts_have_not_shifted(datasets: Datasets) -> None:
    values = [0.1 * i for i in range(999)]
    datasets.commit("d", {"x": values})
    datasets.commit("d", {"x": values[:500]})
    datasets.commit("d", {"x": values[500:]}, append=True)
    diff = datasets.diff("d@1", "d@3")
    assert (diff.added_rows, diff.removed_rows, diff.shifts) == (0, 0, ())


def test_diff_of_another_schema(datasets: Datasets) -> None:
    datasets.commit("d", {"a": [1], "b": [1], "c": [1]})
    datasets.commit("d", {"a": [1], "b": ["x"], "d": [1]}, evolve=True)
    diff = datasets.diff("d@1", "d@2")
    assert (diff.added_columns, diff.removed_columns, diff.retyped_columns) == (("d",), ("c",), ("b: long → string",))
    assert (diff.added_rows, diff.removed_rows) == (None, None)


def test_equal_tables_have_equal_bytes_and_any_reader_understands_them() -> None:
    table = pa.table({"n": list(range(5000)), "s": [str(i % 7) for i in range(5000)]})
    chunked = pa.concat_tables([table.slice(0, 1234), table.slice(1234)])
    assert parquet_bytes(chunked) == parquet_bytes(table)
    assert pq.read_table(pa.BufferReader(parquet_bytes(table))).equals(table)


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"a": [1]}, "lacks the column 'b'"),
        ({"a": [1], "b": ["x"], "c": [1]}, "has a column 'c'"),
        ({"a": ["1"], "b": ["x"]}, "the column 'a' does not fit"),
    ],
)
def test_columns_do_not_change_by_accident(
    datasets: Datasets, frame: dict[str, list[Any]], said: str, append: bool
) -> None:
    datasets.commit("t", {"a": [1], "b": ["x"]})
    with pytest.raises(SchemaMismatch, match=said) as caught:
        datasets.commit("t", frame, append=append)
    assert "evolve=True" in caught.value.fix
    assert datasets.read("t")["a"].to_pylist() == [1]
    assert datasets.commit("t", frame, evolve=True).version == 2


def test_the_order_of_columns_does_not_matter(datasets: Datasets) -> None:
    first = datasets.commit("t", {"a": [1], "b": ["x"]})
    assert datasets.commit("t", {"b": ["x"], "a": [1]}) == first
