from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from interlock.adapters.localfs.prediction_spool import SpooledPredictionLog
from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.prediction_log import MemoryPredictionLog
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.prediction_log import SqlPredictionLog
from interlock.adapters.sql.schema import migrate
from interlock.core.errors import InvalidInput, Unavailable
from interlock.core.plain import pack
from interlock.ports.prediction_log import Prediction
from interlock.testing.prediction_log import END, LIVE, START, ids, prediction, truth
from tests.forks import play


class Inner(MemoryPredictionLog):
    """A log in memory that may be out of reach, and remembers the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__(MemoryJournal())
        self.reachable = True
        self.refused = 0
        self.batches: list[int] = []

    def append(self, predictions: Sequence[Prediction]) -> None:
        if not self.reachable:
            self.refused += 1
            raise Unavailable("the log does not answer")
        super().append(predictions)
        self.batches.append(len(predictions))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def inner() -> Inner:
    return Inner()


@pytest.fixture
def idle(inner: Inner, tmp_path: Path) -> Iterator[SpooledPredictionLog]:
    """A spool that drains by itself only when it is closed or asked."""
    log = SpooledPredictionLog(inner, tmp_path, every_s=600)
    yield log
    inner.reachable = True
    log.close()


def test_append_writes_to_the_folder_first(idle: SpooledPredictionLog, inner: Inner, tmp_path: Path) -> None:
    idle.append([prediction("p1")])
    assert inner.batches == []
    (segment,) = tmp_path.iterdir()
    assert segment.stat().st_size > 50


@pytest.mark.parametrize(
    "read",
    [
        lambda log: log.find("p1"),
        lambda log: log.window("delay", start=START, end=END),
        lambda log: log.recent("delay"),
        lambda log: [*log.counts("delay")][:1],
        lambda log: [log.feedback([truth("p1")])],
        lambda log: [log.flush()],
    ],
    ids=["find", "window", "recent", "counts", "feedback", "flush"],
)
def test_every_read_sees_what_was_appended(
    idle: SpooledPredictionLog, inner: Inner, tmp_path: Path, read: Callable[[SpooledPredictionLog], list[object]]
) -> None:
    for n in range(3):
        idle.append([prediction(f"p{n}")])
    assert len(read(idle)) >= 1
    assert inner.batches == [3]
    assert list(tmp_path.iterdir()) == []


def test_a_thread_drains_soon_after(inner: Inner, tmp_path: Path) -> None:
    log = SpooledPredictionLog(inner, tmp_path, every_s=0.01)
    log.append([prediction("p1")])
    until(lambda: inner.batches == [1])
    log.append([prediction("p2"), prediction("p3")])
    until(lambda: inner.batches == [1, 2])
    log.close()


def test_many_rows_do_not_wait(inner: Inner, tmp_path: Path) -> None:
    log = SpooledPredictionLog(inner, tmp_path, every_s=600, rows=10)
    for n in range(10):
        log.append([prediction(f"p{n}")])
    until(lambda: inner.batches == [10])
    log.close()


def test_bad_rows_are_refused_before_anything_is_written(idle: SpooledPredictionLog, tmp_path: Path) -> None:
    for bad in (prediction(""), prediction("p1", event_time=2**70), prediction("p1", outputs={"p": object()})):
        with pytest.raises(InvalidInput):
            idle.append([prediction("good"), bad])
    assert list(tmp_path.iterdir()) == []


def test_an_outage_loses_nothing_and_reads_name_it(idle: SpooledPredictionLog, inner: Inner, tmp_path: Path) -> None:
    inner.reachable = False
    idle.append([prediction("p1")])
    with pytest.raises(Unavailable):
        idle.find("p1")
    idle.append([prediction("p2")])
    with pytest.raises(Unavailable):
        idle.flush()
    assert len(list(tmp_path.iterdir())) == 2
    inner.reachable = True
    assert ids(idle.window("delay", start=START, end=END)) == ["p1", "p2"]
    assert list(tmp_path.iterdir()) == []


def test_the_thread_outlives_an_outage(inner: Inner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interlock.adapters.localfs.prediction_spool._RETRY_EVERY_S", 0.01)
    inner.reachable = False
    log = SpooledPredictionLog(inner, tmp_path, every_s=0.01)
    log.append([prediction("p1")])
    until(lambda: inner.refused >= 2)
    inner.reachable = True
    until(lambda: inner.batches == [1])
    log.close()


def test_what_a_dead_process_left_is_drained_at_the_start(inner: Inner, tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\n"
        "from interlock.adapters.localfs.prediction_spool import SpooledPredictionLog\n"
        "from interlock.testing.prediction_log import prediction\n"
        "log = SpooledPredictionLog(None, Path(sys.argv[1]), every_s=600)\n"
        "log.append([prediction('p1')]); log.append([prediction('p2')])\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    (segment,) = tmp_path.iterdir()
    with segment.open("ab") as file:
        file.write(b"\x40\0\0\0torn")
    log = SpooledPredictionLog(inner, tmp_path, every_s=0.01)
    until(lambda: inner.batches == [2])
    assert ids(log.recent("delay")) == ["p2", "p1"]
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_segments_of_a_living_process_are_left_alone(idle: SpooledPredictionLog, tmp_path: Path) -> None:
    idle.append([prediction("p1")])
    other = Inner()
    log = SpooledPredictionLog(other, tmp_path, every_s=600)
    log.flush()
    assert other.batches == []
    log.close()
    assert ids(idle.recent("delay")) == ["p1"]


def test_a_segment_drained_twice_counts_once(idle: SpooledPredictionLog, inner: Inner, tmp_path: Path) -> None:
    idle.append([prediction("p1")])
    (segment,) = tmp_path.iterdir()
    copy = segment.read_bytes()
    idle.flush()
    segment.write_bytes(copy)
    again = SpooledPredictionLog(inner, tmp_path)
    assert again.counts("delay") == {f"{LIVE} live": 1, "feedback": 0}
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_a_large_segment_is_drained_in_parts(idle: SpooledPredictionLog, inner: Inner) -> None:
    idle.append([prediction(f"p{n}") for n in range(12_000)])
    idle.flush()
    assert inner.batches == [5000, 5000, 2000]


def test_close_drains_and_stops_the_thread(inner: Inner, tmp_path: Path) -> None:
    log = SpooledPredictionLog(inner, tmp_path, every_s=600)
    log.append([prediction("p1")])
    log.close()
    assert inner.batches == [1]
    assert "interlock-prediction-spool" not in {thread.name for thread in threading.enumerate()}
    log.close()


FORKS = """
from pathlib import Path
from interlock.adapters.localfs.prediction_spool import SpooledPredictionLog
from tests.unit.adapters.localfs.test_prediction_spool import Inner, ids, prediction

folder = Path(sys.argv[1])
log = SpooledPredictionLog(Inner(), folder, every_s=600)
log.append([prediction("parent")])
in_child(lambda: log.append([prediction("child")]))
print(len(list(folder.iterdir())), *sorted(ids(log.recent("delay"))))
log.close()
"""


def test_a_forked_child_writes_segments_of_its_own(tmp_path: Path) -> None:
    assert play(FORKS, tmp_path).split() == ["2", "child", "parent"]


def test_it_starts_without_heavy_libraries() -> None:
    script = (
        "import sys\nimport interlock.adapters.localfs.prediction_spool\n"
        "print({'numpy', 'pyarrow', 'duckdb'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert out == "set()\n"


APPENDING = """
import sys
from pathlib import Path
from interlock.adapters.localfs.prediction_spool import SpooledPredictionLog
from interlock.adapters.sql.database import Database
from interlock.adapters.sql.dialect import SqliteDialect
from interlock.adapters.sql.prediction_log import SqlPredictionLog
from interlock.testing.prediction_log import prediction
folder = Path(sys.argv[1])
log = SpooledPredictionLog(SqlPredictionLog(Database(SqliteDialect(folder / "log.db"))), folder / "spool", every_s=0.01)
for n in range(1_000_000):
    log.append([prediction(f"{sys.argv[2]}-{n}", minute=n % 1440)])
    print(f"{sys.argv[2]}-{n}", flush=True)
"""


def test_killed_at_any_moment_it_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    database = Database(SqliteDialect(tmp_path / "log.db"))
    migrate(database)
    chance = random.Random()
    acknowledged: set[str] = set()
    for attempt in range(6):
        command = [sys.executable, "-c", APPENDING, str(tmp_path), str(attempt)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            acknowledged.add(child.stdout.readline().strip())
            time.sleep(chance.uniform(0, 0.1))
            child.kill()
            # the last line may be torn by the kill, and was then not heard
            acknowledged |= {line.strip() for line in child.stdout if line.endswith("\n")}
        log = SpooledPredictionLog(SqlPredictionLog(database), tmp_path / "spool")
        found = ids(log.window("delay", start=START, end=END, limit=1_000_000))
        assert acknowledged <= set(found)
        assert log.counts("delay")[f"{LIVE} live"] == len(found) == len(set(found))
        log.close()
        assert list((tmp_path / "spool").iterdir()) == []
    assert len(acknowledged) > 100
    database.close()


def test_rows_come_out_as_they_went_in(idle: SpooledPredictionLog) -> None:
    row = prediction("p1", inputs=("é", None, 2**53 + 1, float("inf"), b"\0"), context={"tail": "N1"})
    idle.append([row])
    assert pack(idle.find("p1")[0].prediction) == pack(row)
