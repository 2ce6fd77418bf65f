from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from interlock.core.errors import InvalidInput
from interlock.server import access_log
from interlock.server.access_log import AccessLog, Entry, Line, read_entries

AT_NS = 1_767_225_600_123_456_789


def line(
    target: bytes = b"/v2/models/delay/infer?secret=1",
    *,
    ids: tuple[str, ...] = ("01J0",),
    key: str = "dash",
    endpoint: str = "delay",
    trace: str = "",
) -> Line:
    return AT_NS, 1_234_567, 300, ids, trace, ("POST", target, 200, endpoint, "3", "127.0.0.1", key)


def test_a_line_says_everything_but_the_query(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.log"
    log = AccessLog(str(path))
    log.add(line(trace="ab" * 16))
    log.close()
    [entry] = read_entries(path)
    assert entry == Entry(
        time="2026-01-01T00:00:00.123456Z",
        method="POST",
        path="/v2/models/delay/infer",
        status=200,
        bytes=300,
        ms=1.235,
        endpoint="delay",
        version="3",
        rows=1,
        ids=["01J0"],
        client="127.0.0.1",
        key="dash",
        trace="ab" * 16,
    )
    assert path.stat().st_mode & 0o077 == 0


def test_nothing_that_callers_choose_breaks_a_line(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "a.log"))
    log.add(line(b'/v2/models/"\n\\\xff/infer', ids=('"', "\\", "ä")))
    log.add(line(ids=('a"b',), endpoint="", key=""))
    log.close()
    first, second = [json.loads(text) for text in (tmp_path / "a.log").read_text().splitlines()]
    assert first["path"] == '/v2/models/"\n\\ÿ/infer'
    assert first["ids"] == ['"', "\\", "ä"]
    assert second["ids"] == ['a"b']
    assert "endpoint" not in second
    assert "key" not in second


def test_many_ids_are_cut(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "a.log"))
    log.add(line(ids=tuple(map(str, range(1_000)))))
    log.close()
    [entry] = read_entries(tmp_path / "a.log")
    assert (entry.rows, len(entry.ids)) == (1_000, access_log.MOST_IDS)


def test_full_files_are_set_aside_and_old_ones_go(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = AccessLog(str(path), most_bytes=450, kept=2)
    for number in range(12):
        log.add(line(ids=(f"n{number}",)))
        log.flush()
    log.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    assert all(file.stat().st_size <= 450 for file in tmp_path.iterdir())
    newest = [entry.ids[0] for entry in read_entries(path, last=3)]
    assert newest == ["n9", "n10", "n11"]
    assert [entry.ids[0] for entry in read_entries(path, last=100)][-1] == "n11"
    assert len(read_entries(path, last=100)) == 6


def test_none_are_kept_if_none_shall_be(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "a.log"), most_bytes=250, kept=0)
    for _ in range(3):
        log.add(line())
        log.flush()
    log.close()
    assert [file.name for file in tmp_path.iterdir()] == ["a.log"]
    assert len(read_entries(tmp_path / "a.log")) == 1


def test_two_processes_write_the_same_file_and_one_sets_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    first, second = (AccessLog(str(path), most_bytes=1_000, kept=9) for _ in range(2))
    for number in range(20):
        for log in (first, second):
            log.add(line(ids=(f"n{number}",)))
            log.flush()
    first.close()
    second.close()
    assert len(read_entries(path, last=1_000)) == 40


def test_a_file_that_is_taken_away_is_made_again(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "a.log"))
    (tmp_path / "a.log").unlink()
    log.add(line())
    log.close()
    assert len(read_entries(tmp_path / "a.log")) == 1


def test_what_cannot_wait_is_dropped_and_counted(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "a.log"), most_waiting=2)
    log._stopping.set()
    if log._thread is not None:
        log._thread.join()
    for _ in range(5):
        log.add(line())
    assert log.dropped == 3
    log.close()
    assert len(read_entries(tmp_path / "a.log")) == 2


def test_a_full_disk_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AccessLog(str(tmp_path / "a.log"))

    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(access_log.os, "write", full)
    log.add(line())
    log.flush()
    monkeypatch.undo()
    assert log.dropped == 1
    log.close()


def test_a_thread_writes_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "WRITE_EVERY_S", 0.001)
    log = AccessLog(str(tmp_path / "a.log"))
    log.add(line())
    while not (tmp_path / "a.log").stat().st_size:
        log._stopping.wait(0.001)
    log.close()


def test_standard_output_is_a_log_too(capsys: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("-")
    log.add(line())
    log.close()
    assert msgspec.json.decode(capsys.readouterr().out, type=Entry).path == "/v2/models/delay/infer"


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="access log"):
        AccessLog(str(tmp_path / "file" / "a.log"))


def test_reading_skips_what_was_cut_off_and_what_was_not_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = AccessLog(str(path))
    log.add(line())
    log.add(line(endpoint="fare"))
    log.close()
    with path.open("ab") as file:
        file.write(b'{"time":"20')
    assert [entry.endpoint for entry in read_entries(path)] == ["delay", "fare"]
    assert [entry.endpoint for entry in read_entries(path, endpoint="delay")] == ["delay"]
    assert read_entries(tmp_path / "nothing") == []
    os.truncate(path, 0)
    assert read_entries(path) == []


def test_common_parts_are_remembered_only_so_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "_MOST_PARTS", 2)
    log = AccessLog(str(tmp_path / "a.log"))
    for number in range(5):
        log.add(line(b"/%d" % number))
    log.close()
    assert [entry.path for entry in read_entries(tmp_path / "a.log")] == [f"/{number}" for number in range(5)]
    assert len(log._text._parts) <= 2
