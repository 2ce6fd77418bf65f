"""Which files of a run can be shown over steps, whoever logged them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import FrozenClock
from interlock.experiments.gallery import has_media, media_of
from interlock.experiments.media import MediaItem
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.run_store import ArtifactEntry

UUID = "0b7f2a4e-8c1d-4a5e-9f00-1234567890ab"


@pytest.fixture
def artifacts() -> ArtifactStore:
    return memory_stores(clock=FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))).artifacts


def index(artifacts: ArtifactStore, data: object, name: str = "a") -> ArtifactEntry:
    body = data if isinstance(data, bytes) else msgspec.json.encode(data)
    blob = artifacts.put(body)
    return ArtifactEntry(f"media/index/{name}.json", blob.digest, blob.size_bytes)


def files(*paths: str) -> list[ArtifactEntry]:
    return [ArtifactEntry(path, "b3:" + "0" * 64, 1) for path in paths]


def test_what_a_run_listed_comes_by_key_and_step(artifacts: ArtifactStore) -> None:
    items = [
        MediaItem("image", "b", 2, 5, "media/image/b/2.png", caption="two"),
        MediaItem("image", "b", 1, 9, "media/image/b/1.png", ("media/image/b/1b.png",)),
        MediaItem("audio", "a", 0, 1, "media/audio/a/0.wav", facts={"rate": 8000}),
    ]
    paths = ("media/image/b/2.png", "media/image/b/1.png", "media/image/b/1b.png", "media/audio/a/0.wav")
    listed = index(artifacts, {"version": 1, "items": items})
    assert media_of([listed, *files(*paths)], artifacts) == [items[2], items[1], items[0]]


@pytest.mark.parametrize(
    "item",
    [
        {"kind": "image", "key": "k", "step": 0, "time": 0, "path": "elsewhere.png"},
        {"kind": "script", "key": "k", "step": 0, "time": 0, "path": "a.png"},
        {"kind": "image", "key": "k", "step": "0", "time": 0, "path": "a.png"},
        {"kind": "image", "key": "k", "step": 0, "time": 0, "path": "a.png", "others": ["b.png"]},
        b"{",
        b"[" * 100_000,
    ],
)
def test_a_list_that_says_other_than_what_is_there_counts_for_nothing(artifacts: ArtifactStore, item: object) -> None:
    listed = index(artifacts, item if isinstance(item, bytes) else {"version": 1, "items": [item]})
    assert media_of([listed, *files("a.png")], artifacts) == []


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("media/image/val/worst/000000010.png", ("image", "val/worst", 10.0)),
        ("media/table/errors/000000000.5.parquet", ("table", "errors", 0.5)),
        ("media/figure/roc/-000000003.vega.json", ("figure", "roc", -3.0)),
        ("media/train/samples/250.png", ("image", "train/samples", 250.0)),
        ("media/train/samples/250-2.png", ("image", "train/samples", 250.0)),
        ("media/notes/7.md", ("text", "notes", 7.0)),
        (f"images/val~worst+step+4+timestamp+1700000000000+{UUID}.png", ("image", "val/worst", 4.0)),
        (f"images/dog%step%2%timestamp%1700000000000%{UUID}.png", ("image", "dog", 2.0)),
        (f"images/dog%step%2%timestamp%1700000000000%{UUID}+compressed.webp", None),
        ("media/figure/roc/plotly.min.js", None),
        ("model/image/a/1.png", None),
    ],
)
def test_others_are_known_by_their_paths(
    artifacts: ArtifactStore, path: str, found: tuple[str, str, float] | None
) -> None:
    items = [(item.kind, item.key, item.step) for item in media_of(files(path), artifacts)]
    assert items == ([] if found is None else [found])
    assert has_media(files(path)) is (found is not None)


def test_files_of_one_item_are_not_items_of_their_own(artifacts: ArtifactStore) -> None:
    whole = MediaItem("image", "k", 0, 3, "media/image/k/000000000.png", ("media/image/k/000000000.1.png",))
    listed = index(artifacts, {"version": 1, "items": [whole]})
    assert media_of([listed, *files(whole.path, *whole.others)], artifacts) == [whole]
    assert has_media([listed])
