"""Send whole messages over a pipe or a socket: eight bytes of length, then the content."""

from __future__ import annotations

import os

_PIECE_BYTES = 1 << 20


class Channel:
    """One end of a two-way line to another process.

    Args:
        reads: File descriptor to read from.
        writes: File descriptor to write to; the same one for a socket.
    """

    def __init__(self, reads: int, writes: int) -> None:
        self._reads = reads
        self._writes = writes

    def send(self, data: bytes) -> None:
        """Send one message.

        Raises:
            OSError: The other end is gone.
        """
        head = len(data).to_bytes(8, "big")
        if len(data) < _PIECE_BYTES:
            self._write(memoryview(head + data))
        else:
            self._write(memoryview(head))
            self._write(memoryview(data))

    def receive(self) -> bytes:
        """Wait for one message.

        Raises:
            EOFError: The other end is gone, perhaps in the middle of it.
        """
        return bytes(self._read(int.from_bytes(self._read(8), "big")))

    def close(self) -> None:
        """Let the other end know that there will be no more."""
        for descriptor in {self._reads, self._writes}:
            os.close(descriptor)

    def _write(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._writes, data[:_PIECE_BYTES]) :]

    def _read(self, size: int) -> bytearray:
        found = bytearray(size)
        rest = memoryview(found)
        while rest:
            count = os.readv(self._reads, [rest]) if hasattr(os, "readv") else self._read_some(rest)
            if not count:
                raise EOFError("the other end closed the line")
            rest = rest[count:]
        return found

    def _read_some(self, into: memoryview) -> int:
        data = os.read(self._reads, min(len(into), _PIECE_BYTES))
        into[: len(data)] = data
        return len(data)
