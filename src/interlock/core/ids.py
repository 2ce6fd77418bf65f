"""Make ids that sort by time: ULIDs, monotonic within a process.

Source: the ULID specification (48 bits of milliseconds, 80 bits of randomness, Crockford base 32).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

ID_CHARS = 26
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_AS_PYTHON_WRITES = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
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
    global _start
    value = _draw(1)
    start = _start
    # ids of one millisecond differ at their end only
    if value >> 10 != start[0]:
        start = _start = (value >> 10, encode_id(value)[:-2])
    return start[1] + _PAIRS[value & 1023]


def new_ids(count: int) -> list[str]:
    """Return a run of new ids; it costs a tenth of as many calls of `new_id`.

    Example:
        >>> ids = new_ids(3)
        >>> is_run(ids) and ids[-1] < new_id()
        True
    """
    return run_of_ids(_draw(count), count) if count else []


def _draw(count: int) -> int:
    """Take some numbers that follow each other; return the first."""
    global _last, _randomness
    millis = time.time_ns() // 1_000_000
    with _lock:
        if millis > _last >> _RANDOM_BITS:
            if not _randomness:
                # a system call for every millisecond would cost more than all the rest
                _randomness = os.urandom(_DRAWN_AT_ONCE * _RANDOM_BYTES)
            drawn, _randomness = _randomness[:_RANDOM_BYTES], _randomness[_RANDOM_BYTES:]
            # the top random bit stays clear, so that counting up within the millisecond has room
            first = (millis << _RANDOM_BITS) | (int.from_bytes(drawn, "big") & (_RANDOM_MASK >> 1))
        else:
            first = _last + 1
        _last = first + count - 1
        return first


def encode_id(value: int) -> str:
    """Write a 128-bit number as 26 characters of Crockford base 32."""
    parts = [_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)]
    return "".join(parts)


def decode_id(text: str) -> int:
    """Return the 128-bit number that an id writes."""
    return int(text.translate(_AS_PYTHON_WRITES), 32)


def run_of_ids(first: int, count: int) -> list[str]:
    """Write numbers that follow each other, from the first on."""
    ids: list[str] = []
    end = first + count
    while first < end:
        start, low = encode_id(first)[:-2], first & 1023
        pairs = _PAIRS[low : low + end - first]
        ids += [start + pair for pair in pairs]
        first += len(pairs)
    return ids


def is_run(ids: Sequence[str]) -> bool:
    """Say whether these are ids each of which is one more than the one before."""
    return bool(ids) and is_id(ids[0]) and list(ids) == run_of_ids(decode_id(ids[0]), len(ids))


def is_id(text: str) -> bool:
    """Say whether the text has the form of an id."""
    return len(text) == ID_CHARS and text[0] in "01234567" and not text.strip(_ALPHABET)
