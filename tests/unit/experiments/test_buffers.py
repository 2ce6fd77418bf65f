"""What is logged waits in memory until it is written."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from interlock.core.errors import Unavailable
from interlock.experiments import buffers
from interlock.experiments.buffers import Buffer
from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, MetricPoint, RunBatch


class Recorder:
    """Keeps batches; refuses while `down`."""

    def __init__(self) -> None:
        self.batches: list[RunBatch] = []
        self.down = False

    def log(self, run_id: str, batch: RunBatch) -> None:
        if self.down:
            raise Unavailable("the server does not answer")
        self.batches.append(batch)

    @property
    def values(self) -> list[float]:
        return [point.value for batch in self.batches for point in batch.metrics]


def points(*values: float) -> list[MetricPoint]:
    return [MetricPoint("m", value, value, 0) for value in values]


def opened(recorder: Any) -> Buffer:
    return Buffer(recorder, "r")


def test_everything_is_written_at_the_end() -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    entry, edge = ArtifactEntry("a", "b3:" + "0" * 64, 1), Edge("dataset:a@1", "run:r", "used")
    buffer.add(points=points(1, 2), params={"p": 1}, tags={"t": "x"}, artifacts=[entry], edges=[edge])
    buffer.add(points=points(3))
    assert buffer.close() == ""
    assert recorder.values == [1, 2, 3]
    assert [batch.params for batch in recorder.batches if batch.params] == [{"p": 1}]
    assert [batch.tags for batch in recorder.batches if batch.tags] == [{"t": "x"}]
    assert [batch.artifacts + batch.edges for batch in recorder.batches if batch.edges] == [(entry, edge)]


def test_it_is_written_soon_without_being_asked() -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    buffer.add(points=points(1))
    deadline = time.monotonic() + 30
    while not recorder.values and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recorder.values == [1]
    buffer.close()


def test_nothing_logged_writes_nothing() -> None:
    recorder = Recorder()
    assert opened(recorder).close() == ""
    assert recorder.batches == []


def test_an_outage_keeps_everything_in_order_and_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    recorder.down = True
    with caplog.at_level(logging.WARNING):
        for value in (1, 2, 3):
            buffer.add(points=points(value), params={"p": 1}, tags={"t": str(value)})
            assert "does not answer" in (buffer.flush() or "")
    assert len(caplog.records) == 1
    assert "kept in memory" in caplog.text
    recorder.down = False
    assert buffer.close() == ""
    assert recorder.values == [1, 2, 3]
    assert recorder.batches[0].tags == {"t": "3"}


def test_what_is_lost_is_counted() -> None:
    recorder = Recorder()
    buffer = opened(recorder)
    recorder.down = True
    buffer.add(points=points(1, 2), tags={"t": "x"})
    lost = buffer.close()
    assert lost.startswith("2 metric points and 1 other values were lost: ")
    assert "does not answer" in lost


def test_memory_is_bounded_and_the_newest_points_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_MOST_POINTS", 3)
    recorder = Recorder()
    buffer = opened(recorder)
    recorder.down = True
    for value in range(5):
        buffer.add(points=points(value))
        buffer.flush()
    recorder.down = False
    assert buffer.close() == "2 metric points and 0 other values were lost: the store was away too long"
    assert recorder.values == [2, 3, 4]
