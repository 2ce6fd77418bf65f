"""What every record store must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import Conflict, InterlockError, InvalidInput, LimitExceeded, NotFound
from interlock.ports.record_rules import MOST_RECORDS
from interlock.ports.record_store import UNSET, Record
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays


def a_record(record_id: str, **rest: Any) -> Record:
    """Return a record as its maker hands it in."""
    return Record(**{"collection": "notes", "id": record_id, **rest})


class RecordStoreContract(Contract):
    """Records, their revisions, and what belongs to what."""

    def test_a_record_comes_back_with_what_the_store_sets(self, stores: Stores) -> None:
        body = {"text": "é", "list": [1, {"deep": None}], "number": 1.5, "yes": True}
        (made,) = stores.records.put([a_record("r1", body=body, parent="p")])
        assert made == stores.records.get("notes", "r1")
        assert (made.body, made.parent, made.revision) == (body, "p", 1)
        assert made.seq > 0
        assert made.created_at == made.updated_at > UNSET

    def test_the_journal_tells_of_records(self, stores: Stores) -> None:
        stores.records.put([a_record(f"r{number}") for number in range(30)])
        stores.records.delete("notes", record_ids=["r1", "r9", "none"])
        stores.records.delete("notes", record_ids=["none"])
        assert [(one.kind, one.subject, one.payload) for one in stores.journal.events()] == [
            ("records.put", "record:notes", {"count": 30, "ids": [f"r{number}" for number in range(20)]}),
            ("records.deleted", "record:notes", {"count": 2, "ids": ["r1", "r9"]}),
        ]

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": ""},
            {"id": "a\0"},
            {"id": "x" * 501},
            {"collection": "no spaces"},
            {"collection": "others"},
            {"parent": "\ud800"},
            {"body": {"number": 2**70}},
            {"body": {"thing": object()}},
            {"id": "good"},
        ],
    )
    def test_a_record_that_cannot_be_kept_leaves_nothing(self, stores: Stores, changes: dict[str, Any]) -> None:
        bad = msgspec.structs.replace(a_record("bad"), **changes)
        with pytest.raises(InvalidInput):
            stores.records.put([a_record("good"), bad])
        assert stores.records.records("notes") == []
        assert stores.journal.events() == []

    def test_only_who_read_a_record_replaces_it(self, stores: Stores) -> None:
        (made,) = stores.records.put([a_record("r1", body={"n": 1}, parent="p")])
        with pytest.raises(Conflict):
            stores.records.put([a_record("r0"), a_record("r1", body={"n": 9})])
        with pytest.raises(Conflict):
            stores.records.put([a_record("r2", revision=1)])
        assert stores.records.records("notes") == [made]
        (after,) = stores.records.put([msgspec.structs.replace(made, body={"n": 2}, parent="q")])
        assert (after.body, after.parent, after.revision, after.seq) == ({"n": 2}, "p", 2, made.seq)
        assert after.created_at == made.created_at
        assert stores.records.get("notes", "r1") == after

    def test_a_record_may_come_again_after_it_went(self, stores: Stores) -> None:
        (first,) = stores.records.put([a_record("r1")])
        stores.records.delete("notes", record_ids=["r1"])
        with pytest.raises(NotFound):
            stores.records.get("notes", "r1")
        (second,) = stores.records.put([a_record("r1")])
        assert second.revision == 1
        assert second.seq > first.seq

    def test_collections_are_apart(self, stores: Stores) -> None:
        stores.records.put([a_record("r1", body={"of": "notes"})])
        stores.records.put([a_record("r1", collection="other", body={"of": "other"})])
        assert stores.records.get("other", "r1").body == {"of": "other"}
        assert stores.records.delete("other", record_ids=["r1"]) == 1
        assert stores.records.count("notes") == 1

    def test_records_are_paged_in_the_order_they_came(self, stores: Stores) -> None:
        put = stores.records.put([a_record(name) for name in "dbca"])
        stores.records.put([put[0]])
        assert [one.id for one in stores.records.records("notes")] == list("dbca")
        page = stores.records.records("notes", limit=2)
        stores.records.delete("notes", record_ids=[page[-1].id])
        assert [one.id for one in stores.records.records("notes", after=page[-1].seq)] == ["c", "a"]
        assert stores.records.records("notes", limit=0) == []
        with pytest.raises(InvalidInput):
            stores.records.records("notes", limit=-1)

    def test_records_are_listed_and_counted_by_what_they_belong_to(self, stores: Stores) -> None:
        stores.records.put([a_record(f"r{number}", parent="abc"[number % 3]) for number in range(7)])
        assert [one.id for one in stores.records.records("notes", parents=["c", "a", "c"])] == [
            "r0",
            "r2",
            "r3",
            "r5",
            "r6",
        ]
        assert [one.id for one in stores.records.records("notes", parents=["c", "a"], limit=2)] == ["r0", "r2"]
        assert stores.records.records("notes", parents=[]) == []
        assert (stores.records.count("notes"), stores.records.count("notes", parent="b")) == (7, 2)
        assert stores.records.delete("notes", record_ids=["r0", "r1"], parents=["b"]) == 3
        assert [one.id for one in stores.records.records("notes")] == ["r2", "r3", "r5", "r6"]

    def test_those_that_exist_are_found(self, stores: Stores) -> None:
        stores.records.put([a_record(name) for name in "cab"])
        assert [one.id for one in stores.records.find("notes", ["a", "none", "c", "a"])] == ["c", "a"]

    def test_many_at_once(self, stores: Stores) -> None:
        many = [a_record(f"r{number}", parent=str(number)) for number in range(1203)]
        assert len(stores.records.put(many)) == 1203
        assert len(stores.records.find("notes", [one.id for one in many])) == 1203
        assert len(stores.records.records("notes", parents=[one.parent for one in many], limit=2000)) == 1203
        assert stores.records.delete("notes", record_ids=[one.id for one in many]) == 1203
        for ask in (
            lambda: stores.records.find("notes", ["x"] * (MOST_RECORDS + 1)),
            lambda: stores.records.delete("notes", parents=["x"] * (MOST_RECORDS + 1)),
        ):
            with pytest.raises(LimitExceeded):
                ask()

    def test_nothing_to_write_is_nothing(self, stores: Stores) -> None:
        assert stores.records.put([]) == []
        assert stores.journal.events() == []

    def test_of_many_threads_one_replaces(self, stores: Stores) -> None:
        (made,) = stores.records.put([a_record("r1")])

        def replace(number: int) -> bool:
            try:
                stores.records.put([msgspec.structs.replace(made, body={"n": number})])
            except InterlockError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(replace, range(16))) == 1
        assert stores.records.get("notes", "r1").revision == 2


_ids = st.sampled_from(["r1", "r2", "r3"])
_parents = st.sampled_from(["", "p", "q"])
_collections = st.sampled_from(["notes", "other"])
_records = st.builds(a_record, _ids, collection=_collections, parent=_parents, revision=st.integers(0, 2))

RECORD_STORE_PLAYS: Plays = {
    "put": st.fixed_dictionaries({"records": st.lists(_records, max_size=2)}),
    "get": st.fixed_dictionaries({"collection": _collections, "record_id": _ids}),
    "find": st.fixed_dictionaries({"collection": _collections, "record_ids": st.lists(_ids, max_size=3)}),
    "records": st.fixed_dictionaries(
        {"collection": _collections},
        optional={"parents": st.lists(_parents, max_size=2), "after": st.integers(0, 3), "limit": st.integers(0, 2)},
    ),
    "count": st.fixed_dictionaries({"collection": _collections}, optional={"parent": _parents}),
    "delete": st.fixed_dictionaries(
        {"collection": _collections},
        optional={"record_ids": st.lists(_ids, max_size=2), "parents": st.lists(_parents, max_size=1)},
    ),
}
