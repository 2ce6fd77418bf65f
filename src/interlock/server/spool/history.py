"""Read back what a run logged of a metric while the server was away, from the log itself."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from interlock.server.spool.log import Log, LogReader
from interlock.server.spool.records import Write, decode_write, read_object
from interlock.server.spool.sketches import mappings, number
from interlock.server.spool.state import State

_READ_COUNT, _READ_BYTES = 1_000, 16 << 20


class History:
    """The metric points that wait in the log, of one run at a time; thread-safe.

    Clients ask for one metric after the other, so the run that was asked for last is kept.

    Args:
        log: What is read.
        state: Says from where on.
    """

    def __init__(self, log: Log, state: State) -> None:
        self._log = log
        self._state = state
        self._lock = threading.Lock()
        self._run_id = ""
        self._reader: LogReader | None = None
        self._points: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)

    def points(self, run_id: str, key: str) -> list[Mapping[str, Any]]:
        """Return the points of a metric that wait, in the order of their times and steps.

        Cost: the first metric of a run one reading of all that waits, the others what came since.
        """
        with self._lock:
            if run_id != self._run_id or self._reader is None:
                self._run_id, self._reader = run_id, LogReader(self._log, self._state.done())
                self._points.clear()
            name = run_id.encode()
            while found := self._reader.take(_READ_COUNT, size_bytes=_READ_BYTES):
                for payload in (payload for _, payload in found if name in payload):
                    self._add(decode_write(payload))
            return sorted(
                self._points[key], key=lambda point: (number(point.get("timestamp")), number(point.get("step")))
            )

    def _add(self, write: Write) -> None:
        if write.about != (self._run_id,) or write.call not in ("log-metric", "log-batch"):
            return
        fields = read_object(write.body)
        for point in [fields] if write.call == "log-metric" else mappings(fields.get("metrics")):
            shown = {name: value for name, value in point.items() if name not in ("run_id", "run_uuid")}
            self._points[str(point.get("key"))].append(shown)


def _moment(point: Mapping[str, Any]) -> tuple[float, float]:
    return number(point.get("timestamp")), number(point.get("step"))
