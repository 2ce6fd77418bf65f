"""Count what each version behind an endpoint did, for all processes of a machine to read."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, Overloaded, TimedOut, Unavailable
from interlock.serving.counters import CounterFile, Layout, Series, private_series, read_series
from interlock.serving.latency import BUCKETS, quantile_ns

FAILURES = ("input", "model", "unavailable", "timeout", "overloaded", "shadow")
"""What a request failed of: the rows that were sent, the model, nothing loaded, its deadline, too many, a shadow."""
BATCH_SIZES = tuple(1 << power for power in range(14))
"""Executions are counted by the least of these that is no less than their rows; what is larger counts in a last one."""

_LARGEST = len(BATCH_SIZES)
(
    _FURTHER_ROWS,
    _BUSY_NS,
    _FAILED_NS,
    _LAST_MS,
    _LOADS,
    _LOAD_NS,
    _EXECUTIONS,
    _QUEUE_NS,
    _BATCHED,
    _ALONE_NOT,
) = range(10)
_FAILED = 16
_BATCHES = _FAILED + 16
_LATENCY = _BATCHES + 16
_MINUTES = _LATENCY + BUCKETS
MINUTES = 60
_STAMP, _MINUTE_FURTHER_ROWS, _MINUTE_FAILURES = range(3)
_MINUTE_LATENCY = 4
_MINUTE_OCTAVE = 4
_MINUTE_CELLS = _MINUTE_LATENCY + BUCKETS // 2
CELLS = _MINUTES + MINUTES * _MINUTE_CELLS
LAYOUT = Layout("models", CELLS, 256)
_NO_MINUTE = bytes(8 * (_MINUTE_CELLS - 1))


class ModelStatistics:
    """What one version did in one role. Unit of times: nanoseconds.

    Thread-safe. Cost: under a microsecond for each request.

    Args:
        series: Where it is counted; for this process alone by default.
    """

    __slots__ = ("_series", "_cells", "_lock")

    def __init__(self, series: Series | None = None) -> None:
        self._series = series or private_series(CELLS)
        self._cells = self._series.cells
        self._lock = self._series.lock

    def answered(self, rows: int, took_ns: int, now_micros: int, *, batched: bool = False) -> None:
        """Count one request that was answered; what was `batched` with others, `executed` counts as a call."""
        units = took_ns >> 10
        if units < 8:
            bucket = units
        else:
            octave = units.bit_length() - 4
            bucket = (octave + 1) * 8 + ((units >> octave) & 7) if octave < 23 else 191
        minute = now_micros // 60_000_000
        place = _MINUTES + minute % 60 * _MINUTE_CELLS
        cells = self._cells
        with self._lock:
            cells[_BUSY_NS] += took_ns
            cells[_LAST_MS] = now_micros // 1000
            # how many there were is the sum of these, and most requests have one row: what is not counted costs nothing
            cells[_LATENCY + bucket] += 1
            if cells[place] != minute:
                self._begin(place, minute)
            cells[place + _MINUTE_LATENCY + (bucket >> 1)] += 1
            if rows != 1:
                cells[_FURTHER_ROWS] += rows - 1
                cells[place + _MINUTE_FURTHER_ROWS] += rows - 1
            if batched:
                cells[_BATCHED] += 1
            elif rows != 1:
                cells[_EXECUTIONS] += 1
                cells[_BATCHES + min((rows - 1).bit_length(), _LARGEST)] += 1
                cells[_ALONE_NOT] += 1

    def failed(self, took_ns: int, problem: str, *, kind: str = "model", now_micros: int | None = None) -> None:
        """Count one request that was not.

        Args:
            took_ns: How long it took to fail.
            problem: Why, in words.
            kind: Why, as one of `FAILURES`.
            now_micros: When; now by default.
        """
        minute = (time.time_ns() // 1000 if now_micros is None else now_micros) // 60_000_000
        place = _MINUTES + minute % MINUTES * _MINUTE_CELLS
        with self._lock:
            self._cells[_FAILED + FAILURES.index(kind)] += 1
            if kind != "shadow":
                self._cells[_FAILED_NS] += took_ns
                if self._cells[place] != minute:
                    self._begin(place, minute)
                self._cells[place + _MINUTE_FAILURES] += 1
        self._series.note = problem

    def refused(self, error: InterlockError, took_ns: int, *, now_micros: int | None = None) -> None:
        """Count one request that an error ended, by the error's kind."""
        self.failed(took_ns, error.what, kind=failure_kind(error), now_micros=now_micros)

    def shadow_failed(self, problem: str) -> None:
        """Count one request that a shadow could not answer, which no caller noticed."""
        self.failed(0, problem, kind="shadow")

    def executed(self, rows: int, *, queued_ns: int = 0) -> None:
        """Count one call of the model, which may answer several requests at once, and how long they had to wait."""
        with self._lock:
            self._cells[_EXECUTIONS] += 1
            self._cells[_QUEUE_NS] += queued_ns
            self._cells[_BATCHES + min((rows - 1).bit_length(), _LARGEST)] += 1

    def loaded(self, took_ns: int) -> None:
        """Count that the version was loaded."""
        with self._lock:
            self._cells[_LOADS] += 1
            self._cells[_LOAD_NS] += took_ns

    def _begin(self, place: int, minute: int) -> None:
        # what an hour ago was counted here gives way
        self._cells[place + 1 : place + _MINUTE_CELLS] = memoryview(_NO_MINUTE).cast("Q")
        self._cells[place] = minute

    def read(self) -> Counted:
        """Return everything counted so far in this series."""
        return Counted.of(self._cells.tolist(), self._series.note)

    @property
    def requests(self) -> int:
        """Requests that were answered."""
        return sum(self._cells[_LATENCY : _LATENCY + BUCKETS])

    @property
    def rows(self) -> int:
        """Rows in them."""
        return self.requests + self._cells[_FURTHER_ROWS]

    @property
    def busy_ns(self) -> int:
        """How long answering them took in sum."""
        return self._cells[_BUSY_NS]

    @property
    def failures(self) -> int:
        """Requests that failed; a shadow's do not count."""
        return sum(self._cells[_FAILED : _FAILED + len(FAILURES) - 1])

    @property
    def failed_ns(self) -> int:
        """How long failing took in sum."""
        return self._cells[_FAILED_NS]

    @property
    def last_ms(self) -> int:
        """When the last request was answered. Unit: milliseconds since 1970 UTC."""
        return self._cells[_LAST_MS]

    @property
    def shadow_failures(self) -> int:
        """Requests that it could not answer as a shadow."""
        return self._cells[_FAILED + FAILURES.index("shadow")]

    @property
    def last_problem(self) -> str:
        """The last failure in words."""
        return self._series.note


def failure_kind(error: InterlockError) -> str:
    """Return what a request failed of, as one of `FAILURES`."""
    for kind, name in (
        (InvalidInput, "input"),
        (TimedOut, "timeout"),
        (Overloaded, "overloaded"),
        (Unavailable, "unavailable"),
    ):
        if isinstance(error, kind):
            return name
    return "model"


class Minute(msgspec.Struct):
    """What was counted in one minute.

    Args:
        at: When it began. Unit: seconds since 1970 UTC.
        requests: Requests that were answered.
        rows: Rows in them.
        failures: Requests that failed.
        latency: Answered requests by buckets, four to an octave.
    """

    at: int
    requests: int = 0
    rows: int = 0
    failures: int = 0
    latency: list[int] = msgspec.field(default_factory=lambda: [0] * (BUCKETS // 2))

    def quantile_ms(self, share: float) -> float | None:
        """Return the time within which a share of the requests was answered, or None where there were none."""
        found = quantile_ns(self.latency, share, octave=_MINUTE_OCTAVE)
        return None if found is None else found / 1e6

    def add(self, other: Minute) -> None:
        """Take in what another process counted in the same minute."""
        self.requests += other.requests
        self.rows += other.rows
        self.failures += other.failures
        self.latency = [mine + more for mine, more in zip(self.latency, other.latency, strict=True)]


class Counted(msgspec.Struct):
    """What was counted of a version, by one process or by several together.

    Args:
        requests: Requests that were answered.
        rows: Rows in them.
        busy_ns: How long that took in sum.
        failed_ns: How long failing took in sum.
        failures: Requests that failed, by kind.
        last_ms: When the last was answered. Unit: milliseconds since 1970 UTC.
        loads: How often it was loaded.
        load_ns: How long that took in sum.
        executions: How often the model was called.
        queue_ns: How long requests waited for others to be answered with.
        batches: Calls by their size, see `BATCH_SIZES`.
        latency: Answered requests by buckets of the time they took.
        minutes: The last hour, by minute since 1970.
        problem: The last failure in words.
    """

    requests: int
    rows: int
    busy_ns: int
    failed_ns: int
    failures: dict[str, int]
    last_ms: int
    loads: int
    load_ns: int
    executions: int
    queue_ns: int
    batches: list[int]
    latency: list[int]
    minutes: dict[int, Minute]
    problem: str = ""

    @classmethod
    def of(cls, cells: Sequence[int], problem: str = "") -> Counted:
        """Read the cells of a series."""
        minutes = {}
        for place in range(_MINUTES, CELLS, _MINUTE_CELLS):
            stamp = cells[place]
            if stamp:
                one = cells[place : place + _MINUTE_CELLS]
                latency = list(one[_MINUTE_LATENCY:])
                requests = sum(latency)
                rows = requests + one[_MINUTE_FURTHER_ROWS]
                minutes[stamp] = Minute(stamp * 60, requests, rows, one[_MINUTE_FAILURES], latency)
        latency = list(cells[_LATENCY : _LATENCY + BUCKETS])
        requests = sum(latency)
        batches = list(cells[_BATCHES : _BATCHES + len(BATCH_SIZES) + 1])
        # requests of one row that were not answered with others are executions of one row
        alone = max(0, requests - cells[_BATCHED] - cells[_ALONE_NOT])
        batches[0] += alone
        return cls(
            requests=requests,
            rows=requests + cells[_FURTHER_ROWS],
            busy_ns=cells[_BUSY_NS],
            failed_ns=cells[_FAILED_NS],
            failures={kind: cells[_FAILED + place] for place, kind in enumerate(FAILURES)},
            last_ms=cells[_LAST_MS],
            loads=cells[_LOADS],
            load_ns=cells[_LOAD_NS],
            executions=cells[_EXECUTIONS] + alone,
            queue_ns=cells[_QUEUE_NS],
            batches=batches,
            latency=latency,
            minutes=minutes,
            problem=problem,
        )

    def add(self, other: Counted) -> None:
        """Take in what another process counted."""
        if other.problem and (not self.problem or other.last_ms > self.last_ms):
            self.problem = other.problem
        for name in ("requests", "rows", "busy_ns", "failed_ns", "loads", "load_ns", "executions", "queue_ns"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures = {kind: count + other.failures[kind] for kind, count in self.failures.items()}
        self.last_ms = max(self.last_ms, other.last_ms)
        self.batches = [mine + more for mine, more in zip(self.batches, other.batches, strict=True)]
        self.latency = [mine + more for mine, more in zip(self.latency, other.latency, strict=True)]
        for stamp, minute in other.minutes.items():
            if stamp in self.minutes:
                self.minutes[stamp].add(minute)
            else:
                self.minutes[stamp] = minute

    def quantile_ms(self, share: float) -> float | None:
        """Return the time within which a share of all requests was answered, or None where there were none."""
        found = quantile_ns(self.latency, share)
        return None if found is None else found / 1e6

    def last_hour(self, now_s: int) -> list[Minute]:
        """Return the last sixty minutes, oldest first; those without requests are there too."""
        present = now_s // 60
        return [self.minutes.get(stamp) or Minute(stamp * 60) for stamp in range(present - MINUTES + 1, present + 1)]


Key = tuple[str, str, str]
"""Endpoint, Ref of the version, role."""


class StatisticsBook:
    """The statistics of all versions that this process serves, each under its endpoint and role.

    Thread-safe. A forked process begins a file of its own.

    Args:
        folder: Where the processes of this machine keep theirs for each other; None keeps them to this process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._file: CounterFile | None = None
        self._pid = 0
        self._known: dict[Key, ModelStatistics] = {}

    def of(self, endpoint: str, model: str, role: str) -> ModelStatistics:
        """Return the statistics of a version in a role."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._known = {}
                self._file = CounterFile(self._folder, LAYOUT) if self._folder is not None else None
            key = (endpoint, model, role)
            found = self._known.get(key)
            if found is None:
                label = {"endpoint": endpoint, "model": model, "role": role}
                series = self._file.series(label) if self._file is not None else None
                found = self._known[key] = ModelStatistics(series)
            return found

    def read(self) -> dict[Key, Counted]:
        """Return what all processes of this machine counted so far, those that ended included."""
        if self._folder is None:
            with self._lock:
                return {key: statistics.read() for key, statistics in self._known.items()}
        return read_statistics(self._folder)

    def close(self) -> None:
        """Leave the file to the next process."""
        with self._lock:
            if self._file is not None and self._pid == os.getpid():
                self._file.close()
            self._file, self._known, self._pid = None, {}, 0


def read_statistics(folder: Path) -> dict[Key, Counted]:
    """Return what all processes counted in a folder, those that ended included."""
    found: dict[Key, Counted] = {}
    for reading in read_series(folder, LAYOUT):
        key = (reading.label["endpoint"], reading.label["model"], reading.label["role"])
        counted = Counted.of(reading.cells, reading.note)
        if key in found:
            found[key].add(counted)
        else:
            found[key] = counted
    return found


def together(counted: Iterable[Counted]) -> Counted | None:
    """Return the sum of what was counted apart, or None of nothing."""
    total: Counted | None = None
    for one in counted:
        if total is None:
            total = Counted.of([0] * CELLS)
        total.add(one)
    return total
