"""Hold what a run logs until it is written, so that logging costs the training loop next to nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

from interlock.core.errors import InterlockError
from interlock.ports.journal import Edge
from interlock.ports.run_store import ArtifactEntry, MetricPoint, RunBatch, RunStore

FLUSH_EVERY_S = 0.1
_MOST_POINTS = 200_000
_log = logging.getLogger("interlock.experiments")


class Buffer:
    """Collects what one run logs, and writes it in batches from a thread of its own.

    The thread starts at the first thing logged. While the store does not answer, what was logged stays in memory and
    is tried again at every flush; training hears of it once, as a warning in the log. At most the newest 200,000
    metric points are held; the count of those dropped is part of what `close` returns.

    Args:
        runs: Where it is written.
        run_id: The run.
    """

    def __init__(self, runs: RunStore, run_id: str) -> None:
        self._runs = runs
        self._run_id = run_id
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._points: list[MetricPoint] = []
        self._params: dict[str, Any] = {}
        self._tags: dict[str, str] = {}
        self._artifacts: list[ArtifactEntry] = []
        self._edges: list[Edge] = []
        self._dropped = 0
        self._warned = False
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def add(
        self,
        *,
        points: Sequence[MetricPoint] = (),
        params: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
        artifacts: Sequence[ArtifactEntry] = (),
        edges: Sequence[Edge] = (),
    ) -> None:
        """Take in some of what the run logs.

        Cost: about a microsecond for a metric point.
        """
        with self._lock:
            self._points += points
            self._params.update(params or {})
            self._tags.update(tags or {})
            self._artifacts += artifacts
            self._edges += edges
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._keep_flushing, daemon=True, name="interlock-log")
                self._thread.start()

    def close(self) -> str:
        """Write what is left; return what could not be written, in words, or an empty string."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        error = self.flush()
        lost = len(self._points) + self._dropped
        others = len(self._params) + len(self._tags) + len(self._artifacts) + len(self._edges)
        if error is None and not self._dropped:
            return ""
        return f"{lost} metric points and {others} other values were lost: {error or 'the store was away too long'}"

    def flush(self) -> str | None:
        """Write everything taken in so far; return what the store said if it could not."""
        with self._flushing:
            batch = self._take()
            if batch == RunBatch():
                return None
            try:
                self._runs.log(self._run_id, batch)
            except (InterlockError, OSError) as error:
                self._put_back(batch)
                self._warn(error)
                return str(error)
            return None

    def _keep_flushing(self) -> None:
        while not self._closing.wait(FLUSH_EVERY_S):
            self.flush()

    def _take(self) -> RunBatch:
        with self._lock:
            batch = RunBatch(
                metrics=tuple(self._points),
                params=self._params,
                tags=self._tags,
                artifacts=tuple(self._artifacts),
                edges=tuple(self._edges),
            )
            self._points, self._params, self._tags, self._artifacts, self._edges = [], {}, {}, [], []
        return batch

    def _put_back(self, batch: RunBatch) -> None:
        with self._lock:
            self._points = [*batch.metrics, *self._points]
            self._params = {**batch.params, **self._params}
            self._tags = {**batch.tags, **self._tags}
            self._artifacts = [*batch.artifacts, *self._artifacts]
            self._edges = [*batch.edges, *self._edges]
            excess = len(self._points) - _MOST_POINTS
            if excess > 0:
                self._dropped += excess
                del self._points[:excess]

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "run:%s cannot be written now; training goes on, and it is kept in memory: %s", self._run_id, error
            )
