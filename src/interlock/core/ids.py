"""Make ids that sort by time: ULIDs, monotonic within a process.

Source: the ULID specification (48 bits of milliseconds, 80 bits of randomness, Crockford base 32).
"""

from __future__ import annotations

import os
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_RANDOM_BITS = 80
_RANDOM_BYTES = _RANDOM_BITS // 8
_RANDOM_MASK = (1 << _RANDOM_BITS) - 1
_DRAWN_AT_ONCE = 400

_lock = threading.Lock()
_last = 0
_randomness = b""
_start = (-1, "")


def _reseed_after_fork() -> None:
    global _lock, _last, _randomness
    _lock = threading.Lock()
    _last = 0
    _randomness = b""


os.register_at_fork(after_in_child=_reseed_after_fork)


def new_id() -> str:
    """Return 26 characters that sort after every id this process made before.

    Example:
        >>> first, second = new_id(), new_id()
        >>> first < second and len(first) == 26
        True
    """
    global _last, _randomness, _start
    millis = time.time_ns() // 1_000_000
    with _lock:
        if millis > _last >> _RANDOM_BITS:
            if not _randomness:
                # a system call for every millisecond would cost more than all the rest
                _randomness = os.urandom(_DRAWN_AT_ONCE * _RANDOM_BYTES)
            drawn, _randomness = _randomness[:_RANDOM_BYTES], _randomness[_RANDOM_BYTES:]
            # the top random bit stays clear, so that counting up within the millisecond has room
            _last = (millis << _RANDOM_BITS) | (int.from_bytes(drawn, "big") & (_RANDOM_MASK >> 1))
        else:
            _last += 1
        value = _last
        # ids of one millisecond differ at their end only
        if value >> 10 != _start[0]:
            _start = (value >> 10, encode_id(value)[:-2])
        return _start[1] + _PAIRS[value & 1023]


def encode_id(value: int) -> str:
    """Write a 128-bit number as 26 characters of Crockford base 32."""
    parts = [_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)]
    return "".join(parts)


def is_id(text: str) -> bool:
    """Say whether the text has the form of an id."""
    return len(text) == 26 and text[0] in "01234567" and all(c in _ALPHABET for c in text)
