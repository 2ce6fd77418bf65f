"""Write and read append-only segment files of framed batches that survive a killed process.

A frame is the length of its payload and the CRC-32 of it (both u32, little-endian), then the payload. One frame is
written by one system call; a frame torn by a kill is the last of its file and is ignored. The process that writes a
segment holds a lock on it, so that a segment without one is left over.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from interlock.adapters.localfs.disk import try_lock, wait_for_lock, writing
from interlock.core.ids import new_id

SUFFIX = ".spool"
_HEADER = struct.Struct("<II")


class Segment:
    """One segment that this process writes."""

    def __init__(self, folder: Path) -> None:
        while True:
            self.path = folder / f"{new_id()}{SUFFIX}"
            with writing(self.path):
                self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            wait_for_lock(self._file)
            if self.path.exists():
                break
            # another process found it before it was locked, took it for left over, and removed it
            os.close(self._file)
        self._size_bytes = 0

    def append(self, payload: bytes) -> None:
        """Write one frame; on failure the segment is cut back to where it was.

        Raises:
            StorageFull: The disk is full.
        """
        frame = _HEADER.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            with writing(self.path):
                written = os.write(self._file, frame)
                while written < len(frame):
                    # a disk that fills up takes a part first; the next call names the reason
                    written += os.write(self._file, frame[written:])
        except BaseException:
            os.ftruncate(self._file, self._size_bytes)
            raise
        self._size_bytes += len(frame)

    def close(self) -> None:
        """Give up the lock: from now on anyone may drain it."""
        os.close(self._file)


def read(file: int) -> Iterator[bytes]:
    """Yield the payloads of an open segment."""
    return frames(os.pread(file, os.fstat(file).st_size, 0))


def frames(data: bytes) -> Iterator[bytes]:
    """Yield the payloads of a segment, up to the first frame that is torn."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        payload = data[position : position + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
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
