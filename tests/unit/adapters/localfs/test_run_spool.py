"""What a run does is in a file at once, and in the stores in the end: once, in order, whatever happens in between."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interlock.adapters.localfs import progress, run_spool, segments
from interlock.adapters.localfs.open_runs import OpenRuns
from interlock.adapters.localfs.run_spool import LocalRunSpool
from interlock.adapters.memory.stores import memory_stores
from interlock.core.errors import Conflict, InterlockError, InvalidInput, NotFound, Unauthorised, Unavailable
from interlock.core.ids import new_id
from interlock.ports.artifact_store import ArtifactStore
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch, RunFilter, RunStore, Series
from interlock.ports.stores import Stores

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Place:
    """Stores that may be out of reach, and a spool before them."""

    def __init__(self, folder: Path) -> None:
        self.stores: Stores = memory_stores()
        self.folder = folder
        self.problem: InterlockError | None = None
        self.asked = 0
        self._spools: list[LocalRunSpool] = []

    def targets(self) -> tuple[RunStore, ArtifactStore]:
        self.asked += 1
        if self.problem is not None:
            raise self.problem
        return self.stores.runs, self.stores.artifacts

    def spool(self, **options: Any) -> LocalRunSpool:
        made = LocalRunSpool(self.folder, self.targets, keeps_contents=True, **{"every_s": 0.01, **options})
        self._spools.append(made)
        return made

    def go_away(self, error: InterlockError | None = None) -> None:
        self.problem = error or Unavailable("the server does not answer")

    def come_back(self) -> None:
        self.problem = None

    def abandon(self, spool: LocalRunSpool) -> None:
        """Leave everything as a killed process does: its locks are gone, and its threads do nothing more."""
        spool._closed = True
        for event in (spool._wake, spool._hurry, spool._retry):
            event.set()
        if spool._thread is not None:
            spool._thread.join(20)
        if spool._segment is not None:
            spool._segment.close()
            spool._segment = None
        spool._open_runs.close()
        if spool._kept is not None:
            spool._kept.close()

    def close(self) -> None:
        self.come_back()
        for spool in self._spools:
            spool.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(progress, "FRESH_S", 0.0)
    made = Place(tmp_path / "runs")
    yield made
    made.close()


def a_run(**changes: Any) -> Run:
    return Run(
        **{
            "id": new_id(),
            "experiment": "e",
            "kind": "training",
            "name": "",
            "status": "running",
            "started_at": NOW,
            **changes,
        }
    )


def points(key: str, *values: float, start: int = 0) -> RunBatch:
    steps = [float(start + at) for at in range(len(values))]
    times = [1_000_000 + start + at for at in range(len(values))]
    return RunBatch(
        series=(Series(key, array("d", values).tobytes(), array("d", steps).tobytes(), array("q", times).tobytes()),)
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_run_reaches_the_store(place: Place) -> None:
    spool = place.spool()
    run = a_run(params={"depth": 3})
    assert spool.begin(run) == ""
    assert place.stores.runs.get(run.id).status == "running"
    spool.log(run.id, points("m", 1, 2))
    blob = spool.put(b"text")
    spool.log(run.id, RunBatch(tags={"a": "b"}, artifacts=(ArtifactEntry("a.txt", blob.digest, blob.size_bytes),)))
    spool.end(run.id, status="finished", ended_at=NOW)
    assert spool.settle() == ""
    record = place.stores.runs.get(run.id)
    assert (record.status, record.metrics["m"].count, record.tags) == ("finished", 2, {"a": "b"})
    assert place.stores.artifacts.get(blob.digest) == b"text"
    assert segments.left_over(place.folder) == []
    assert spool.state().batches == spool.state().runs == 0
    assert not spool.is_used


def test_what_is_taken_in_is_in_a_file_at_once(place: Place) -> None:
    place.go_away()
    spool = place.spool(every_s=600)
    run = a_run()
    spool.begin(run)
    spool.log(run.id, points("m", 1.5))
    held = b"".join(path.read_bytes() for path in segments.left_over(place.folder))
    assert run.id.encode() in held
    assert array("d", [1.5]).tobytes() in held


def test_an_outage_costs_nothing_and_everything_arrives_later(place: Place) -> None:
    place.go_away()
    spool = place.spool()
    run = a_run()
    assert "does not answer" in spool.begin(run)
    for number in range(50):
        spool.log(run.id, points("m", number, start=number))
    blob = spool.put_stream(iter([b"a", b"b"]))
    spool.log(run.id, RunBatch(artifacts=(ArtifactEntry("ab", blob.digest, blob.size_bytes),)))
    spool.end(run.id, status="failed", ended_at=NOW, error="it broke")
    assert "does not answer" in spool.settle()
    assert spool.state().runs == 1
    assert "does not answer" in spool.state().reason
    place.come_back()
    assert spool.settle() == ""
    record = place.stores.runs.get(run.id)
    assert (record.status, record.error, record.metrics["m"].count) == ("failed", "it broke", 50)
    assert place.stores.artifacts.get(blob.digest) == b"ab"
    # what has arrived is not kept here
    assert list(spool._contents().blobs()) == []


def test_a_store_known_to_be_away_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.go_away()
    spool = place.spool()
    spool.begin(a_run())
    monkeypatch.setattr(progress, "FRESH_S", 600.0)
    asked = place.asked
    assert "does not answer" in spool.settle(patience_s=600)
    assert "does not answer" in spool.begin(a_run())
    assert place.asked == asked


def test_a_store_that_hangs_is_waited_for_no_longer_than_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_spool, "BEGIN_PATIENCE_S", 0.05)
    released = threading.Event()
    monkeypatch.setattr(place, "targets", lambda: (released.wait(20), place.stores.runs, place.stores.artifacts)[1:])
    spool = place.spool()
    run = a_run()
    assert spool.begin(run) == "the store has not answered yet"
    spool.log(run.id, points("m", 1))
    assert "has not answered for 0.05 s" in spool.settle(patience_s=0.05)
    released.set()
    assert spool.settle(patience_s=20) == ""
    assert place.stores.runs.get(run.id).metrics["m"].count == 1


def test_what_a_killed_process_left_is_brought_by_the_next(place: Place) -> None:
    place.go_away()
    killed = place.spool()
    run = a_run()
    killed.begin(run)
    killed.log(run.id, points("m", 1, 2, 3))
    blob = killed.put(b"kept")
    killed.log(run.id, RunBatch(artifacts=(ArtifactEntry("kept", blob.digest, blob.size_bytes),)))
    killed.console(run.id, "epoch 1\n")
    killed.console(run.id, "epoch 2\n")
    place.abandon(killed)
    place.come_back()
    following = place.spool()
    assert following.is_used
    assert following.settle() == ""
    record = place.stores.runs.get(run.id)
    assert (record.status, record.metrics["m"].count) == ("killed", 3)
    assert "without a word" in (record.error or "")
    found = {entry.path: place.stores.artifacts.get(entry.digest) for entry in place.stores.runs.artifacts(run.id)}
    assert found == {"kept": b"kept", "console.txt": b"epoch 1\nepoch 2\n"}
    assert not following.is_used
    assert following.state().delivered == 3


def test_a_frame_torn_by_the_kill_is_no_more_than_missing(place: Place) -> None:
    place.go_away()
    killed = place.spool(every_s=600)
    run = a_run()
    killed.begin(run)
    killed.log(run.id, points("m", 1))
    killed.log(run.id, points("m", 2, start=1))
    place.abandon(killed)
    path = segments.left_over(place.folder)[-1]
    data = bytearray(path.read_bytes())
    data[len(bytes(data).rstrip(b"\0")) - 3] ^= 0xFF
    path.write_bytes(bytes(data))
    place.come_back()
    assert place.spool().settle() == ""
    assert place.stores.runs.get(run.id).metrics["m"].count == 1


def test_what_a_living_process_holds_is_left_to_it(place: Place) -> None:
    place.go_away()
    living = place.spool()
    run = a_run()
    living.begin(run)
    place.come_back()
    other = place.spool()
    other.settle()
    assert living.settle() == ""
    assert place.stores.runs.get(run.id).status == "running"


def test_bringing_the_same_twice_changes_nothing(place: Place) -> None:
    place.go_away()
    killed = place.spool()
    run = a_run(params={"p": 1})
    killed.begin(run)
    killed.log(run.id, points("m", 1, 2, 3))
    blob = killed.put(b"kept")
    killed.log(run.id, RunBatch(tags={"t": "x"}, artifacts=(ArtifactEntry("kept", blob.digest, blob.size_bytes),)))
    killed.end(run.id, status="finished", ended_at=NOW)
    place.abandon(killed)
    copies = [path.read_bytes() for path in segments.left_over(place.folder)]
    place.come_back()
    assert place.spool().settle() == ""
    before = place.stores.runs.get(run.id)
    for copy in copies:
        (place.folder / f"{new_id()}{segments.SUFFIX}").write_bytes(copy)
    assert place.spool().settle() == ""
    assert place.stores.runs.get(run.id) == before
    assert before.metrics["m"].count == 3
    assert place.stores.runs.count(where=RunFilter()) == 1
    assert place.spool().state().refused == 0


def test_batches_are_brought_together(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.go_away()
    spool = place.spool()
    one, two = a_run(), a_run()
    for run in (one, two):
        spool.begin(run)
    for number in range(20):
        spool.log(one.id, points("m", number, start=number))
        spool.log(two.id, points("n", number, start=number))
    batches: list[str] = []
    log = place.stores.runs.log
    monkeypatch.setattr(place.stores.runs, "log", lambda run_id, batch: (batches.append(run_id), log(run_id, batch))[1])
    place.come_back()
    assert spool.settle() == ""
    assert sorted(batches) == sorted([one.id, two.id])
    assert place.stores.runs.get(two.id).metrics["n"].count == 20


def test_a_run_that_the_store_refuses_is_refused_at_once(place: Place) -> None:
    spool = place.spool()
    with pytest.raises(InvalidInput):
        spool.begin(a_run(kind="no kind"))
    with pytest.raises(NotFound):
        spool.begin(a_run(parent="nowhere"))
    place.go_away(Unauthorised("the token is wrong"))
    assert "token is wrong" in spool.begin(a_run())
    place.come_back()
    assert spool.settle() == ""
    assert place.stores.runs.count() == 1
    assert spool.state().refused == 0


def test_a_store_that_wants_a_token_says_so_at_the_beginning(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise Unauthorised("the token is wrong")

    monkeypatch.setattr(place.stores.runs, "create", refuse)
    with pytest.raises(Unauthorised):
        place.spool().begin(a_run())


def test_what_is_refused_later_is_put_aside_and_the_rest_arrives(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    spool = place.spool()
    run = a_run(params={"p": 1})
    spool.begin(run)
    with caplog.at_level(logging.WARNING):
        spool.log(run.id, RunBatch(params={"p": 2, "q": 3}, tags={"t": "x"}, series=points("m", 1).series))
        assert spool.settle() == ""
    record = place.stores.runs.get(run.id)
    assert (record.params, record.tags, record.metrics["m"].count) == ({"p": 1, "q": 3}, {"t": "x"}, 1)
    assert "1 record(s) were refused" in caplog.text
    [line] = (place.folder / "refused" / f"{run.id}.jsonl").read_text().splitlines()
    assert json.loads(line)["record"]["batch"]["params"] == {"p": 2}
    assert "param 'p'" in json.loads(line)["why"]
    assert spool.state().refused == 1


def test_a_run_whose_parent_never_arrived_stands_by_itself(place: Place) -> None:
    place.go_away()
    spool = place.spool()
    run = a_run(parent="nowhere")
    spool.begin(run)
    place.come_back()
    assert spool.settle() == ""
    assert place.stores.runs.get(run.id).parent is None


def test_an_artifact_whose_content_is_gone_keeps_nothing_else_back(place: Place) -> None:
    spool = place.spool()
    run = a_run()
    spool.begin(run)
    blob = spool.put(b"there")
    gone = ArtifactEntry("gone", "b3:" + "0" * 64, 1)
    spool.log(run.id, RunBatch(tags={"t": "x"}, artifacts=(gone, ArtifactEntry("there", blob.digest, 5))))
    assert spool.settle() == ""
    assert [entry.path for entry in place.stores.runs.artifacts(run.id)] == ["there"]
    assert place.stores.runs.get(run.id).tags == {"t": "x"}
    assert spool.state().refused == 1


def test_records_that_a_store_fails_at_again_and_again_let_others_pass(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_spool, "_FAULTS", 2)
    spool = place.spool()
    run = a_run()
    spool.begin(run)
    log = place.stores.runs.log

    def faulty(run_id: str, batch: RunBatch) -> None:
        if "poison" in batch.tags:
            raise InterlockError("a fault of the server")
        log(run_id, batch)

    monkeypatch.setattr(place.stores.runs, "log", faulty)
    spool.log(run.id, RunBatch(tags={"poison": "x"}))
    while spool.settle():
        pass
    spool.log(run.id, RunBatch(tags={"good": "x"}))
    assert spool.settle() == ""
    assert place.stores.runs.get(run.id).tags == {"good": "x"}
    assert spool.state().refused == 1


def test_a_segment_of_another_version_is_kept_for_that(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.folder.mkdir()
    segment = segments.Segment(place.folder)
    segment.append(b"\xc1 no message pack")
    segment.close()
    assert place.spool().settle() == ""
    assert [path.suffix for path in (place.folder / "refused").iterdir()] == [segments.SUFFIX]
    assert "cannot be read" in caplog.text


def test_a_full_spool_drops_points_and_counts_them(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 4096)
    place.go_away()
    spool = place.spool(most_bytes=3 * 4096)
    run = a_run()
    spool.begin(run)
    for number in range(300):
        spool.log(run.id, points("m", number, start=number))
    spool.log(run.id, RunBatch(tags={"t": "x"}))
    dropped = spool.state().dropped_points
    assert 0 < dropped < 300
    place.come_back()
    assert spool.settle() == ""
    record = place.stores.runs.get(run.id)
    assert (record.metrics["m"].count, record.tags) == (300 - dropped, {"t": "x"})


def test_while_a_store_is_away_memory_holds_nothing_back(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 4096)
    place.go_away()
    spool = place.spool()
    run = a_run()
    spool.begin(run)
    for number in range(300):
        spool.log(run.id, points("m", number, start=number))
    until(lambda: len(spool._sealed) > 3 and all(frames is None for frames in list(spool._sealed.values())))
    place.come_back()
    assert spool.settle() == ""
    assert place.stores.runs.get(run.id).metrics["m"].count == 300


def test_a_run_goes_on_after_its_end(place: Place) -> None:
    spool = place.spool()
    run = a_run()
    spool.begin(run)
    spool.end(run.id, status="finished", ended_at=NOW)
    spool.end(run.id, status="running", ended_at=NOW)
    spool.log(run.id, points("m", 1))
    assert spool.settle() == ""
    assert place.stores.runs.get(run.id).status == "running"
    assert spool.is_used
    place.abandon(spool)
    assert place.spool().settle() == ""
    assert place.stores.runs.get(run.id).status == "killed"


def test_a_run_that_another_process_ended_is_not_killed_afterwards(place: Place) -> None:
    spool = place.spool()
    run = a_run()
    spool.begin(run)
    place.abandon(spool)
    place.stores.runs.end(run.id, status="finished", ended_at=NOW)
    following = place.spool()
    assert following.settle() == ""
    assert place.stores.runs.get(run.id).status == "finished"
    assert not following.is_used


def test_a_dead_run_waits_for_the_store(place: Place) -> None:
    spool = place.spool()
    run = a_run()
    spool.begin(run)
    place.abandon(spool)
    place.go_away()
    following = place.spool()
    assert "does not answer" in following.settle()
    assert following.is_used
    place.come_back()
    assert following.settle() == ""
    assert place.stores.runs.get(run.id).status == "killed"


def test_closing_brings_what_it_can_and_twice_is_harmless(place: Place) -> None:
    spool = place.spool(every_s=600)
    run = a_run()
    spool.begin(run)
    spool.log(run.id, points("m", 1))
    spool.close()
    spool.close()
    assert place.stores.runs.get(run.id).metrics["m"].count == 1
    assert spool.settle() == "the workspace is closed"


def test_a_run_that_cannot_be_written_down_does_not_open(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = place.spool()

    def full(*_: Any, **__: Any) -> Any:
        raise Conflict("no room")

    monkeypatch.setattr(segments, "Segment", full)
    with pytest.raises(Conflict, match="no room"):
        spool.begin(a_run())
    assert not spool.is_used
    assert spool._tickets == {}


def test_of_what_was_printed_the_newest_stays(place: Place) -> None:
    runs = OpenRuns(place.folder / "open")
    runs.add("r")
    runs.write("unknown", "lost")
    line = "x" * 1023 + "\n"
    for number in range(3000):
        runs.write("r", f"{number} {line}")
    size = (place.folder / "open" / "r").stat().st_size
    assert 1 << 20 < size < 4 << 20
    runs.close()
    [(run_id, printed, _)] = OpenRuns(place.folder / "open").left_by_the_dead()
    assert run_id == "r"
    assert printed.startswith("\n[... cut ...]\n")
    assert printed.endswith(f"2999 {line}")


FORKS = """
import os, sys, time
from pathlib import Path
from interlock.adapters.localfs.run_spool import LocalRunSpool
from interlock.ports.run_store import RunBatch
from tests.unit.adapters.localfs.test_run_spool import Place, a_run, points

place = Place(Path(sys.argv[1]))
place.go_away()
spool = place.spool()
run = a_run()
spool.begin(run)
spool.log(run.id, points("m", 1))
spool.log(run.id, points("m", 2, start=1))
child = os.fork()
if child == 0:
    spool.log(run.id, points("m", 2, start=2))
    print(os.getpid(), run.id, flush=True)
time.sleep(600)
"""


def test_a_child_that_outlives_its_parent_holds_nothing_of_it(place: Place) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKS, str(place.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child, run_id = process.stdout.readline().split()
        process.kill()
        process.wait()
        try:
            following = place.spool()
            assert following.settle() == ""
            # the parent is dead, and both of its points are there; the child's is still the child's
            record = place.stores.runs.get(run_id)
            assert (record.status, record.metrics["m"].count) == ("killed", 2)
        finally:
            os.kill(int(child), 9)

    def all_is_there() -> bool:
        # until the child is really gone, what it holds is its own
        assert place.spool().settle() == ""
        return place.stores.runs.get(run_id).metrics["m"].count == 3

    until(all_is_there)


def test_at_the_end_of_the_program_it_works_without_a_thread(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_spool, "in_background", lambda work, name: None)
    spool = place.spool()
    run = a_run()
    assert spool.begin(run) == ""
    spool.log(run.id, points("m", 1))
    spool.end(run.id, status="finished", ended_at=NOW)
    assert spool.settle() == ""
    assert place.stores.runs.get(run.id).metrics["m"].count == 1
    place.go_away()
    assert "does not answer" in spool.begin(a_run())
    assert "does not answer" in spool.settle()
