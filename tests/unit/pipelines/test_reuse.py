"""A record stands only where all that its step read is as it was; every version is kept."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from interlock.adapters.memory.stores import memory_stores
from interlock.core.clock import EPOCH
from interlock.pipelines.reuse import VERIFIED, agrees, changed_in_words, judge, placed
from interlock.pipelines.touched import UNSTEADY, changed, look
from interlock.ports.step_cache import StepRecord, Touched

RECORD = StepRecord("k", "m.f", "R1", EPOCH, 1.0, {}, {}, {}, "b3:o", "msgpack")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("x").write_text("one")
    return tmp_path


def record(run: str, **changes: object) -> StepRecord:
    return msgspec.structs.replace(RECORD, run=run, output=f"b3:{run}", **changes)


def test_nothing_found_means_to_run_and_to_keep_under_the_key() -> None:
    verdict = judge("k", None, memory_stores().steps.find)
    assert (verdict.record, verdict.key, verdict.reason) == (None, "k", "")
    assert placed(record("R1"), verdict) == record("R1")


def test_versions_of_a_file_are_kept_side_by_side() -> None:
    cache = memory_stores().steps
    for run, text in (("R1", "one"), ("R2", "two"), ("R3", "three")):
        Path("x").write_text(text)
        verdict = judge("k", cache.find("k"), cache.find)
        assert (verdict.record, verdict.reason) == (None, "" if run == "R1" else "re-ran: file x changed")
        cache.put(placed(record(run, touched=(look("file:x"),)), verdict))
    for run, text in (("R2", "two"), ("R1", "one"), ("R3", "three")):
        Path("x").write_text(text)
        found = judge("k", cache.find("k"), cache.find).record
        assert found is not None
        assert found.run == run


def test_a_result_in_doubt_is_passed_over() -> None:
    cache = memory_stores().steps
    cache.put(record("R1", doubts=("clock: x",)))
    verdict = judge("k", cache.find("k"), cache.find)
    assert verdict.record is None
    assert verdict.reason.startswith("re-ran: its result may differ each time: clock: x")
    assert judge("k", cache.find("k"), cache.find, always=True).record == cache.find("k")
    in_doubt = cache.put(placed(record("R2", doubts=("clock: x",)), verdict))
    assert judge("k", cache.find("k"), cache.find).record is None
    assert cache.history("m.f")[0] == in_doubt
    sure = cache.put(placed(record("R3"), verdict))
    assert judge("k", cache.find("k"), cache.find).record == sure


def test_a_result_that_came_out_differently_stays_in_doubt() -> None:
    cache = memory_stores().steps
    cache.put(record("R1", doubts=(f"{VERIFIED} it differed",)))
    verdict = judge("k", cache.find("k"), cache.find)
    cache.put(placed(record("R2"), verdict))
    again = judge("k", cache.find("k"), cache.find)
    assert (verdict.record, again.record) == (None, None)
    assert again.doubts == (f"{VERIFIED} it differed",)


def test_of_two_at_once_the_first_stands_only_if_both_read_the_same() -> None:
    one, other = Touched("file:x", "b3:1", "7"), Touched("file:x", "b3:2")
    assert agrees(record("R1", touched=(one,)), record("R2", touched=(msgspec.structs.replace(one, stamp=""),)))
    assert not agrees(record("R1", touched=(one,)), record("R2", touched=(other,)))


def test_states_of_things(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_Z", "1")
    names = ["file:x", "folder:.", "tree:.", "env:RATE_Z", "file:none", "folder:none", "tree:none", "env:NONE_Z"]
    before = [look(name) for name in names]
    assert [one.state for one in before[4:]] == ["absent"] * 4
    assert changed(before) == []
    Path("y").write_text("new")
    Path("x").write_text("changed")
    monkeypatch.setenv("RATE_Z", "2")
    assert changed(before) == names[:4]
    assert changed([Touched("file:x", UNSTEADY)]) == ["file:x"]
    assert look("file:x").state == look(f"file:{folder / 'x'}").state


def test_a_file_that_was_left_alone_is_not_read_again(folder: Path) -> None:
    os.utime("x", (1, 1))
    found = look("file:x")
    trusted = msgspec.structs.replace(found, state="b3:believed", stamp=_stamp(folder / "x"))
    assert look("file:x", last=trusted) == trusted
    Path("x").write_text("two")  # as long as before
    os.utime("x", (1, 1))
    assert look("file:x", last=trusted).state not in ("b3:believed", found.state)


def _stamp(path: Path) -> str:
    found = path.stat()
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def test_a_folder_is_not_a_file() -> None:
    Path("sub").mkdir()
    assert look("file:sub").state == "absent"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("file:a", "file a changed"),
        ("folder:a", "the names in folder a changed"),
        ("tree:a", "files in folder a changed"),
        ("env:A", "environment variable A changed"),
    ],
)
def test_changes_in_words(name: str, words: str) -> None:
    assert changed_in_words(name) == words
