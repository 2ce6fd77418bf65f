from __future__ import annotations

import os
from pathlib import Path

import pytest

from interlock.core.errors import LimitExceeded
from interlock.serving import counters
from interlock.serving.counters import CounterFile, Layout, private_series, read_headers, read_series

LAYOUT = Layout("things", 4, 2)


def test_what_one_process_counts_another_reads(tmp_path: Path) -> None:
    file = CounterFile(tmp_path, LAYOUT)
    series = file.series({"b": "2", "a": "1"})
    series.cells[0] += 3
    series.note = "größer"
    assert file.series({"a": "1", "b": "2"}) is series
    [reading] = read_series(tmp_path, LAYOUT)
    assert (reading.label, reading.note, reading.cells) == ({"a": "1", "b": "2"}, "größer", [3, 0, 0, 0])
    file.close()


def test_the_next_process_takes_a_file_over_and_counts_on(tmp_path: Path) -> None:
    first = CounterFile(tmp_path, LAYOUT)
    first.series({"a": "1"}).cells[0] = 5
    first.gauges(2)[0] = 9
    first.close()
    second = CounterFile(tmp_path, LAYOUT)
    assert second.path == first.path
    second.series({"a": "1"}).cells[0] += 1
    assert [reading.cells[0] for reading in read_series(tmp_path, LAYOUT)] == [6]
    assert list(second.gauges(2)) == [0, 0]
    second.close()


def test_processes_at_once_have_a_file_each(tmp_path: Path) -> None:
    first, second = CounterFile(tmp_path, LAYOUT), CounterFile(tmp_path, LAYOUT)
    first.series({"a": "1"}).cells[1] = 1
    second.series({"a": "1"}).cells[1] = 2
    second.gauges(1)[0] = 7
    assert sorted(reading.cells[1] for reading in read_series(tmp_path, LAYOUT)) == [1, 2]
    headers = read_headers(tmp_path, LAYOUT)
    assert [(header.number, header.pid, header.is_alive) for header in headers] == [
        ("0", os.getpid(), True),
        ("1", os.getpid(), True),
    ]
    assert headers[1].gauges[0] == 7
    first.close()
    assert [header.is_alive for header in read_headers(tmp_path, LAYOUT)] == [False, True]
    second.close()


def test_a_series_that_nobody_uses_gives_way(tmp_path: Path) -> None:
    first = CounterFile(tmp_path, LAYOUT)
    first.series({"n": "1"}).cells[0] = 1
    first.series({"n": "2"}).cells[0] = 2
    first.close()
    second = CounterFile(tmp_path, LAYOUT)
    second.series({"n": "2"})
    assert second.series({"n": "3"}).cells[0] == 0
    assert {reading.label["n"]: reading.cells[0] for reading in read_series(tmp_path, LAYOUT)} == {"3": 0, "2": 2}
    # both are in use: what comes now is counted for this process alone
    private = second.series({"n": "4"})
    private.cells[0] = 8
    assert second.series({"n": "4"}) is private
    assert len(list(read_series(tmp_path, LAYOUT))) == 2
    second.close()


def test_a_label_that_is_too_long_stays_private(tmp_path: Path) -> None:
    file = CounterFile(tmp_path, LAYOUT)
    file.series({"n": "x" * 2_000}).cells[0] = 1
    assert list(read_series(tmp_path, LAYOUT)) == []
    file.close()


def test_a_file_of_another_kind_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / f"{LAYOUT.prefix}000.bin").write_bytes(b"")
    assert list(read_series(tmp_path, LAYOUT)) == []
    assert list(read_series(tmp_path / "nothing", LAYOUT)) == []
    file = CounterFile(tmp_path, LAYOUT)
    file.series({"a": "1"})
    data = bytearray(file.path.read_bytes())
    place = LAYOUT.label_of(0).start
    data[place + 4 : place + 8] = b"\xff\xff\xff\xff"
    file.close()
    file.path.write_bytes(data)
    assert list(read_series(tmp_path, LAYOUT)) == []


def test_there_may_be_only_so_many_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_MOST_FILES", 1)
    file = CounterFile(tmp_path, LAYOUT)
    with pytest.raises(LimitExceeded):
        CounterFile(tmp_path, LAYOUT)
    file.close()


def test_a_note_is_cut_to_what_fits() -> None:
    series = private_series(1)
    series.note = "x" * 5_000
    assert 0 < len(series.note) < 600
