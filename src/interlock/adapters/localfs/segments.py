"""Write and read segment files of framed batches that survive a killed process.

A frame is the length of its payload and the CRC-32 of it (both u32, little-endian), then the payload. A segment has its
size from the start and is written through memory: what is there when the process is killed is what the next one
reads, and a system call for every frame, which also gives up the interpreter's lock, is spared. Zeros after the last
frame end it; a frame torn by a kill is the last and is ignored. The process that writes a segment holds a lock on it,
so that a segment without one is left over.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from interlock.adapters.localfs.disk import try_lock, wait_for_lock, writing
from interlock.core.ids import new_id

SUFFIX = ".spool"
SEGMENT_BYTES = 1 << 20
_HEADER = struct.Struct("<II")


class Segment:
    """One segment that this process writes.

    Args:
        folder: Where it lies.
        room_for: Length of the largest payload that it has to take.

    Raises:
        StorageFull: The disk is full: the room is reserved before anything is written.
    """

    def __init__(self, folder: Path, *, room_for: int = 0) -> None:
        while True:
            self.path = folder / f"{new_id()}{SUFFIX}"
            with writing(self.path):
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            wait_for_lock(self._file)
            if self.path.exists():
                break
            # another process found it before it was locked, took it for left over, and removed it
            os.close(self._file)
        self._size_bytes = max(SEGMENT_BYTES, room_for + _HEADER.size)
        try:
            with writing(self.path):
                os.posix_fallocate(self._file, 0, self._size_bytes)
        except BaseException:
            self.path.unlink(missing_ok=True)
            os.close(self._file)
            raise
        self._memory = mmap.mmap(self._file, self._size_bytes)
        self._end = 0

    def has_room(self, payload: bytes) -> bool:
        """Say whether one more frame fits."""
        return self._end + _HEADER.size + len(payload) <= self._size_bytes

    def append(self, payload: bytes) -> None:
        """Write one frame."""
        start = self._end
        self._end = start + _HEADER.size + len(payload)
        # the header last: until it is there, the frame is not
        self._memory[start + _HEADER.size : self._end] = payload
        _HEADER.pack_into(self._memory, start, len(payload), zlib.crc32(payload))

    def close(self) -> None:
        """Give up the lock: from now on anyone may drain it."""
        self._memory.close()
        os.close(self._file)


def read(file: int) -> Iterator[bytes]:
    """Yield the payloads of an open segment."""
    return frames(os.pread(file, os.fstat(file).st_size, 0))


def frames(data: bytes) -> Iterator[bytes]:
    """Yield the payloads of a segment, up to its end or the first frame that is torn."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        payload = data[position : position + length]
        if not length or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield payload
        position += length


def left_over(folder: Path) -> list[Path]:
    """List the segments in a folder, oldest first, in use or not."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def take(path: Path, *, wait: bool) -> int | None:
    """Open and lock a segment for draining; None where it is gone, or (without `wait`) in use."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    if wait:
        wait_for_lock(file)
    elif not try_lock(file):
        os.close(file)
        return None
    return file
