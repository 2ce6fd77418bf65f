"""Count the requests that reached the data plane, by endpoint, protocol, version and status, for all to read."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path

import msgspec

from interlock.serving.counters import CounterFile, Layout, Series, private_series, read_headers, read_series
from interlock.serving.latency import BUCKETS

_BUSY_NS, _BYTES = range(2)
_LATENCY = 8
CELLS = _LATENCY + BUCKETS
LAYOUT = Layout("requests", CELLS, 1_024)
IN_FLIGHT, DROPPED_LINES, DROPPED_SPANS = range(3)
_GAUGES = 8

Key = tuple[str, str, str, int]
"""Endpoint, protocol, version, status; empty where it is not known."""


class RequestCount(msgspec.Struct):
    """What was counted of one kind of request.

    Args:
        count: How many there were.
        busy_ns: How long answering them took in sum.
        bytes: How much was answered.
        latency: Requests by buckets of the time they took.
    """

    count: int
    busy_ns: int
    bytes: int
    latency: list[int]

    @classmethod
    def of(cls, cells: Sequence[int]) -> RequestCount:
        """Read the cells of a series."""
        latency = list(cells[_LATENCY:CELLS])
        return cls(sum(latency), cells[_BUSY_NS], cells[_BYTES], latency)

    def add(self, other: RequestCount) -> None:
        """Take in what another process counted."""
        self.count += other.count
        self.busy_ns += other.busy_ns
        self.bytes += other.bytes
        self.latency = [mine + more for mine, more in zip(self.latency, other.latency, strict=True)]


class WorkerState(msgspec.Struct, frozen=True):
    """What a running process says of the present.

    Args:
        worker: Its number among those of this machine.
        pid: Its process id.
        in_flight: Requests that it is answering.
        dropped_lines: Lines of the access log that it had to drop.
        dropped_spans: Traces that it had to drop.
    """

    worker: str
    pid: int
    in_flight: int
    dropped_lines: int
    dropped_spans: int


class RequestBook:
    """Counts requests.

    Thread-safe. A forked process begins a file of its own. Cost: half a microsecond for each request.

    Args:
        folder: Where the processes of this machine keep theirs for each other; None keeps them to this process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: CounterFile | None = None
        self._known: dict[Key, Series] = {}
        self._gauges = memoryview(bytearray(8 * _GAUGES)).cast("Q")
        self._open()
        _opened.add(self)

    def _open(self) -> None:
        self._known = {}
        self._now = 0
        self._lock = threading.Lock()
        if self._folder is not None:
            self._file = CounterFile(self._folder, LAYOUT)
            self._gauges = self._file.gauges(_GAUGES)

    def began(self) -> None:
        """Count a request that is being answered from now on; called by one thread only, as is `ended`."""
        self._now += 1
        self._gauges[IN_FLIGHT] = self._now

    def ended(self, key: Key, took_ns: int, size_bytes: int) -> None:
        """Count a request that was answered."""
        series = self._known.get(key)
        if series is None:
            series = self._series(key)
        units = took_ns >> 10
        if units < 8:
            bucket = units
        else:
            octave = units.bit_length() - 4
            bucket = (octave + 1) * 8 + ((units >> octave) & 7) if octave < 23 else 191
        cells = series.cells
        with series.lock:
            cells[_BUSY_NS] += took_ns
            cells[_BYTES] += size_bytes
            cells[_LATENCY + bucket] += 1
        self._now -= 1
        self._gauges[IN_FLIGHT] = self._now

    def dropped(self, gauge: int, total: int) -> None:
        """Tell how many lines (`DROPPED_LINES`) or traces (`DROPPED_SPANS`) had to be dropped so far."""
        self._gauges[gauge] = total

    def read(self) -> dict[Key, RequestCount]:
        """Return what all processes of this machine counted so far, those that ended included."""
        if self._folder is None:
            return {key: RequestCount.of(series.cells) for key, series in list(self._known.items())}
        found: dict[Key, RequestCount] = {}
        for reading in read_series(self._folder, LAYOUT):
            label = reading.label
            key = (label["endpoint"], label["protocol"], label["version"], int(label["status"]))
            counted = RequestCount.of(reading.cells)
            if key in found:
                found[key].add(counted)
            else:
                found[key] = counted
        return found

    def workers(self) -> list[WorkerState]:
        """Return what the running processes of this machine say of the present."""
        if self._folder is None:
            return [_state("0", os.getpid(), self._gauges.tolist())]
        return [
            _state(header.number, header.pid, header.gauges)
            for header in read_headers(self._folder, LAYOUT)
            if header.is_alive
        ]

    def close(self) -> None:
        """Leave the file to the next process."""
        if self._file is not None:
            self._file.close()
        self._file, self._folder = None, None

    def _series(self, key: Key) -> Series:
        with self._lock:
            if self._file is None:
                series = private_series(CELLS)
            else:
                endpoint, protocol, version, status = key
                label = {"endpoint": endpoint, "protocol": protocol, "version": version, "status": str(status)}
                series = self._file.series(label)
            return self._known.setdefault(key, series)


_opened: weakref.WeakSet[RequestBook] = weakref.WeakSet()


def _begin_anew() -> None:
    # the file belongs to the parent, and its lock must end with the parent
    for book in _opened:
        book._open()


os.register_at_fork(after_in_child=_begin_anew)


def _state(worker: str, pid: int, gauges: Sequence[int]) -> WorkerState:
    return WorkerState(worker, pid, gauges[IN_FLIGHT], gauges[DROPPED_LINES], gauges[DROPPED_SPANS])
