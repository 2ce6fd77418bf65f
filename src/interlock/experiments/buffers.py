"""Hold what a run logs until it is written, so that logging costs the training loop next to nothing."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from interlock.core.background import in_background
from interlock.core.errors import InterlockError
from interlock.core.forking import ForkGate
from interlock.experiments.points import Points
from interlock.ports.journal import Edge
from interlock.ports.run_spool import RunSpool
from interlock.ports.run_store import ArtifactEntry, DatasetUse, RunBatch, Series

FLUSH_EVERY_S = 0.025
_MOST_POINTS = 200_000
_POINT_BYTES = 8
_log = logging.getLogger("interlock.experiments")


class Buffer:
    """Collects what one run logs, and hands it to the spool whenever it is flushed.

    If the spool takes nothing (its disk is full), what was logged stays in memory and is tried again at every flush;
    training hears of it once, as a warning in the log. At most the newest 200,000 metric points are held; the count of
    those dropped is part of what `close` returns.

    Args:
        spool: What takes it.
        run_id: The run.
        points: Where the run puts its metric points.
    """

    def __init__(self, spool: RunSpool, run_id: str, points: Points) -> None:
        self.points = points
        self._spool = spool
        self._run_id = run_id
        self._waiting: list[RunBatch] = []
        self._dropped = 0
        self._warned = False
        self._reset()

    def _reset(self) -> None:
        # re-entrant: a signal handler may log while its thread is in here
        self._lock = threading.RLock()
        self._flushing = threading.RLock()
        self._is_flushing = False
        self._params: dict[str, Any] = {}
        self._tags: dict[str, str] = {}
        self._artifacts: list[ArtifactEntry] = []
        self._edges: list[Edge] = []
        self._datasets: list[DatasetUse] = []

    def add(
        self,
        *,
        params: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
        artifacts: Sequence[ArtifactEntry] = (),
        edges: Sequence[Edge] = (),
        datasets: Sequence[DatasetUse] = (),
    ) -> None:
        """Take in some of what the run logs besides metric points."""
        with self._lock:
            self._params.update(params or {})
            self._tags.update(tags or {})
            self._artifacts += artifacts
            self._edges += edges
            self._datasets += datasets

    def forget(self) -> None:
        """Begin anew in a forked child: what is in here is the parent's to write."""
        self.points.forget()
        self._waiting = []
        self._reset()

    def flush(self) -> str | None:
        """Hand over everything taken in so far; return what the spool said if it took none of it."""
        with self._flushing:
            if self._is_flushing:
                # a signal handler, in the thread that is at it: what it logged is in the next batch
                return None
            self._is_flushing = True
            try:
                return self._hand_over()
            finally:
                self._is_flushing = False

    def _hand_over(self) -> str | None:
        batch = self._take()
        if batch != RunBatch():
            self._waiting.append(batch)
        try:
            while self._waiting:
                self._spool.log(self._run_id, self._waiting[0])
                del self._waiting[0]
        except (InterlockError, OSError) as error:
            self._shorten()
            self._warn(error)
            return str(error)
        return None

    def flush_if_nobody_does(self) -> None:
        """Flush in the thread that logs, unless the one that should is at it."""
        if self._flushing.acquire(blocking=False):
            try:
                self.flush()
            finally:
                self._flushing.release()

    def close(self) -> str:
        """Hand over what is left; return what was lost, in words, or an empty string."""
        error = self.flush()
        if error is None and not self._dropped:
            return ""
        lost = sum(map(_points_in, self._waiting)) + self._dropped
        others = sum(map(_others_in, self._waiting))
        return f"{lost} metric points and {others} other values were lost: {error or 'the disk was full too long'}"

    def _take(self) -> RunBatch:
        series = self.points.take()
        with self._lock:
            batch = RunBatch(
                series=series,
                params=self._params,
                tags=self._tags,
                artifacts=tuple(self._artifacts),
                edges=tuple(self._edges),
                datasets=tuple(self._datasets),
            )
            self._params, self._tags, self._artifacts, self._edges, self._datasets = {}, {}, [], [], []
        return batch

    def _shorten(self) -> None:
        """Drop the oldest points beyond what is held."""
        excess = sum(map(_points_in, self._waiting)) - _MOST_POINTS
        kept = []
        for batch in self._waiting:
            series = []
            for one in batch.series:
                count = len(one.values) // _POINT_BYTES
                drop = min(max(excess, 0), count)
                excess -= drop
                self._dropped += drop
                if drop < count:
                    start = drop * _POINT_BYTES
                    series.append(Series(one.key, one.values[start:], one.steps[start:], one.times[start:]))
            kept.append(msgspec.structs.replace(batch, series=tuple(series)))
        self._waiting = [batch for batch in kept if batch != RunBatch()]

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "run:%s cannot be written now; training goes on, and it is kept in memory: %s", self._run_id, error
            )


class Flushed(Protocol):
    """Anything that wants to be flushed every so often."""

    def flush(self) -> object:
        """Hand over what there is."""
        ...


class Flusher:
    """Flushes what it watches forty times a second, from one thread for the whole process.

    The thread begins with the first thing watched, and ends when there is nothing left.
    """

    def __init__(self) -> None:
        self._flushing = ForkGate()
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._watched: list[Flushed] = []
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def watch(self, one: Flushed) -> None:
        """Flush it from now on."""
        with self._lock:
            if one not in self._watched:
                self._watched.append(one)
            if self._thread is None:
                stop = self._stop = threading.Event()
                self._thread = in_background(lambda: self._keep_flushing(stop), name="interlock-log")

    def forget(self, one: Flushed) -> None:
        """Flush it no more."""
        with self._lock:
            if one in self._watched:
                self._watched.remove(one)
            if not self._watched:
                self._stop.set()
                self._thread = None

    def _keep_flushing(self, stop: threading.Event) -> None:
        while not stop.wait(FLUSH_EVERY_S):
            with self._flushing:
                for one in list(self._watched):
                    try:
                        one.flush()
                    except Exception:  # noqa: BLE001 (the edge of its thread, which every open run of the process needs)
                        _log.exception("a run could not be flushed")


flusher = Flusher()
"""The one of this process."""


def _points_in(batch: RunBatch) -> int:
    return sum(len(one.values) for one in batch.series) // _POINT_BYTES


def _others_in(batch: RunBatch) -> int:
    return len(batch.params) + len(batch.tags) + len(batch.artifacts) + len(batch.edges) + len(batch.datasets)
