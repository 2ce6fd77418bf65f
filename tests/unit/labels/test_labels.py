from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock
from interlock.core.errors import InvalidInput, NotFound, SchemaMismatch
from interlock.labels import labels as labels_module
from interlock.labels.labels import Labels
from interlock.ports.journal import Edge
from interlock.ports.label_store import Annotation
from interlock.ports.stores import Stores

NOW = datetime(2013, 2, 1, tzinfo=UTC)


@pytest.fixture
def stores() -> Stores:
    return memory_stores(clock=FrozenClock(NOW))


@pytest.fixture
def labels(stores: Stores) -> Labels:
    return Labels(stores.labels, FrozenClock(NOW))


def said(number: int, value: Any = True, **other: Any) -> Annotation:
    known: dict[str, Any] = {
        "item": f"flight:{number}",
        "annotator": "person:ada",
        "time": NOW - timedelta(days=number),
    }
    return Annotation(id=f"{number:03}", value=value, **{**known, **other})


def test_annotations_are_added_once_and_frozen(labels: Labels, stores: Stores) -> None:
    assert labels.add("late", [said(1), said(2, False)]) == 2
    assert labels.add("late", [said(2, False), said(3)]) == 1
    frozen = labels.freeze("late", derived_from=["dataset:flights@3"])
    assert (frozen.ref, frozen.count, frozen.as_of) == ("labels:late@1", 3, NOW)
    assert Edge("dataset:flights@3", "labels:late@1", "derived_from") in stores.journal.walk(
        frozen.ref, direction="back"
    )
    assert labels.get("late") == labels.get("labels:late@1") == frozen


def test_a_version_holds_what_was_judged_by_its_time(labels: Labels) -> None:
    labels.add("late", [said(1), said(5)])
    assert labels.freeze("late", as_of=NOW - timedelta(days=3)).count == 1
    assert [one.id for one in labels.annotations("late@1")] == ["005"]


def test_a_version_is_a_table_in_order_of_time(labels: Labels) -> None:
    labels.add("late", [said(1), said(2, False)])
    labels.freeze("late")
    table = labels.table("labels:late@1")
    assert table.column_names == ["item", "value", "annotator", "time"]
    assert table.to_pydict()["item"] == ["flight:2", "flight:1"]
    assert table.to_pydict()["value"] == [False, True]
    assert table.schema.field("time").type == pa.timestamp("us", tz="UTC")


def test_long_versions_are_read_in_pages(labels: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels_module, "_PAGE", 2)
    labels.add("late", [said(number) for number in range(1, 6)])
    labels.freeze("late")
    assert [one.id for one in labels.annotations("late")] == ["001", "002", "003", "004", "005"]


def test_values_of_several_types_make_no_table(labels: Labels) -> None:
    labels.add("late", [said(1, "yes"), said(2, 3)])
    labels.freeze("late")
    with pytest.raises(SchemaMismatch, match="not of one type"):
        labels.table("late")


@pytest.mark.parametrize("field", ["id", "item", "annotator"])
def test_an_incomplete_annotation_is_refused_with_all_others(labels: Labels, field: str) -> None:
    bad = Annotation(**{"id": "9", "item": "x", "annotator": "y", "value": 1, "time": NOW, field: ""})
    with pytest.raises(InvalidInput, match=f"annotation 1 for 'late' has no {field}"):
        labels.add("late", [said(1), bad])
    with pytest.raises(NotFound):
        labels.freeze("late")


def test_bad_names_times_and_versions(labels: Labels) -> None:
    with pytest.raises(InvalidInput, match="no time zone"):
        labels.add("late", [said(1, time=datetime(2013, 1, 1))])  # noqa: DTZ001
    with pytest.raises(InvalidInput, match="cannot name"):
        labels.add("no spaces", [said(1)])
    with pytest.raises(InvalidInput, match="names no label set"):
        labels.get("labels:late@newest")
    with pytest.raises(InvalidInput, match="is not a Ref"):
        labels.freeze("late", derived_from=["flights"])
    with pytest.raises(NotFound):
        labels.get("late")
