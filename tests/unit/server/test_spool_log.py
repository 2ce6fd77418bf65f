"""The log keeps what was appended, through torn tails, full disks and removed segments."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import Corrupt, StorageFull, Unavailable
from interlock.server.spool.log import Log, LogReader

LOTS = 1 << 30


def read(log: Log, number: int = 0) -> list[tuple[int, bytes]]:
    return LogReader(log, number).take(1_000_000, size_bytes=LOTS)


def append(log: Log, *payloads: bytes) -> int:
    number = log.append(payloads)
    log.release()
    return number


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


def test_what_is_appended_is_read_in_order_with_its_number(tmp_path: Path) -> None:
    log = Log(tmp_path)
    assert append(log, b"a", b"bb") == 0 and append(log, b"ccc") == 2
    assert read(log) == [(0, b"a"), (1, b"bb"), (2, b"ccc")]
    assert (log.first, log.end) == (0, 3)
    assert log.size_bytes == segments(tmp_path)[0].stat().st_size


def test_readers_see_only_what_was_released(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append([b"a"])
    assert read(log) == []
    log.release()
    assert read(log) == [(0, b"a")]


def test_a_reader_goes_on_where_it_stopped_while_the_log_grows_over_segments(tmp_path: Path) -> None:
    log = Log(tmp_path, segment_bytes=64)
    reader = LogReader(log, 0)
    found = []
    for number in range(40):
        append(log, b"x%02d" % number * 4)
        found += reader.take(1, size_bytes=LOTS)
    assert [payload for _, payload in found] == [b"x%02d" % number * 4 for number in range(40)]
    assert len(segments(tmp_path)) > 5


def test_a_reader_takes_at_least_one_and_stops_at_a_size(tmp_path: Path) -> None:
    log = Log(tmp_path)
    append(log, b"x" * 100, b"y" * 100, b"z")
    reader = LogReader(log, 0)
    assert [len(reader.take(9, size_bytes=size)) for size in (1, 150, 1)] == [1, 2, 0]


@pytest.mark.parametrize("segment_bytes", [1, 100, 1 << 20])
def test_it_goes_on_after_being_opened_again(tmp_path: Path, segment_bytes: int) -> None:
    for number in range(5):
        log = Log(tmp_path, segment_bytes=segment_bytes)
        assert append(log, b"%d" % number) == number
        log.close()
    assert [payload for _, payload in read(Log(tmp_path))] == [b"0", b"1", b"2", b"3", b"4"]


@given(cut=st.integers(min_value=0, max_value=40), rest=st.sampled_from([b"", b"\0" * 64, b"\xff" * 7]))
def test_a_torn_tail_is_cut_and_written_over(tmp_path_factory: pytest.TempPathFactory, cut: int, rest: bytes) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = Log(folder)
    append(log, b"first", b"second", b"third")
    log.close()
    path = segments(folder)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - cut] + rest)
    again = Log(folder)
    kept = read(again)
    assert kept == [(0, b"first"), (1, b"second"), (2, b"third")][: len(kept)]
    assert len(kept) == (3 if cut == 0 else sum(end <= len(whole) - cut for end in (13, 27, 40)))
    append(again, b"new")
    assert read(again) == [*kept, (len(kept), b"new")]
    again.close()


def test_a_segment_of_which_nothing_is_whole_is_taken_up_again(tmp_path: Path) -> None:
    (tmp_path / f"{7:020d}.log").write_bytes(b"\1\2\3")
    log = Log(tmp_path)
    assert (log.first, log.end) == (7, 7)
    assert append(log, b"a") == 7


def test_it_begins_where_it_is_told_when_nothing_is_there(tmp_path: Path) -> None:
    log = Log(tmp_path, first=5)
    assert (log.first, log.end, log.size_bytes, read(log, 5)) == (5, 5, 0, [])
    assert append(log, b"a") == 5


def test_segments_are_removed_once_all_in_them_is_done(tmp_path: Path) -> None:
    log = Log(tmp_path, segment_bytes=1)
    for number in range(4):
        append(log, b"%d" % number)
    log.drop_before(2)
    assert (log.first, len(segments(tmp_path))) == (2, 2)
    log.drop_before(99)
    assert (log.first, len(segments(tmp_path))) == (3, 1), "the last one is still written"
    assert log.size_bytes == segments(tmp_path)[0].stat().st_size
    with pytest.raises(Corrupt, match="begins too late"):
        read(log, 1)


def test_damage_in_the_middle_is_told_not_skipped(tmp_path: Path) -> None:
    log = Log(tmp_path, segment_bytes=1)
    append(log, b"aaaa")
    append(log, b"bbbb")
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(Corrupt, match="damaged"):
        read(log)


def test_a_strange_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.log").touch()
    with pytest.raises(Corrupt, match="no segment"):
        Log(tmp_path)


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageFull), (errno.EIO, Unavailable)])
def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    log = Log(tmp_path)
    append(log, b"before")

    def half(file: int, data: bytes, offset: int) -> int:
        if offset > 14:
            raise OSError(number, os.strerror(number))
        return write(file, data[:5], offset)

    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(kind):
        log.append([b"lost" * 10])
    monkeypatch.undo()
    append(log, b"after")
    assert read(log) == [(0, b"before"), (1, b"after")]
    log.close()
    assert read(Log(tmp_path)) == [(0, b"before"), (1, b"after")]


def test_a_reader_keeps_no_bytes_that_were_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path)
    append(log, b"one")
    reader = LogReader(log, 0)
    reader.take(1, size_bytes=LOTS)
    monkeypatch.setattr(os, "fdatasync", lambda file: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(StorageFull):
        log.append([b"two"])
    assert reader.take(1, size_bytes=LOTS) == []
    monkeypatch.undo()
    append(log, b"six")
    assert reader.take(1, size_bytes=LOTS) == [(1, b"six")]
