"""What every label store must do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from interlock.core.errors import InvalidInput, NotFound
from interlock.ports.journal import Edge
from interlock.ports.label_store import Annotation
from interlock.ports.stores import Stores
from interlock.testing.contract import Contract
from interlock.testing.machine import Plays

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_annotation(annotation_id: str, *, hours: float = 0, value: Any = True, **changes: Any) -> Annotation:
    """Return a judgement made some hours after noon."""
    fields: dict[str, Any] = {
        "id": annotation_id,
        "item": f"prediction:{annotation_id}",
        "value": value,
        "annotator": "person:ada",
        "time": NOON + timedelta(hours=hours),
    }
    return Annotation(**fields | changes)


class LabelStoreContract(Contract):
    """Annotations and the label sets frozen from them."""

    def test_annotations_come_back_by_id(self, stores: Stores) -> None:
        values = {"b": {"label": "late", "box": [1, 2.5]}, "a": 3, "c": None}
        added = [an_annotation(key, value=value) for key, value in values.items()]
        assert stores.labels.add("late", added) == 3
        assert stores.labels.annotations("late") == sorted(added, key=lambda one: one.id)
        assert [one.id for one in stores.labels.annotations("late", after="a", limit=1)] == ["b"]

    def test_adding_an_id_again_changes_nothing(self, stores: Stores) -> None:
        stores.labels.add("late", [an_annotation("a", value=1)])
        assert stores.labels.add("late", [an_annotation("a", value=2), an_annotation("b"), an_annotation("b")]) == 1
        assert [one.value for one in stores.labels.annotations("late")] == [1, True]
        assert stores.labels.add("other", [an_annotation("a")]) == 1

    def test_of_an_id_twice_in_one_call_the_first_stands(self, stores: Stores) -> None:
        assert stores.labels.add("late", [an_annotation("a", value=1), an_annotation("a", value=2)]) == 1
        assert stores.labels.annotations("late") == [an_annotation("a", value=1)]

    def test_adding_nothing_makes_no_name(self, stores: Stores) -> None:
        assert stores.labels.add("late", []) == 0
        with pytest.raises(NotFound):
            stores.labels.annotations("late")

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": ""},
            {"id": "a\0"},
            {"item": ""},
            {"annotator": ""},
            {"time": datetime(2026, 1, 1)},
            {"value": object()},
        ],
    )
    def test_one_bad_annotation_adds_none(self, stores: Stores, changes: dict[str, Any]) -> None:
        bad = msgspec.structs.replace(an_annotation("b"), **changes)
        with pytest.raises(InvalidInput):
            stores.labels.add("late", [an_annotation("a"), bad])
        with pytest.raises(NotFound):
            stores.labels.annotations("late")

    def test_a_bad_name_is_refused(self, stores: Stores) -> None:
        with pytest.raises(InvalidInput):
            stores.labels.add("no spaces", [an_annotation("a")])

    def test_freezing_takes_what_was_judged_by_then(self, stores: Stores) -> None:
        stores.labels.add("late", [an_annotation("a"), an_annotation("b", hours=1), an_annotation("c", hours=2)])
        frozen = stores.labels.freeze("late", as_of=NOON + timedelta(hours=1), edges=[Edge("run:r1", "", "made")])
        assert (frozen.ref, frozen.count) == ("labels:late@1", 2)
        assert frozen.as_of == NOON + timedelta(hours=1)
        assert [one.id for one in stores.labels.annotations("late", version=1)] == ["a", "b"]
        [event] = stores.journal.events()
        assert (event.kind, event.subject, event.payload) == ("labels.frozen", "labels:late@1", {"count": 2})
        assert stores.journal.walk(frozen.ref, direction="back") == [Edge("run:r1", frozen.ref, "made")]

    def test_a_version_never_changes(self, stores: Stores) -> None:
        stores.labels.add("late", [an_annotation("b", hours=1)])
        first = stores.labels.freeze("late", as_of=NOON + timedelta(hours=2))
        stores.labels.add("late", [an_annotation("a")])
        assert [one.id for one in stores.labels.annotations("late", version=1)] == ["b"]
        second = stores.labels.freeze("late", as_of=NOON + timedelta(hours=2))
        assert (second.version, second.count) == (2, 2)
        assert second.content != first.content
        assert stores.labels.get("late", version=1) == first
        assert stores.labels.get("late") == second
        assert [one.id for one in stores.labels.annotations("late", version=2, after="a")] == ["b"]

    def test_freezing_what_equals_the_newest_returns_it(self, stores: Stores) -> None:
        stores.labels.add("late", [an_annotation("a"), an_annotation("b", hours=5)])
        first = stores.labels.freeze("late", as_of=NOON)
        assert stores.labels.freeze("late", as_of=NOON + timedelta(hours=1)) == first
        assert len(stores.journal.events()) == 1

    def test_content_says_what_was_judged_not_in_which_order(self, stores: Stores) -> None:
        stores.labels.add("one", [an_annotation("a"), an_annotation("b")])
        stores.labels.add("two", [an_annotation("b")])
        stores.labels.add("two", [an_annotation("a")])
        stores.labels.add("three", [an_annotation("a"), an_annotation("b", value=1)])
        contents = [stores.labels.freeze(name, as_of=NOON).content for name in ("one", "two", "three")]
        assert contents[0] == contents[1] != contents[2]

    def test_an_empty_version(self, stores: Stores) -> None:
        stores.labels.add("late", [an_annotation("a", hours=1)])
        frozen = stores.labels.freeze("late", as_of=NOON)
        assert frozen.count == 0
        assert stores.labels.annotations("late", version=1) == []

    def test_label_sets_are_listed_newest_first(self, stores: Stores) -> None:
        for step in range(2):
            for name in ("a", "b"):
                stores.labels.add(name, [an_annotation(f"{step}")])
                stores.labels.freeze(name, as_of=NOON)
        assert [one.ref for one in stores.labels.label_sets()] == [
            "labels:b@2",
            "labels:a@2",
            "labels:b@1",
            "labels:a@1",
        ]
        assert [one.version for one in stores.labels.label_sets(name="a")] == [2, 1]
        assert [one.ref for one in stores.labels.label_sets(limit=1)] == ["labels:b@2"]
        stores.labels.add("c", [an_annotation("x")])
        assert stores.labels.label_sets(name="c") == []

    def test_unknown_names_and_versions(self, stores: Stores) -> None:
        stores.labels.add("late", [an_annotation("a")])
        stores.labels.freeze("late", as_of=NOON)
        for call in (
            lambda: stores.labels.freeze("nothing", as_of=NOON),
            lambda: stores.labels.get("nothing"),
            lambda: stores.labels.get("late", version=2),
            lambda: stores.labels.label_sets(name="nothing"),
            lambda: stores.labels.annotations("nothing"),
            lambda: stores.labels.annotations("late", version=2),
        ):
            with pytest.raises(NotFound):
                call()

    def test_a_naive_time_and_a_negative_limit_are_refused(self, stores: Stores) -> None:
        stores.labels.add("late", [an_annotation("a")])
        with pytest.raises(InvalidInput):
            stores.labels.freeze("late", as_of=datetime(2026, 1, 1))
        with pytest.raises(InvalidInput):
            stores.labels.annotations("late", limit=-1)
        with pytest.raises(InvalidInput):
            stores.labels.label_sets(limit=-1)

    def test_parallel_adds_of_one_id_add_it_once(self, stores: Stores) -> None:
        with ThreadPoolExecutor(8) as pool:
            added = list(pool.map(lambda n: stores.labels.add("late", [an_annotation(str(n % 5))]), range(20)))
        assert sum(added) == 5
        assert len(stores.labels.annotations("late")) == 5


_names = st.sampled_from(["late", "diverted", "no good"])
_versions = st.none() | st.integers(0, 3)
_limits = st.integers(-1, 3)
_moments = st.sampled_from([NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=2)])

LABEL_STORE_PLAYS: Plays = {
    "add": st.fixed_dictionaries(
        {
            "name": _names,
            "annotations": st.lists(
                st.builds(
                    an_annotation,
                    st.sampled_from("abcd"),
                    hours=st.integers(0, 2),
                    value=st.sampled_from([1, 1.0, True, "x", None]),
                ),
                max_size=3,
            ),
        }
    ),
    "freeze": st.fixed_dictionaries(
        {"name": _names, "as_of": _moments}, optional={"edges": st.just([Edge("run:r1", "", "made")])}
    ),
    "get": st.fixed_dictionaries({"name": _names}, optional={"version": _versions}),
    "label_sets": st.fixed_dictionaries({}, optional={"name": st.none() | _names, "limit": _limits}),
    "annotations": st.fixed_dictionaries(
        {"name": _names}, optional={"version": _versions, "after": st.sampled_from(["", "b"]), "limit": _limits}
    ),
}
