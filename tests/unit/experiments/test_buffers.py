"""What is logged waits in memory until the spool has it."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from interlock.core.errors import StorageFull
from interlock.experiments import buffers
from interlock.experiments.buffers import Buffer, Flusher
from interlock.experiments.points import Points
from interlock.ports.journal import Edge
from interlock.ports.metric_columns import by_key
from interlock.ports.run_store import ArtifactEntry, DatasetUse, RunBatch


class Recorder:
    """Keeps batches; refuses while `full`."""

    def __init__(self) -> None:
        self.batches: list[RunBatch] = []
        self.full = False

    def log(self, run_id: str, batch: RunBatch) -> None:
        if self.full:
            raise StorageFull("the disk is full")
        self.batches.append(batch)

    @property
    def values(self) -> list[float]:
        return [value for batch in self.batches for one in by_key((), batch.series).values() for value in one.values]


def opened(recorder: Any) -> Buffer:
    return Buffer(recorder, "r", Points(time.time))


def test_everything_is_written_at_the_end() -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    entry, edge = ArtifactEntry("a", "b3:" + "0" * 64, 1), Edge("dataset:a@1", "run:r", "used")
    use = DatasetUse("train", "abc")
    buffer.points.add("m", 1)
    buffer.add(params={"p": 1}, tags={"t": "x"}, artifacts=[entry], edges=[edge], datasets=[use])
    buffer.points.add("m", 2)
    assert buffer.close() == ""
    assert recorder.values == [1, 2]
    [batch] = recorder.batches
    assert (batch.params, batch.tags) == ({"p": 1}, {"t": "x"})
    assert batch.artifacts + batch.edges + batch.datasets == (entry, edge, use)


def test_who_logs_flushes_where_nobody_else_does() -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    buffer.points.add("m", 1)
    busy = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with buffer._flushing:
            busy.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    busy.wait(20)
    buffer.flush_if_nobody_does()
    assert recorder.batches == []
    done.set()
    thread.join()
    buffer.flush_if_nobody_does()
    assert recorder.values == [1]


def test_a_signal_handler_may_log_and_flush_in_the_middle_of_a_flush() -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    log = recorder.log

    def interrupted(run_id: str, batch: RunBatch) -> None:
        recorder.log = log  # type: ignore[method-assign]
        buffer.points.add("m", 2)
        assert buffer.flush() is None
        log(run_id, batch)

    recorder.log = interrupted  # type: ignore[method-assign]
    buffer.points.add("m", 1)
    assert buffer.flush() is None
    assert buffer.close() == ""
    assert recorder.values == [1, 2]


def test_nothing_logged_writes_nothing() -> None:
    recorder = Recorder()
    assert opened(recorder).close() == ""
    assert recorder.batches == []


def test_a_full_disk_keeps_everything_in_order_and_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    recorder.full = True
    with caplog.at_level(logging.WARNING):
        for value in (1, 2, 3):
            buffer.points.add("m", value)
            buffer.add(params={"p": 1}, tags={"t": str(value)})
            assert "disk is full" in (buffer.flush() or "")
    assert len(caplog.records) == 1
    assert "kept in memory" in caplog.text
    recorder.full = False
    assert buffer.close() == ""
    assert recorder.values == [1, 2, 3]
    assert recorder.batches[-1].tags == {"t": "3"}


def test_what_is_lost_is_counted() -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    recorder.full = True
    buffer.points.add("m", 1)
    buffer.points.add("n", 2)
    buffer.add(tags={"t": "x"})
    lost = buffer.close()
    assert lost.startswith("2 metric points and 1 other values were lost: ")
    assert "disk is full" in lost


def test_memory_is_bounded_and_the_newest_points_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_MOST_POINTS", 3)
    recorder = Recorder()
    buffer = opened(recorder)
    recorder.full = True
    for value in range(5):
        buffer.points.add("m", value)
        buffer.add(params={f"p{value}": value})
        buffer.flush()
    recorder.full = False
    assert buffer.close() == "2 metric points and 0 other values were lost: the disk was full too long"
    assert recorder.values == [2, 3, 4]
    assert [key for batch in recorder.batches for key in batch.params] == [f"p{value}" for value in range(5)]


def test_a_child_begins_with_nothing() -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    buffer.points.add("m", 1)
    buffer.add(params={"p": 1})
    buffer.forget()
    assert buffer.close() == ""
    assert recorder.batches == []


class Flushed:
    """Counts its flushes; raises if it is to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.count = 0
        self.flushed = threading.Event()
        self._error = error

    def flush(self) -> None:
        self.count += 1
        self.flushed.set()
        if self._error is not None:
            raise self._error


def test_a_flusher_flushes_what_it_watches_until_it_is_told_not_to() -> None:
    flusher, one = Flusher(), Flushed()
    flusher.watch(one)
    flusher.watch(one)
    assert one.flushed.wait(20)
    flusher.forget(one)
    assert flusher._thread is None
    flusher.forget(one)
    other = Flushed()
    flusher.watch(other)
    assert other.flushed.wait(20)
    flusher.forget(other)


def test_what_fails_keeps_no_other_from_being_flushed(caplog: pytest.LogCaptureFixture) -> None:
    flusher, bad, good = Flusher(), Flushed(ValueError("odd")), Flushed()
    flusher.watch(bad)
    flusher.watch(good)
    assert good.flushed.wait(20)
    good.flushed.clear()
    assert good.flushed.wait(20)
    flusher.forget(bad)
    flusher.forget(good)
    assert "could not be flushed" in caplog.text
