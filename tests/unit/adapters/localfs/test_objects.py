from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.adapters.localfs.index import Index, Place
from interlock.adapters.localfs.objects import Objects
from interlock.core.errors import Corrupt
from interlock.core.hashing import digest_of
from interlock.ports.artifact_store import Blob

DATA = bytes(range(256)) * 10_000


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index.db")
    yield index
    index.close()


@pytest.fixture
def objects(tmp_path: Path, index: Index) -> Objects:
    return Objects(tmp_path, index)


def test_a_content_becomes_a_read_only_file_under_its_hash(tmp_path: Path, objects: Objects, index: Index) -> None:
    blob = objects.put(iter([DATA[:5], DATA[5:]]))
    assert blob == Blob(digest_of(DATA), len(DATA))
    name = blob.digest.removeprefix("b3:")
    path = tmp_path / "objects" / name[:2] / name
    assert objects.path(blob.digest) == path
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    assert index.find(blob.digest) == Place(blob.digest, len(DATA))
    assert list((tmp_path / "temp").iterdir()) == []


def test_putting_again_heals_a_damaged_file(objects: Objects) -> None:
    digest = objects.put(iter([DATA])).digest
    objects.path(digest).chmod(0o644)
    objects.path(digest).write_bytes(b"damaged")
    objects.put(iter([DATA]))
    assert objects.path(digest).read_bytes() == DATA


def test_a_stream_yields_its_last_chunk_only_when_all_is_verified(objects: Objects, index: Index) -> None:
    digest = objects.put(iter([DATA])).digest
    place = index.find(digest)
    assert place is not None
    chunks = list(objects.stream(place))
    assert b"".join(chunks) == DATA
    path = objects.path(digest)
    path.chmod(0o644)
    path.write_bytes(DATA[:-1] + b"\0")
    seen: list[bytes] = []
    with pytest.raises(Corrupt, match=digest):
        seen.extend(objects.stream(place))
    assert seen == chunks[:-1]


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "its file is missing"), (DATA[:-1], "its file has 2559999 of 2560000 bytes"), (b"", "its file has 0 of")],
)
def test_damage_is_told_apart(objects: Objects, index: Index, content: bytes | None, why: str) -> None:
    digest = objects.put(iter([DATA])).digest
    path = objects.path(digest)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    place = index.find(digest)
    assert place is not None
    with pytest.raises(Corrupt) as caught:
        list(objects.stream(place))
    assert caught.value.why.startswith(why)
    assert f"objects/{digest[3:5]}/{digest[3:]}" in caught.value.why


def test_a_file_stays_while_its_row_does(objects: Objects, index: Index) -> None:
    digest = objects.put(iter([DATA])).digest
    objects.remove(digest)
    assert objects.path(digest).exists()
    with index.write():
        index.remove(digest)
    objects.remove(digest)
    objects.remove(digest)
    assert not objects.path(digest).exists()


def test_files_without_a_row_are_listed_and_foreign_ones_ignored(
    tmp_path: Path, objects: Objects, index: Index
) -> None:
    digest = objects.put(iter([DATA])).digest
    objects.put(iter([DATA[1:]]))
    with index.write():
        index.remove(digest)
    (tmp_path / "objects" / "zz").mkdir()
    (tmp_path / "objects" / "zz" / "notes.txt").write_text("mine")
    assert list(objects.unindexed()) == [Place(digest, len(DATA))]


def test_only_temporary_files_untouched_for_an_hour_are_removed(tmp_path: Path, objects: Objects) -> None:
    old, young = tmp_path / "temp" / "old", tmp_path / "temp" / "young"
    for path, age_s in ((old, 3601), (young, 3500)):
        path.touch()
        os.utime(path, (time.time() - age_s,) * 2)
    objects.remove_strays()
    assert [path.name for path in (tmp_path / "temp").iterdir()] == ["young"]
