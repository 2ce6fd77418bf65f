from __future__ import annotations

import os
import resource
import struct
import zlib
from pathlib import Path

import pytest

from interlock.adapters.localfs import segments
from interlock.adapters.localfs.disk import wait_for_lock
from interlock.adapters.localfs.segments import Segment, frames, left_over, read, take
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
    for payload in (b"one", b"", b"three" * 1000):
        segment.append(payload)
    assert segment.path.read_bytes() == frame(b"one") + frame(b"") + frame(b"three" * 1000)
    assert contents(segment.path) == [b"one", b"", b"three" * 1000]
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


def test_a_full_disk_cuts_the_segment_back(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.append(b"kept")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageFull, match="spool"):
            segment.append(b"x" * 8192)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    segment.append(b"next")
    assert contents(segment.path) == [b"kept", b"next"]
    segment.close()
