"""Keep counters in files that all processes of a machine map into memory: each writes its own, and reads everyone's.

A file belongs to the process that holds its lock. When that process ends, the next one that starts takes the file over
and counts on, so that sums only ever rise, and there are never more files than there were processes at once.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from interlock.core.errors import LimitExceeded

HEADER_CELLS = 64
LABEL_BYTES = 1_024
NOTE_BYTES = 512
_MOST_FILES = 512
_decode_label = msgspec.json.Decoder(dict[str, str]).decode

_PID, _STARTED_MS, _FIRST_GAUGE = 0, 1, 8


@dataclass(frozen=True)
class Layout:
    """What a file holds: a header, then the labels and notes of all series, then their counters.

    Labels lie together, so that looking for one does not bring the counters of series that nobody uses into memory.

    Args:
        name: The beginning of its name.
        cells: Counters of one series.
        series: How many series there may be.
    """

    name: str
    cells: int
    series: int

    @property
    def prefix(self) -> str:
        """The beginning of its files' names; files of another layout have another."""
        return f"{self.name}-{self.cells}x{self.series}-"

    @property
    def size_bytes(self) -> int:
        """The size of a file; what was never written takes no room on the disk."""
        end: int = self.cells_of(self.series).start
        return end

    def label_of(self, index: int) -> slice:
        """Return where the label of a series stands."""
        start = 8 * HEADER_CELLS + index * (LABEL_BYTES + NOTE_BYTES)
        return slice(start, start + LABEL_BYTES)

    def note_of(self, index: int) -> slice:
        """Return where the note of a series stands."""
        start = self.label_of(index).stop
        return slice(start, start + NOTE_BYTES)

    def cells_of(self, index: int) -> slice:
        """Return where the counters of a series stand."""
        start = self.label_of(self.series).start + index * 8 * self.cells
        return slice(start, start + 8 * self.cells)


class Series:
    """The counters of one thing. Unit of a cell: an unsigned number of 64 bits.

    Args:
        cells: Its counters, writable.
        note: Room for a short text that other processes read.
    """

    __slots__ = ("cells", "lock", "_note")

    def __init__(self, cells: memoryview, note: memoryview | None = None) -> None:
        self.cells = cells
        self.lock = threading.Lock()
        self._note = note if note is not None else memoryview(bytearray(NOTE_BYTES))

    @property
    def note(self) -> str:
        """What was noted last."""
        return _text(self._note)

    @note.setter
    def note(self, text: str) -> None:
        """Note a text, cut to what there is room for."""
        _write_text(self._note, text.encode()[: NOTE_BYTES - 4])


def private_series(cells: int) -> Series:
    """Return a series that no other process sees."""
    return Series(memoryview(bytearray(8 * cells)).cast("Q"))


class CounterFile:
    """The counters of this process.

    Thread-safe. It must not be carried into a forked process: each makes its own.

    Args:
        folder: Where all processes keep theirs.
        layout: What it holds.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file, self.path = _claim(folder, layout)
        self._map = mmap.mmap(self._file, layout.size_bytes)
        self._cells = memoryview(self._map)[: 8 * HEADER_CELLS].cast("Q")
        self._cells[_PID] = os.getpid()
        self._cells[_STARTED_MS] = time.time_ns() // 1_000_000
        for gauge in range(_FIRST_GAUGE, HEADER_CELLS):
            self._cells[gauge] = 0
        self._known: dict[str, tuple[int, Series]] = {}
        self._free = [index for index in range(layout.series) if self._label(index) is None]
        self._found = {
            _key(label): index for index in range(layout.series) if (label := self._label(index)) is not None
        }

    def gauges(self, count: int) -> memoryview:
        """Return cells that tell of the present; they are zero when a process begins."""
        return self._cells[_FIRST_GAUGE : _FIRST_GAUGE + count]

    def series(self, label: Mapping[str, str]) -> Series:
        """Return the series of a label, which goes on where an earlier process left it.

        Where there are too many, one that this process does not use gives way; where it uses all, the new one is
        counted for this process alone.
        """
        key = _key(label)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                return known[1]
            index = self._found.get(key)
            if index is None:
                index = self._make(key)
            series = private_series(self._layout.cells) if index is None else self._open(index)
            self._known[key] = (-1 if index is None else index, series)
            return series

    def close(self) -> None:
        """Leave the file to the next process; what was counted stays, and nothing may be counted any more."""
        # the map holds a descriptor of its own: closing this one would not let go of the lock
        fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)

    def _open(self, index: int) -> Series:
        whole = memoryview(self._map)
        return Series(whole[self._layout.cells_of(index)].cast("Q"), whole[self._layout.note_of(index)])

    def _make(self, key: str) -> int | None:
        if len(key.encode()) > LABEL_BYTES - 4:
            return None
        if self._free:
            index = self._free.pop(0)
        else:
            used = {index for index, _ in self._known.values()}
            gone = next((known for known, index in self._found.items() if index not in used), None)
            if gone is None:
                return None
            index = self._found.pop(gone)
        whole = memoryview(self._map)
        # readers must never see a new label above old counts
        for part in (self._layout.label_of(index), self._layout.note_of(index), self._layout.cells_of(index)):
            whole[part] = bytes(part.stop - part.start)
        _write_text(whole[self._layout.label_of(index)], key.encode())
        self._found[key] = index
        return index

    def _label(self, index: int) -> dict[str, str] | None:
        return _read_label(memoryview(self._map)[self._layout.label_of(index)])


@dataclass(frozen=True)
class Reading:
    """One series as a process left or has it.

    Args:
        label: Of what it counts.
        note: What was noted of it.
        cells: Its counters, copied.
    """

    label: dict[str, str]
    note: str
    cells: list[int]


@dataclass(frozen=True)
class Header:
    """What a process says of itself.

    Args:
        number: The number of its file.
        pid: Its process id.
        is_alive: Whether it still runs.
        gauges: What it says of the present.
    """

    number: str
    pid: int
    is_alive: bool
    gauges: list[int]


def read_series(folder: Path, layout: Layout) -> Iterator[Reading]:
    """Yield every series of every process, running or ended."""
    for _, whole in _files(folder, layout):
        for index in range(layout.series):
            label = _read_label(whole[layout.label_of(index)])
            if label is None:
                # series are made from the first place on, and never unmade
                break
            note, cells = whole[layout.note_of(index)], whole[layout.cells_of(index)]
            yield Reading(label, _text(note), cells.cast("Q").tolist())


def read_headers(folder: Path, layout: Layout) -> list[Header]:
    """Return what every process says of itself."""
    found = []
    for path, whole in _files(folder, layout):
        cells = whole[: 8 * HEADER_CELLS].cast("Q").tolist()
        found.append(Header(str(int(path.stem.rpartition("-")[2])), cells[_PID], _is_held(path), cells[_FIRST_GAUGE:]))
    return found


def _files(folder: Path, layout: Layout) -> Iterator[tuple[Path, memoryview]]:
    for path in sorted(folder.glob(f"{layout.prefix}*.bin")) if folder.is_dir() else ():
        try:
            with path.open("rb") as file:
                whole = memoryview(mmap.mmap(file.fileno(), layout.size_bytes, access=mmap.ACCESS_READ))
        except (OSError, ValueError):
            # it is being made, or was deleted, at this moment
            continue
        yield path, whole


def _claim(folder: Path, layout: Layout) -> tuple[int, Path]:
    """Return the first file that no running process holds, locked and of its full size."""
    for number in range(_MOST_FILES):
        path = folder / f"{layout.prefix}{number:03}.bin"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        # a file only ever grows: to cut one that others have mapped would kill them
        if os.fstat(file).st_size < layout.size_bytes:
            os.ftruncate(file, layout.size_bytes)
        return file, path
    raise LimitExceeded(f"{folder} holds the counters of {_MOST_FILES} running processes", why="that is the most")


def _is_held(path: Path) -> bool:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _key(label: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(sorted(label.items()))).decode()


def _read_label(view: memoryview) -> dict[str, str] | None:
    length = int.from_bytes(view[:4], "little")
    if not 0 < length <= LABEL_BYTES - 4:
        return None
    try:
        return _decode_label(view[4 : 4 + length])
    except msgspec.DecodeError:
        return None


def _text(view: memoryview) -> str:
    length = min(int.from_bytes(view[:4], "little"), len(view) - 4)
    return bytes(view[4 : 4 + length]).decode(errors="replace")


def _write_text(view: memoryview, data: bytes) -> None:
    view[:4] = bytes(4)
    view[4 : 4 + len(data)] = data
    view[:4] = len(data).to_bytes(4, "little")
