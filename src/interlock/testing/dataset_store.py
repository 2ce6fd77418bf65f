"""What every dataset store must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InvalidInput, NotFound
from interlock.core.hashing import digest_of
from interlock.core.schema import Column
from interlock.ports.dataset_store import Part, Snapshot
from interlock.ports.journal import Edge
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_draft(dataset: str = "flights", content: str = "one", **changes: Any) -> Snapshot:
    """Return the draft of a snapshot with one part, whose bytes are `content`."""
    digest = digest_of(content.encode())
    fields: dict[str, Any] = {
        "dataset": dataset,
        "version": 0,
        "created_at": NOW,
        "parts": (Part(digest, 100, 10),),
        "rows": 10,
        "columns": (Column("delay", "double", unit="min"), Column("origin", "string", nullable=False)),
        "content": digest,
    }
    return Snapshot(**fields | changes)


class DatasetStoreContract(Contract):
    """Datasets and their snapshots."""

    def test_a_snapshot_comes_back_as_committed(self, stores: Stores) -> None:
        draft = a_draft(
            quarantine=digest_of(b"bad"),
            quarantined_rows=2,
            violations={"not_null(delay)": 2},
            profile=digest_of(b"profile"),
            message="first",
            source="nycflights13",
            tags={"month": 1},
        )
        snapshot = stores.datasets.commit(draft)
        assert snapshot == msgspec.structs.replace(draft, version=1)
        assert snapshot.ref == "dataset:flights@1"
        assert stores.datasets.get("flights") == snapshot
        assert stores.datasets.find("flights", version=1) == snapshot

    def test_committing_writes_one_event_and_its_edges(self, stores: Stores) -> None:
        edges = [Edge("dataset:raw@4", "", "derived"), Edge("run:r1", "dataset:other@1", "wrote")]
        stores.datasets.commit(a_draft(quarantined_rows=1, violations={"in_range(delay)": 1}), edges=edges)
        [event] = stores.journal.events()
        assert (event.kind, event.subject) == ("dataset.committed", "dataset:flights@1")
        assert event.payload == {"rows": 10, "quarantined_rows": 1, "violations": {"in_range(delay)": 1}}
        assert stores.journal.walk("dataset:flights@1", direction="back") == [
            Edge("dataset:raw@4", "dataset:flights@1", "derived")
        ]
        assert stores.journal.walk("run:r1", direction="forward") == [Edge("run:r1", "dataset:other@1", "wrote")]

    def test_versions_count_up_and_are_listed_newest_first(self, stores: Stores) -> None:
        for content in ("one", "two", "three"):
            stores.datasets.commit(a_draft(content=content))
        assert [one.version for one in stores.datasets.snapshots("flights")] == [3, 2, 1]
        assert [one.version for one in stores.datasets.snapshots("flights", before=3, limit=1)] == [2]
        assert stores.datasets.snapshots("flights", before=1) == []
        assert stores.datasets.get("flights").version == 3
        assert stores.datasets.get("flights", version=2).content == digest_of(b"two")

    def test_equal_content_is_not_committed_again(self, stores: Stores) -> None:
        first = stores.datasets.commit(a_draft(message="first"))
        again = stores.datasets.commit(a_draft(message="again"), expect=0, edges=[Edge("run:r1", "", "wrote")])
        assert again == first
        assert len(stores.journal.events()) == 1
        assert stores.journal.walk("run:r1", direction="forward") == []
        stores.datasets.commit(a_draft(content="two"))
        assert stores.datasets.commit(a_draft()).version == 3

    def test_expect_names_the_version_it_was_made_from(self, stores: Stores) -> None:
        stores.datasets.commit(a_draft(), expect=0)
        stores.datasets.commit(a_draft(content="two"), expect=1)
        for wrong in (0, 1, 3):
            with pytest.raises(Conflict):
                stores.datasets.commit(a_draft(content="three"), expect=wrong)
        assert stores.datasets.get("flights").version == 2
        assert len(stores.journal.events()) == 2

    def test_of_parallel_commits_from_one_version_one_wins(self, stores: Stores) -> None:
        def commit(number: int) -> bool:
            try:
                stores.datasets.commit(a_draft(content=str(number)), expect=0)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(commit, range(8))) == 1

    def test_parallel_commits_leave_no_gap(self, stores: Stores) -> None:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda n: stores.datasets.commit(a_draft(content=str(n))).version, range(20)))
        assert sorted(made) == list(range(1, 21))

    def test_datasets_are_listed_by_name_each_at_its_newest(self, stores: Stores) -> None:
        for name in ("b", "a", "c/d"):
            stores.datasets.commit(a_draft(name))
            stores.datasets.commit(a_draft(name, "two"))
        assert [one.ref for one in stores.datasets.datasets()] == ["dataset:a@2", "dataset:b@2", "dataset:c/d@2"]
        assert [one.dataset for one in stores.datasets.datasets(after="a", limit=1)] == ["b"]

    def test_unknown_names_and_versions(self, stores: Stores) -> None:
        stores.datasets.commit(a_draft())
        with pytest.raises(NotFound, match="flihgts"):
            stores.datasets.get("flihgts")
        with pytest.raises(NotFound):
            stores.datasets.get("flights", version=2)
        with pytest.raises(NotFound):
            stores.datasets.get("nothing", version=1)
        with pytest.raises(NotFound):
            stores.datasets.snapshots("nothing")
        assert stores.datasets.find("nothing") is None
        assert stores.datasets.find("flights", version=0) is None

    def test_a_near_name_is_suggested(self, stores: Stores) -> None:
        stores.datasets.commit(a_draft())
        with pytest.raises(NotFound) as raised:
            stores.datasets.get("flihgts")
        assert "flights" in raised.value.why

    @pytest.mark.parametrize(
        "changes",
        [
            {"dataset": "no spaces"},
            {"created_at": datetime(2026, 1, 1)},
            {"content": "abc"},
            {"rows": 11},
            {"rows": -1, "parts": (Part(digest_of(b""), 0, -1),)},
            {"quarantined_rows": -1},
            {"parts": (Part("abc", 1, 10),)},
            {"columns": (Column("a", "long"), Column("a", "long"))},
            {"tags": {"x": object()}},
        ],
    )
    def test_a_bad_draft_leaves_nothing(self, stores: Stores, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            stores.datasets.commit(msgspec.structs.replace(a_draft(), **changes))
        assert stores.datasets.datasets() == []
        assert stores.journal.events() == []

    def test_a_negative_limit_is_refused(self, stores: Stores) -> None:
        stores.datasets.commit(a_draft())
        with pytest.raises(InvalidInput):
            stores.datasets.snapshots("flights", limit=-1)
        with pytest.raises(InvalidInput):
            stores.datasets.datasets(limit=-1)

    def test_changing_what_was_handed_in_or_out_changes_nothing(self, stores: Stores) -> None:
        tags = {"k": [1]}
        stores.datasets.commit(a_draft(tags=tags))
        tags["k"].append(2)
        stores.datasets.get("flights").tags["k"].append(3)
        assert stores.datasets.get("flights").tags == {"k": [1]}


_names = st.sampled_from(["flights", "weather", "no good"])
_versions = st.none() | st.integers(-1, 4)
_limits = st.integers(-1, 3)

DATASET_STORE_PLAYS: Plays = {
    "commit": st.fixed_dictionaries(
        {
            "draft": st.builds(
                a_draft, _names, st.sampled_from(["one", "two", "three"]), rows=st.sampled_from([10, 10, 9])
            )
        },
        optional={
            "expect": st.integers(0, 3),
            "edges": st.just([Edge("run:r1", "", "wrote")]),
        },
    ),
    "get": st.fixed_dictionaries({"name": _names}, optional={"version": _versions}),
    "find": st.fixed_dictionaries({"name": _names}, optional={"version": _versions}),
    "snapshots": st.fixed_dictionaries({"name": _names}, optional={"before": _versions, "limit": _limits}),
    "datasets": st.fixed_dictionaries({}, optional={"after": st.sampled_from(["", "flights"]), "limit": _limits}),
}
