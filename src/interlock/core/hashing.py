"""Address content by BLAKE3: the same bytes have the same name everywhere."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from blake3 import blake3

from interlock.core.errors import InvalidInput

DIGEST_PATTERN = re.compile(r"b3:[0-9a-f]{64}")
_canonical = msgspec.msgpack.Encoder(order="deterministic")


class Hasher:
    """A running digest over chunks.

    Example:
        >>> hasher = Hasher()
        >>> hasher.update(b"ab"); hasher.update(b"c")
        >>> hasher.digest() == digest_of(b"abc")
        True
    """

    def __init__(self) -> None:
        self._state = blake3()
        self.size_bytes = 0

    def update(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take in one more chunk."""
        self._state.update(chunk)
        self.size_bytes += len(chunk)

    def digest(self) -> str:
        """Return the digest of all chunks so far."""
        return "b3:" + self._state.hexdigest()


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """Return the content address of some bytes: `b3:` and 64 hex digits."""
    return "b3:" + blake3(data).hexdigest()


def digest_of_value(value: Any) -> str:
    """Return the content address of a plain value, by its canonical msgpack form.

    Keys are sorted, so equal mappings agree; `1`, `1.0`, `True` and `"1"` stay apart.
    """
    return digest_of(_canonical.encode(value))


def check_digest(text: str) -> str:
    """Return the text if it has the form of a content address.

    Raises:
        InvalidInput: It has another form.
    """
    if not DIGEST_PATTERN.fullmatch(text):
        raise InvalidInput(f"'{text[:80]}' is not a content address", why="expected b3: and 64 hex digits")
    return text
