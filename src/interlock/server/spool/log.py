"""Keep acknowledged writes in order in append-only segment files, on disk before anyone is told.

A frame is the length of its payload and the CRC-32 of it (both u32, little-endian), then the payload. Payloads are
numbered from 0 on and never change; a segment is named after the number of its first payload. A frame torn by a crash
is the last thing in the last segment, was never acknowledged, and is cut off when the log is opened.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from interlock.core.errors import Corrupt, StorageFull, Unavailable

SEGMENT_BYTES = 8 << 20
_SUFFIX = ".log"
_HEADER = struct.Struct("<II")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: a file is found again after a power cut only after this."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


class Log:
    """Numbered payloads on disk; one thread appends, any thread reads.

    Args:
        folder: Where the segments lie; made if need be.
        first: The number of the first payload where there is no segment yet.
        segment_bytes: From which size on a segment is followed by another.

    Raises:
        Corrupt: A file is there that is no segment.
    """

    def __init__(self, folder: Path, *, first: int = 0, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._segments = _segments(folder)
        self._lock = threading.Lock()
        self._file: int | None = None
        self._size_bytes = 0
        self._next = first
        if self._segments:
            number, path = self._segments[-1]
            self._file = os.open(path, os.O_RDWR)
            self._next, self._size_bytes = _whole_frames(self._file, number)
            if os.fstat(self._file).st_size > self._size_bytes:
                os.ftruncate(self._file, self._size_bytes)
                os.fsync(self._file)
        self._earlier_bytes = sum(path.stat().st_size for _, path in self._segments[:-1])
        self.end = self._next
        """The number after the last payload that readers see."""

    @property
    def first(self) -> int:
        """The number of the first payload that is still kept."""
        return self._segments[0][0] if self._segments else self._next

    @property
    def size_bytes(self) -> int:
        """What the segments take up on disk."""
        return self._earlier_bytes + self._size_bytes

    def append(self, payloads: Sequence[bytes]) -> int:
        """Write payloads and return the number of the first once all are on disk; `release` shows them to readers.

        Raises:
            StorageFull: The disk or the quota is full; none was written.
            Unavailable: The disk failed; none was acknowledged.
        """
        frames = b"".join(part for payload in payloads for part in (_header(payload), payload))
        try:
            if self._file is None or self._size_bytes >= self._segment_bytes:
                self._begin_segment()
            assert self._file is not None
            _write_at(self._file, frames, self._size_bytes)
            os.fdatasync(self._file)
        except OSError as error:
            self._take_back()
            raise disk_error(self._folder, error) from error
        self._size_bytes += len(frames)
        number, self._next = self._next, self._next + len(payloads)
        return number

    def release(self) -> None:
        """Let readers see what was appended."""
        self.end = self._next

    def _begin_segment(self) -> None:
        path = self._folder / f"{self._next:020d}{_SUFFIX}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        sync_folder(self._folder)
        if self._file is not None:
            os.close(self._file)
        with self._lock:
            self._earlier_bytes += self._size_bytes
            self._file, self._size_bytes = file, 0
            self._segments.append((self._next, path))

    def _take_back(self) -> None:
        """Cut off what a failed write left behind, so that the next frame follows a whole one."""
        if self._file is not None:
            os.ftruncate(self._file, self._size_bytes)

    def drop_before(self, number: int) -> None:
        """Remove the segments all of whose payloads come before a number; the last one stays."""
        with self._lock:
            while len(self._segments) > 1 and self._segments[1][0] <= number:
                _, path = self._segments.pop(0)
                self._earlier_bytes -= path.stat().st_size
                path.unlink()

    def segment_of(self, number: int) -> tuple[int, Path]:
        """Return the first number and the path of the segment that holds a payload.

        Raises:
            Corrupt: It is not kept any more.
        """
        with self._lock:
            for first, path in reversed(self._segments):
                if first <= number:
                    return first, path
        raise Corrupt(
            f"the log in {self._folder} begins too late",
            why=f"expected number {number}, the first segment begins with {self.first}",
            fix="put the missing segment files back",
        )

    def close(self) -> None:
        """Close the segment that is written."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class LogReader:
    """Reads a log in order, from a number on, as far as it is on disk.

    Args:
        log: What to read; it may grow meanwhile.
        number: Where to begin.
    """

    def __init__(self, log: Log, number: int) -> None:
        self._log = log
        self._number = number
        self._frames: Iterator[bytes] | None = None

    def take(self, count: int, *, size_bytes: int) -> list[tuple[int, bytes]]:
        """Return the next payloads with their numbers: at least one if there is any, at most so many or so much.

        Raises:
            Corrupt: A frame is damaged.
        """
        taken: list[tuple[int, bytes]] = []
        size = 0
        while self._number < self._log.end and len(taken) < count and size < size_bytes:
            payload = self._next()
            taken.append((self._number, payload))
            size += len(payload)
            self._number += 1
        return taken

    def _next(self) -> bytes:
        payload = next(self._frames, None) if self._frames is not None else None
        if payload is None:
            # the first one, or the segment has ended: the next one begins with this number
            first, path = self._log.segment_of(self._number)
            self._frames = _frames(path)
            for _ in range(self._number - first):
                next(self._frames, None)
            payload = next(self._frames, None)
        if payload is None:
            raise Corrupt(
                f"{self._log.segment_of(self._number)[1]} is damaged",
                why=f"the frame of number {self._number} is not what was written",
                fix="move the folder away and start with a new one; what lies before the damage was forwarded",
            )
        return payload


def _header(payload: bytes) -> bytes:
    return _HEADER.pack(len(payload), zlib.crc32(payload))


def _segments(folder: Path) -> list[tuple[int, Path]]:
    paths = sorted(folder.glob(f"*{_SUFFIX}"))
    strange = [path for path in paths if not path.stem.isdecimal()]
    if strange:
        raise Corrupt(f"{strange[0]} is no segment of a log", why="segments are named by numbers", fix="move it away")
    return [(int(path.stem), path) for path in paths]


def _frames(path: Path) -> Iterator[bytes]:
    """Yield the payloads of a segment, as it is when each is asked for, up to the first that is not whole."""
    # without a buffer: what was read ahead of the end could be taken back and written anew
    with path.open("rb", buffering=0) as file:
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            length, checksum = _HEADER.unpack(header)
            payload = file.read(length)
            if not length or len(payload) < length or zlib.crc32(payload) != checksum:
                return
            yield payload


def _whole_frames(file: int, number: int) -> tuple[int, int]:
    """Return the number after the last whole frame of a segment, and where that frame ends."""
    data = os.pread(file, os.fstat(file).st_size, 0)
    position = 0
    while position + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, position)
        begin = position + _HEADER.size
        # zeros, which a power cut may leave behind, would pass for an empty frame
        if not length or begin + length > len(data) or zlib.crc32(data[begin : begin + length]) != checksum:
            break
        position = begin + length
        number += 1
    return number, position


def _write_at(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view = view[written:]
        offset += written


def disk_error(folder: Path, error: OSError) -> StorageFull | Unavailable:
    """Name what went wrong with a disk."""
    if error.errno in _FULL:
        return StorageFull(
            f"the spool in {folder} cannot grow",
            why=os.strerror(error.errno or 0).lower(),
            fix="free some space; nothing that was acknowledged is lost",
        )
    return Unavailable(f"the disk under {folder} failed", why=str(error), fix="look at the disk")
