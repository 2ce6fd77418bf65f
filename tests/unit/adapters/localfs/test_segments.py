from __future__ import annotations

import os
import resource
import struct
import zlib
from pathlib import Path

import pytest

from interlock.adapters.localfs import segments
from interlock.adapters.localfs.disk import wait_for_lock
from interlock.adapters.localfs.segments import SEGMENT_BYTES, Segment, frames, left_over, read, take
from interlock.core.errors import StorageFull


def frame(payload: bytes) -> bytes:
    return struct.pack("<II", len(payload), zlib.crc32(payload)) + payload


def contents(path: Path) -> list[bytes]:
    file = os.open(path, os.O_RDONLY)
    try:
        return list(read(file))
    finally:
        os.close(file)


def test_frames_are_read_as_written(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    for payload in (b"one", b"two" * 1000):
        segment.append(payload)
    written = frame(b"one") + frame(b"two" * 1000)
    assert segment.path.read_bytes().rstrip(b"\0") == written
    assert contents(segment.path) == [b"one", b"two" * 1000]
    segment.close()
    assert contents(segment.path) == [b"one", b"two" * 1000]


def test_a_segment_has_its_size_from_the_start_and_says_when_it_is_full(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    assert segment.path.stat().st_size == SEGMENT_BYTES
    large = b"x" * (SEGMENT_BYTES - 8)
    assert segment.has_room(large)
    assert not segment.has_room(large + b"x")
    segment.append(large)
    assert not segment.has_room(b"x")
    assert contents(segment.path) == [large]
    segment.close()


def test_a_segment_is_made_for_a_payload_of_any_size(tmp_path: Path) -> None:
    payload = b"x" * (2 * SEGMENT_BYTES)
    segment = Segment(tmp_path, room_for=len(payload))
    segment.append(payload)
    assert contents(segment.path) == [payload]
    segment.close()


def test_a_torn_last_frame_is_dropped() -> None:
    whole, torn = frame(b"whole"), frame(b"torn")
    for kept in range(len(torn)):
        assert list(frames(whole + torn[:kept])) == [b"whole"]
    assert list(frames(whole + torn[:-1] + b"!")) == [b"whole"]


def test_a_segment_in_use_is_taken_by_nobody(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    assert left_over(tmp_path) == [segment.path]
    assert take(segment.path, wait=False) is None
    segment.close()
    file = take(segment.path, wait=False)
    assert file is not None
    assert take(segment.path, wait=False) is None
    os.close(file)
    segment.path.unlink()
    assert take(segment.path, wait=True) is None


def test_a_segment_removed_before_it_was_locked_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lock_late(file: int) -> None:
        monkeypatch.undo()
        (taken,) = tmp_path.iterdir()
        taken.unlink()
        wait_for_lock(file)

    monkeypatch.setattr(segments, "wait_for_lock", lock_late)
    segment = Segment(tmp_path)
    segment.append(b"kept")
    segment.close()
    assert [contents(path) for path in left_over(tmp_path)] == [[b"kept"]]


def test_segments_are_listed_oldest_first_and_foreign_files_ignored(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    made = [Segment(tmp_path) for _ in range(3)]
    assert left_over(tmp_path) == [segment.path for segment in made]
    for segment in made:
        segment.close()


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SEGMENT_BYTES // 2, hard))
    try:
        with pytest.raises(StorageFull, match="spool"):
            Segment(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_over(tmp_path) == []
