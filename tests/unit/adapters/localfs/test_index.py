from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from interlock.adapters.localfs.index import Index, Place
from interlock.core.errors import Corrupt, NewerSchema, TimedOut
from interlock.core.hashing import digest_of

WHOLE = Place(digest_of(b"whole"), 200_000)
PACKED = Place(digest_of(b"packed"), 100, "a.pack", 52, 90)


def add(index: Index, *places: Place) -> list[bool]:
    with index.write():
        return [index.add(place) for place in places]


def test_places_are_found_and_listed_by_digest(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db")
    assert index.is_new
    assert add(index, WHOLE, PACKED) == [True, True]
    assert index.find(WHOLE.digest) == WHOLE
    assert index.find(PACKED.digest) == PACKED
    assert index.find(digest_of(b"unknown")) is None
    both = sorted([WHOLE, PACKED])
    assert index.places(after="", limit=9) == both
    assert index.places(after=both[0].digest, limit=9) == both[1:]
    assert index.places(after="", limit=1) == both[:1]
    index.close()


def test_the_first_place_of_a_content_stands(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db")
    assert add(index, PACKED, PACKED._replace(offset=500)) == [True, False]
    assert index.find(PACKED.digest) == PACKED
    assert index.indexed_bytes() == {"a.pack": 142}
    index.close()


def test_what_fails_is_undone(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db")
    with pytest.raises(RuntimeError, match="stop"), index.write():
        index.add(PACKED)
        index.mark_indexed("b.pack", 7)
        raise RuntimeError("stop")
    assert index.find(PACKED.digest) is None
    assert index.indexed_bytes() == {}
    index.close()


def test_a_removed_place_is_returned_once(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db")
    add(index, PACKED)
    with index.write():
        assert index.remove(PACKED.digest) == PACKED
        assert index.remove(PACKED.digest) is None
    index.close()


def test_it_is_kept_and_not_new_when_opened_again(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db")
    add(index, WHOLE)
    index.close()
    again = Index(tmp_path / "index.db")
    assert not again.is_new
    assert again.find(WHOLE.digest) == WHOLE
    again.close()


def test_an_index_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "index.db")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(NewerSchema, match="version 2"):
        Index(tmp_path / "index.db")


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_bytes(b"not a database at all" * 100)
    index = Index(tmp_path / "index.db")
    assert index.is_new
    assert index.places(after="", limit=1) == []
    index.close()
    (aside,) = tmp_path.glob("index.db.damaged-*")
    assert aside.read_bytes().startswith(b"not a database")


def test_damage_found_later_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = Index(path)
    add(index, *(Place(digest_of(bytes([n])), n, "a.pack", n, n) for n in range(200)))
    index.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    again = Index(path)
    with pytest.raises(Corrupt, match="index.db") as caught:
        again.places(after="", limit=1000)
    assert "remove index.db" in caught.value.fix
    again.close()


def test_a_lock_held_for_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.adapters.localfs.index._BUSY_TIMEOUT_S", 0.01)
    first, second = Index(tmp_path / "index.db"), Index(tmp_path / "index.db")
    with first.write(), pytest.raises(TimedOut), second.write():
        pass
    assert add(second, WHOLE) == [True]
    first.close()
    second.close()


def test_errors_without_meaning_of_ours_pass(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db")
    index.close()
    with pytest.raises(sqlite3.ProgrammingError):
        index.find(WHOLE.digest)
