from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.adapters.localfs import packs
from interlock.adapters.localfs.index import Index, Place
from interlock.adapters.localfs.packs import HEADER_BYTES, Header, PackWriter, encode_entry, erase, read, scan
from interlock.core.errors import Corrupt, NotFound
from interlock.core.hashing import digest_of

TEXT = b"delays at the origin, " * 40
NOISE = random.Random(1).randbytes(500)


def entry(data: bytes) -> bytes:
    return encode_entry(digest_of(data), data)


def scanned(folder: Path, raw: bytes, start: int = 0) -> tuple[list[Place], int]:
    path = folder / "a.pack"
    path.write_bytes(raw)
    file = os.open(path, os.O_RDONLY)
    try:
        return scan(file, "a.pack", start)
    finally:
        os.close(file)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path / "index.db")
    yield index
    index.close()


def test_a_header_is_read_as_written_and_no_bit_may_flip() -> None:
    header = Header(1, 880, 40, digest_of(TEXT))
    raw = header.encode()
    assert len(raw) == HEADER_BYTES == 52
    assert Header.decode(raw) == header
    assert Header.decode(raw[:-1]) is None
    for position in range(len(raw)):
        flipped = bytearray(raw)
        flipped[position] ^= 1
        assert Header.decode(bytes(flipped)) is None, position


def test_only_what_shrinks_is_compressed() -> None:
    assert len(entry(TEXT)) < HEADER_BYTES + len(TEXT) / 4
    assert entry(NOISE) == Header(0, 500, 500, digest_of(NOISE)).encode() + NOISE
    assert entry(b"") == Header(0, 0, 0, digest_of(b"")).encode()


def test_scan_finds_entries_after_an_offset(tmp_path: Path) -> None:
    first, second = entry(TEXT), entry(NOISE)
    places, end = scanned(tmp_path, first + second)
    assert places == [
        Place(digest_of(TEXT), len(TEXT), "a.pack", 0, len(first)),
        Place(digest_of(NOISE), len(NOISE), "a.pack", len(first), len(second)),
    ]
    assert end == len(first + second)
    assert scanned(tmp_path, first + second, len(first)) == (places[1:], end)
    assert scanned(tmp_path, b"") == ([], 0)


def test_scan_stops_before_an_entry_torn_anywhere(tmp_path: Path) -> None:
    first, second = entry(TEXT), entry(NOISE)
    for kept in range(0, len(second), 7):
        places, end = scanned(tmp_path, first + second[:kept])
        assert ([place.digest for place in places], end) == ([digest_of(TEXT)], len(first))


def test_scan_skips_what_is_damaged_or_erased(tmp_path: Path) -> None:
    broken = bytearray(entry(NOISE))
    broken[10] ^= 1
    spoilt = bytearray(entry(b"spoilt" * 9))
    spoilt[-1] ^= 1
    raw = b"ILP1 rubbish" + entry(TEXT) + broken + spoilt + entry(b"last")
    places, end = scanned(tmp_path, raw)
    assert [place.digest for place in places] == [digest_of(TEXT), digest_of(b"last")]
    assert end == len(raw)
    erase(tmp_path, places[1])
    assert scanned(tmp_path, (tmp_path / "a.pack").read_bytes()) == (places[:1], end)


def test_an_erased_entry_leaves_none_of_its_bytes(tmp_path: Path) -> None:
    (place, kept), _ = scanned(tmp_path, entry(NOISE) + entry(TEXT))
    erase(tmp_path, place)
    raw = (tmp_path / "a.pack").read_bytes()
    assert NOISE[:16] not in raw
    assert bytes.fromhex(place.digest[3:]) not in raw
    with pytest.raises(NotFound):
        read(tmp_path, place)
    assert read(tmp_path, kept) == TEXT
    erase(tmp_path, place._replace(pack="missing.pack"))


@pytest.mark.parametrize("data", [TEXT, NOISE], ids=["compressed", "plain"])
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, data: bytes) -> None:
    raw = entry(data)
    (place,), _ = scanned(tmp_path, raw)
    assert read(tmp_path, place) == data
    for position in range(len(raw)):
        flipped = bytearray(raw)
        flipped[position] ^= 1 << position % 8
        (tmp_path / "a.pack").write_bytes(flipped)
        with pytest.raises(Corrupt, match=place.digest):
            read(tmp_path, place)


def test_damage_is_told_apart(tmp_path: Path) -> None:
    (place,), _ = scanned(tmp_path, entry(NOISE))
    cases = {
        "the pack is missing": place._replace(pack="b.pack"),
        "the pack ends after 552 of its 553 bytes": place._replace(stored_bytes=553),
        "the header of its entry is damaged": place._replace(digest=digest_of(TEXT)),
    }
    for why, wrong in cases.items():
        with pytest.raises(Corrupt) as caught:
            read(tmp_path, wrong)
        assert caught.value.why.startswith(why)


def test_a_pack_goes_on_where_the_last_process_stopped(tmp_path: Path, index: Index) -> None:
    for data in (TEXT, NOISE):
        writer = PackWriter(tmp_path, index)
        writer.put(digest_of(data), data)
        writer.close()
    (pack,) = tmp_path.glob("*.pack")
    assert pack.read_bytes() == entry(TEXT) + entry(NOISE)
    assert index.indexed_bytes() == {pack.name: pack.stat().st_size}


def test_two_writers_have_a_pack_each(tmp_path: Path, index: Index) -> None:
    writers = [PackWriter(tmp_path, index) for _ in range(2)]
    for writer, data in zip(writers, (TEXT, NOISE), strict=True):
        writer.put(digest_of(data), data)
    assert sorted(pack.read_bytes() for pack in tmp_path.glob("*.pack")) == sorted([entry(TEXT), entry(NOISE)])
    for writer in writers:
        writer.close()


def test_what_is_indexed_is_not_written_again(tmp_path: Path, index: Index) -> None:
    first, second = PackWriter(tmp_path, index), PackWriter(tmp_path, index)
    first.put(digest_of(TEXT), TEXT)
    second.put(digest_of(TEXT), TEXT)
    assert len(list(tmp_path.glob("*.pack"))) == 1
    first.close()
    second.close()


def test_a_full_pack_is_followed_by_another(tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 1200)
    writer = PackWriter(tmp_path, index)
    contents = [random.Random(n).randbytes(500) for n in range(5)]
    for data in contents:
        writer.put(digest_of(data), data)
    assert [pack.stat().st_size for pack in sorted(tmp_path.glob("*.pack"))] == [1104, 1104, 552]
    for data in contents:
        place = index.find(digest_of(data))
        assert place is not None
        assert read(tmp_path, place) == data
    writer.close()


def test_a_writer_adopts_whole_entries_and_cuts_off_a_torn_one(tmp_path: Path, index: Index) -> None:
    writer = PackWriter(tmp_path, index)
    writer.put(digest_of(TEXT), TEXT)
    writer.close()
    (pack,) = tmp_path.glob("*.pack")
    with pack.open("ab") as file:
        file.write(entry(NOISE) + entry(b"torn" * 30)[:-3])
    writer = PackWriter(tmp_path, index)
    writer.put(digest_of(b"next"), b"next")
    writer.close()
    assert pack.read_bytes() == entry(TEXT) + entry(NOISE) + entry(b"next")
    place = index.find(digest_of(NOISE))
    assert place is not None
    assert read(tmp_path, place) == NOISE


def test_an_adopted_copy_of_what_lies_elsewhere_is_erased(tmp_path: Path, index: Index) -> None:
    first, second = PackWriter(tmp_path, index), PackWriter(tmp_path, index)
    first.put(digest_of(TEXT), TEXT)
    second.put(digest_of(b"other"), b"other")
    second.close()
    pack = next(path for path in tmp_path.glob("*.pack") if path.read_bytes() == entry(b"other"))
    with pack.open("ab") as file:
        file.write(entry(TEXT))
    packs.adopt_all(tmp_path, index)
    assert scanned(tmp_path, pack.read_bytes())[0] == [Place(digest_of(b"other"), 5, "a.pack", 0, 57)]
    first.close()


def test_packs_in_use_are_left_to_their_process(tmp_path: Path, index: Index) -> None:
    writer = PackWriter(tmp_path, index)
    writer.put(digest_of(TEXT), TEXT)
    (pack,) = tmp_path.glob("*.pack")
    with pack.open("ab") as file:
        file.write(entry(NOISE))
    packs.adopt_all(tmp_path, index)
    assert index.find(digest_of(NOISE)) is None
    writer.close()
    packs.adopt_all(tmp_path, index)
    assert index.find(digest_of(NOISE)) is not None
