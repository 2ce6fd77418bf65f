"""Answer `append` in microseconds: write predictions to a local file first, and to the real log soon after."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from interlock.adapters.localfs import segments
from interlock.core.plain import pack
from interlock.ports.prediction_log import (
    Feedback,
    FeedbackReceipt,
    JudgedPrediction,
    Prediction,
    PredictionLog,
    check_predictions,
)

DRAIN_EVERY_S = 0.25
DRAIN_ROWS = 5_000
_RETRY_EVERY_S = 2.0
_logger = logging.getLogger(__name__)
_opened: weakref.WeakSet[SpooledPredictionLog] = weakref.WeakSet()
_decode = msgspec.msgpack.Decoder(list[Prediction]).decode


class SpooledPredictionLog(PredictionLog):
    """A prediction log before another one.

    `append` returns when the rows are in a segment file, where they survive a kill of the process (not a power cut).
    A background thread moves them to the inner log in large batches. Reads first move what this process appended;
    what other processes appended in the last quarter of a second they may miss. The first move also takes what
    killed processes left over. An inner log that does not answer delays the rows and loses none: they stay in their
    segments, and reads raise its error.
    """

    def __init__(
        self, inner: PredictionLog, folder: Path, *, every_s: float = DRAIN_EVERY_S, rows: int = DRAIN_ROWS
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._inner = inner
        self._folder = folder
        self._every_s = every_s
        self._rows = rows
        self._reset()
        _opened.add(self)
        if segments.left_over(folder):
            self._wake.set()
            self._start()

    def _after_fork(self) -> None:
        # the child writes segments of its own; the parent's lock must die with the parent, so its copy is closed
        if self._segment is not None:
            self._segment.close()
        self._reset()

    def _reset(self) -> None:
        self._append_lock = threading.Lock()
        self._drain_lock = threading.Lock()
        self._segment: segments.Segment | None = None
        self._segment_rows: list[Prediction] = []
        self._sealed: dict[Path, list[Prediction] | None] = {}
        self._found_left_over = False
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def append(self, predictions: Sequence[Prediction]) -> None:
        check_predictions(predictions)
        payload = pack(predictions)
        with self._append_lock:
            if self._segment is not None and not self._segment.has_room(payload):
                self._seal()
                self._hurry.set()
            if self._segment is None:
                self._segment = segments.Segment(self._folder, room_for=len(payload))
                self._start()
                self._wake.set()
            self._segment.append(payload)
            # kept beside the file, so that moving them on does not have to read them back
            self._segment_rows += predictions
            if len(self._segment_rows) >= self._rows:
                self._seal()
                self._hurry.set()

    def _seal(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._sealed[self._segment.path] = self._segment_rows
            self._segment, self._segment_rows = None, []

    def find(self, prediction_id: str) -> list[JudgedPrediction]:
        self.flush()
        return self._inner.find(prediction_id)

    def feedback(self, truths: Sequence[Feedback]) -> FeedbackReceipt:
        self.flush()
        return self._inner.feedback(truths)

    def window(
        self,
        endpoint: str,
        *,
        start: datetime,
        end: datetime,
        model: str | None = None,
        after: tuple[int, str] | None = None,
        limit: int = 10_000,
    ) -> list[JudgedPrediction]:
        self.flush()
        return self._inner.window(endpoint, start=start, end=end, model=model, after=after, limit=limit)

    def recent(self, endpoint: str, *, limit: int = 50) -> list[JudgedPrediction]:
        self.flush()
        return self._inner.recent(endpoint, limit=limit)

    def counts(self, endpoint: str) -> dict[str, int]:
        self.flush()
        return self._inner.counts(endpoint)

    def flush(self) -> None:
        with self._drain_lock:
            with self._append_lock:
                self._seal()
                sealed = dict(self._sealed)
            if not self._found_left_over:
                for path in segments.left_over(self._folder):
                    if path not in sealed:
                        self._drain(path, None, wait=False)
                self._found_left_over = True
            for path, rows in sealed.items():
                # while the inner log does not answer, the file alone keeps them
                self._sealed[path] = None
                self._drain(path, rows, wait=True)
                del self._sealed[path]
        self._inner.flush()

    def _drain(self, path: Path, rows: list[Prediction] | None, *, wait: bool) -> None:
        """Move a segment to the inner log, then remove it; a kill in between is harmless, as rows are idempotent."""
        file = segments.take(path, wait=wait)
        if file is None:
            return
        try:
            if rows is None:
                rows = [row for frame in segments.read(file) for row in _decode(frame)]
            for start in range(0, len(rows), DRAIN_ROWS):
                self._inner.append(rows[start : start + DRAIN_ROWS])
            path.unlink(missing_ok=True)
        finally:
            os.close(file)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="interlock-prediction-spool", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            self._hurry.wait(self._every_s)
            self._hurry.clear()
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 (the edge of its thread, which must go on for the rows to move)
                # they are safe in their segments, and whoever reads the log gets this error; try again later
                _logger.warning("predictions wait in %s: %s", self._folder, error)
                self._hurry.wait(_RETRY_EVERY_S)
                self._wake.set()

    def close(self) -> None:
        """Move everything to the inner log and stop the thread; the inner log stays open."""
        thread = self._thread
        self._closed = True
        self._hurry.set()
        self._wake.set()
        if thread is not None:
            thread.join()
        self.flush()


def _forget_the_parents() -> None:
    for log in _opened:
        log._after_fork()


os.register_at_fork(after_in_child=_forget_the_parents)
