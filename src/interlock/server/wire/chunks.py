"""Put a chunked body together, strictly.

Source: RFC 9112, section 7.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from interlock.core.errors import InvalidInput
from interlock.server.http import Rejection
from interlock.server.limits import Limits
from interlock.server.wire.heads import too_large

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\r\n\x00]*)?")
_LONGEST_LINE = 256
_MOST_TRAILER_BYTES = 4_096


class ChunkedBody:
    r"""A body that arrives in chunks.

    Args:
        limits: How large it may become.

    Example:
        >>> body = ChunkedBody(Limits())
        >>> body.take(b"3\r\nabc\r\n0\r\n\r\nGET "), body.data
        (b'GET ', b'abc')
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: list[bytes] = []
        self._rest = b""
        self._left = 0
        self._announced = 0
        # functions of the class: methods of the object would be a cycle, and keep an unfinished body in memory
        self._next: Callable[[ChunkedBody, bytes, int], int | None] | None = ChunkedBody._size

    @property
    def data(self) -> bytes:
        """What arrived so far."""
        return b"".join(self._parts)

    def take(self, data: bytes) -> bytes | None:
        """Take in what arrived; return what follows the body once it is whole, None until then.

        Raises:
            Rejection: It is no chunked body (400), or becomes too large (413).
        """
        data = self._rest + data
        at = 0
        while self._next is not None:
            reached = self._next(self, data, at)
            if reached is None:
                self._rest = data[at:]
                return None
            at = reached
        return data[at:]

    def _size(self, data: bytes, at: int) -> int | None:
        """Read the line before a chunk."""
        end = data.find(b"\r\n", at, at + _LONGEST_LINE)
        if end < 0:
            if len(data) - at >= _LONGEST_LINE:
                raise _malformed("the size of a chunk takes a line of its own")
            return None
        found = _SIZE_LINE.fullmatch(data, at, end)
        if found is None:
            raise _malformed("the size of a chunk is a hexadecimal number")
        self._left = int(found[1], 16)
        self._announced += self._left
        if self._announced > self._limits.body_bytes:
            raise too_large(self._limits)
        # a chunk of nothing ends the body
        self._next = ChunkedBody._contents if self._left else ChunkedBody._trailer
        return end + 2

    def _contents(self, data: bytes, at: int) -> int | None:
        part = data[at : at + self._left]
        if not part:
            return None
        self._parts.append(part)
        self._left -= len(part)
        if not self._left:
            self._next = ChunkedBody._gap
        return at + len(part)

    def _gap(self, data: bytes, at: int) -> int | None:
        """Read the end of the line after a chunk."""
        if len(data) - at < 2:
            return None
        if not data.startswith(b"\r\n", at):
            raise _malformed("a chunk is longer than it says")
        self._next = ChunkedBody._size
        return at + 2

    def _trailer(self, data: bytes, at: int) -> int | None:
        """Pass over trailers, which nothing here reads."""
        if data.startswith(b"\r\n", at):
            self._next = None
            return at + 2
        end = data.find(b"\r\n\r\n", at, at + _MOST_TRAILER_BYTES)
        if end < 0:
            if len(data) - at >= _MOST_TRAILER_BYTES:
                raise _malformed("its trailers are too long")
            return None
        self._next = None
        return end + 4


def _malformed(why: str) -> Rejection:
    return Rejection(InvalidInput("the chunked body cannot be read", why=why), status=400)
