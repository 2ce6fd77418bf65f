"""A spool's folder is found again as its last process left it, however that ended."""

from __future__ import annotations

import errno
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from interlock.core.errors import Conflict, Corrupt, StorageFull, Unavailable
from interlock.server.spool import state as states
from interlock.server.spool.files import Files
from interlock.server.spool.log import LogReader
from interlock.server.spool.records import Write, decode_write, encode_write
from interlock.server.spool.refusals import Refusals
from interlock.server.spool.state import Made, Seen, State
from interlock.server.spool.store import Store
from tests.unit.server.spooled import API, opened

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "a" * 32
UP = "http://up:1"


def logged(run: str = RUN, **more: object) -> Write:
    body = msgspec.json.encode({"run_id": run, "key": "k", "value": 1, "timestamp": 1})
    write = Write("log-metric", "POST", f"{API}/runs/log-metric", {}, body, 5, (run,))
    return msgspec.structs.replace(write, **more)


def created(run: str = RUN, **more: object) -> Write:
    body = msgspec.json.encode({"experiment_id": "0", "run_name": "n"})
    write = Write("create-run", "POST", f"{API}/runs/create", {}, body, 5, (), ("0",), run)
    return msgspec.structs.replace(write, **more)


def uploaded(store: Store, data: bytes = b"data") -> Write:
    with store.files.writing() as file:
        file.write(data)
        file.keep()
    target = f"/api/2.0/mlflow-artifacts/artifacts/0/{RUN}/artifacts/f"
    return Write("put-artifact", "PUT", target, {}, b"", 5, (RUN,), file=file.name, file_bytes=file.size_bytes)


def put(store: Store, *writes: Write) -> None:
    store.log.append([encode_write(write) for write in writes])
    store.log.release()


def waiting(store: Store) -> list[Write]:
    found = LogReader(store.log, store.state.done()).take(1000, size_bytes=1 << 30)
    return [decode_write(payload) for _, payload in found]


def test_what_waits_is_taken_in_again(tmp_path: Path) -> None:
    store = opened(tmp_path, UP)
    put(store, logged("done"), created(), logged(), uploaded(store))
    store.state.advance(1)
    store.close()
    again = opened(tmp_path, UP)
    assert (again.backlog.count, again.backlog.concerns([RUN]), again.backlog.concerns(["done"])) == (3, True, False)
    assert again.ids.waiting(RUN.encode())
    assert again.known.answer(f"{API}/runs/get", {"run_id": RUN})["run"]["data"]["metrics"][0]["key"] == "k"  # type: ignore[index]
    assert again.size_bytes == again.log.size_bytes + 4
    again.close()


def test_files_that_nothing_refers_to_are_removed(tmp_path: Path) -> None:
    store = opened(tmp_path, UP)
    kept, refused = uploaded(store), uploaded(store)
    put(store, kept)
    store.refusals.add(7, refused, status=400, answer="no", now=NOW)
    uploaded(store)
    store.close()
    again = opened(tmp_path, UP)
    assert {path.name for path in (tmp_path / "files").iterdir()} == {kept.file, refused.file}
    again.close()


def test_a_damaged_folder_is_let_go_again(tmp_path: Path) -> None:
    opened(tmp_path, UP).close()
    (tmp_path / "log" / "strange.log").touch()
    for _ in range(2):
        with pytest.raises(Corrupt):
            opened(tmp_path, UP)


def test_one_process_at_a_time_has_a_folder(tmp_path: Path) -> None:
    store = opened(tmp_path, UP)
    with pytest.raises(Conflict, match="in use"):
        opened(tmp_path, UP)
    store.close()
    opened(tmp_path, UP).close()


def test_a_folder_belongs_to_one_server(tmp_path: Path) -> None:
    opened(tmp_path, UP).close()
    with pytest.raises(Conflict, match="another server") as refusal:
        opened(tmp_path, "http://other:1")
    assert UP in refusal.value.fix
    store = opened(tmp_path, None)  # type: ignore[arg-type]
    assert store.state.upstream == UP
    store.close()


def test_others_may_not_look_into_it(tmp_path: Path) -> None:
    store = opened(tmp_path / "spool", UP)
    put(store, uploaded(store))
    store.refusals.add(0, logged(), status=400, answer="", now=NOW)
    store.close()
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    files = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    assert len(files) >= 5
    assert {path.name for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077} == set()


def test_a_full_folder_is_told(tmp_path: Path) -> None:
    store = opened(tmp_path, UP, max_bytes=1000)
    store.check_room(1000)
    put(store, uploaded(store, b"x" * 500))
    with pytest.raises(StorageFull, match="spool is full") as refusal:
        store.check_room(500)
    assert "--max-bytes" in refusal.value.fix
    store.close()


def test_refused_writes_can_be_put_back(tmp_path: Path) -> None:
    store = opened(tmp_path, UP)
    file = uploaded(store)
    put(store, created(), logged(), file)
    for number, write in enumerate((created(), logged(), file)):
        store.refusals.add(number, write, status=400, answer="no", now=NOW)
    store.state.advance(3, made=Made(RUN, "run", "", ""))
    store.close()
    kept = opened(tmp_path, UP)
    assert (kept.backlog.count, len(kept.refusals), kept.ids.refused([RUN])) == (0, 3, RUN)
    kept.close()
    again = opened(tmp_path, UP, retry_refused=True)
    assert (again.backlog.count, len(again.refusals), again.ids.refused([RUN])) == (3, 0, None)
    assert [(write.call, write.attempted) for write in waiting(again)] == [
        ("create-run", True),
        ("log-metric", True),
        ("put-artifact", True),
    ]
    with again.files.open(file.file) as body:
        assert body.read() == b"data"
    again.close()


def test_who_did_not_get_an_answer_can_ask_again(tmp_path: Path) -> None:
    store = opened(tmp_path, UP)
    put(store, created(asked="one"), created("b" * 32, asked="two"), logged("b" * 32))
    store.state.intend("three", "c" * 32)
    store.state.intend("four", "d" * 32)
    store.state.fulfil("four")
    store.close()
    again = opened(tmp_path, UP)
    assert again.unclaimed == {"one": RUN, "three": "c" * 32}, "the second was used"
    again.close()


def test_state_remembers(tmp_path: Path) -> None:
    state = State(tmp_path / "s", upstream=UP)
    state.advance(5, made=Made("g", "run", "u", "root"))
    state.see([Seen("run", "1", "x", b"a"), Seen("run", "2", "x", b"b")])
    state.see([Seen("run", "1", "x", b"c")])
    state.close()
    again = State(tmp_path / "s", upstream=UP)
    assert (again.done(), again.made()) == (5, [Made("g", "run", "u", "root")])
    assert (again.seen("run", "1"), again.seen("run", "9"), again.seen_named("run", "x")) == (b"c", None, b"c")
    again.forget("g")
    assert again.made() == []
    again.close()


def test_state_forgets_what_was_not_seen_for_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(tmp_path / "s", upstream=UP)
    for number in range(10):
        state.see([Seen("run", str(number), "", b"")])
    state.close()
    monkeypatch.setattr(states, "SEEN_KEPT", 4)
    again = State(tmp_path / "s", upstream=UP)
    assert [again.seen("run", str(number)) is not None for number in range(10)] == [False] * 5 + [True] * 5
    again.close()


def test_a_database_that_cannot_be_written_is_told_and_unchanged(tmp_path: Path) -> None:
    state = State(tmp_path / "s", upstream=UP)
    state._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StorageFull):
        state.see([Seen("run", "1", "", b"x" * 1_000_000)])
    assert (state.seen("run", "1"), state.done()) == (None, 0)
    state._db.execute("PRAGMA query_only = 1")
    with pytest.raises(Unavailable):
        state.advance(1)
    assert state.done() == 0
    state.close()


def test_a_file_is_removed_unless_it_is_kept(tmp_path: Path) -> None:
    files = Files(tmp_path)
    with pytest.raises(RuntimeError), files.writing() as file:
        file.write(b"abc")
        assert files.size_bytes == 3
        raise RuntimeError
    assert (list(tmp_path.iterdir()), files.size_bytes) == ([], 0)
    files.remove("gone")


def test_a_file_that_finds_no_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    for name in ("write", "fsync"):
        files = Files(tmp_path)
        with monkeypatch.context() as patch, files.writing() as file:
            patch.setattr(os, name, full)
            with pytest.raises(StorageFull):
                file.write(b"abc")
                file.keep()
        assert list(tmp_path.iterdir()) == []


def test_refusals_are_lines_that_people_can_read(tmp_path: Path) -> None:
    refusals = Refusals(tmp_path / "refused.jsonl")
    assert (len(refusals), refusals.size_bytes, refusals.all()) == (0, 0, [])
    refusals.add(3, logged(), status=400, answer="x" * 5000, now=NOW)
    refusals.add(3, logged(), status=400, answer="again", now=NOW)
    refusals.add(4, logged("r"), status=0, answer="why", now=NOW)
    again = Refusals(tmp_path / "refused.jsonl")
    assert (len(again), 3 in again, 9 in again) == (2, True, False)
    first, second = again.all()
    assert (first.call, first.about, first.status, len(first.answer)) == ("log-metric", (RUN,), 400, 2000)
    assert (second.answer, second.write, second.accepted_at) == ("why", logged("r"), datetime.fromtimestamp(0.005, UTC))
    again.clear()
    assert not (tmp_path / "refused.jsonl").exists() and len(again) == 0


def test_a_refusal_that_a_crash_cut_short_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "refused.jsonl"
    refusals = Refusals(path)
    refusals.add(1, logged(), status=400, answer="", now=NOW)
    path.write_bytes(path.read_bytes() + b'{"number": 2, "torn')
    again = Refusals(path)
    assert len(again) == 1
    again.add(2, logged(), status=400, answer="", now=NOW)
    assert [one.number for one in Refusals(path).all()] == [1, 2]
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(Corrupt):
        Refusals(path)


def test_the_backlog_counts_by_thing(tmp_path: Path) -> None:
    store = opened(tmp_path, UP)
    backlog = store.backlog
    writes = [logged("r"), logged("r"), created("s"), logged("s")]
    for write in writes:
        backlog.add(write)
    assert (backlog.count, backlog.size_bytes) == (4, sum(len(write.body) for write in writes))
    assert backlog.remove(writes[:1]) == [] and backlog.concerns(["r"])
    assert backlog.remove(writes[1:3]) == ["r"] and not backlog.concerns(["r"]) and backlog.concerns(["x", "s"])
    assert backlog.remove(writes[3:]) == ["s"]
    assert (backlog.count, backlog.size_bytes) == (0, 0)
    store.close()
