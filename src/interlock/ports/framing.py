"""Frame a stream of bytes so that its end, its absence and a failure on the way are told apart.

A frame is its length in 4 bytes, most significant first, and that many bytes. Length 0 ends the stream. Length
2³²−1 says that the sender failed: a length and a msgpack array `[code, what, why, fix]` follow, and nothing after.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from interlock.core.errors import InterlockError, InvalidInput, Unavailable, error_types

END = b"\0\0\0\0"
FRAME_BYTES = 1 << 20
"""The longest frame that is written; readers refuse frames longer than 16 times that."""

_FAILED = b"\xff\xff\xff\xff"
_LONGEST = 16 * FRAME_BYTES


def frames(chunk: bytes) -> Iterator[bytes]:
    """Yield the frames that carry a chunk; none for an empty one, which would end the stream.

    Example:
        >>> [frame.hex(" ") for frame in frames(b"ab")]
        ['00 00 00 02 61 62']
    """
    for start in range(0, len(chunk), FRAME_BYTES):
        part = chunk[start : start + FRAME_BYTES]
        yield len(part).to_bytes(4, "big") + part


def failure(error: InterlockError) -> bytes:
    """Return the frame that ends a stream with an error."""
    body = msgspec.msgpack.encode((error.code, error.what, error.why, error.fix))
    return _FAILED + len(body).to_bytes(4, "big") + body


def rebuild(code: str, what: str, why: str, fix: str) -> InterlockError:
    """Return the error that was sent, of the same class where this version knows its code."""
    return error_types().get(code, InterlockError)(what, why=why, fix=fix)


class FrameReader:
    """Take frames apart as they arrive, in pieces of any size.

    Example:
        >>> reader = FrameReader()
        >>> list(reader.feed(bytes([0, 0, 0, 2, 97]))), list(reader.feed(bytes([98, 0, 0, 0, 0])))
        ([], [b'ab'])
        >>> reader.close()
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self.ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in some bytes and yield the chunks that are whole by now.

        Raises:
            InvalidInput: The bytes are not framed, or go on after the end.
            InterlockError: The sender failed; its own error.
        """
        self._pending += data
        while len(self._pending) >= 4 and not self.ended:
            head = bytes(self._pending[:4])
            if head == _FAILED:
                self._fail()
                return
            length = int.from_bytes(head, "big")
            if length > _LONGEST:
                raise InvalidInput(
                    "a stream is not framed", why=f"a frame of {length} bytes is announced; {_LONGEST} is the most"
                )
            if len(self._pending) < 4 + length:
                return
            chunk = bytes(self._pending[4 : 4 + length])
            del self._pending[: 4 + length]
            self.ended = not length
            if length:
                yield chunk
        if self.ended and self._pending:
            raise InvalidInput("a stream goes on after its end", why=f"{len(self._pending)} bytes follow the end frame")

    def close(self) -> None:
        """Say that no more bytes will come.

        Raises:
            Unavailable: The end frame has not been seen, so the stream was cut short.
        """
        if not self.ended:
            raise Unavailable(
                "a stream was cut short", why="the connection closed before its end frame", fix="repeat the call"
            )

    def _fail(self) -> None:
        if len(self._pending) < 8:
            return
        length = int.from_bytes(self._pending[4:8], "big")
        if length > FRAME_BYTES:
            raise InvalidInput("a stream is not framed", why=f"an error of {length} bytes is announced")
        if len(self._pending) >= 8 + length:
            try:
                fields = msgspec.msgpack.decode(self._pending[8 : 8 + length], type=tuple[str, str, str, str])
            except msgspec.DecodeError as problem:
                raise InvalidInput("a stream is not framed", why=f"its error frame is garbled: {problem}") from problem
            raise rebuild(*fields)
