"""Read amounts of memory as people write them."""

from __future__ import annotations

import re

from interlock.core.errors import InvalidInput

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def read_size(text: str) -> int:
    """Return the bytes that a text means: a number, with a unit of 1000 (`MB`) or 1024 (`MiB`).

    Raises:
        InvalidInput: It is no amount, or nothing at all.

    Example:
        >>> read_size("2GB"), read_size("512 MiB"), read_size("1000000")
        (2000000000, 536870912, 1000000)
    """
    found = _SIZE.fullmatch(text.strip())
    size = 0.0
    if found is not None:
        size = float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].lower()]
    if size < 1:
        raise InvalidInput(
            f"'{text[:40]}' is no amount of memory", why="expected a number and a unit", fix="2GB, 512MB or 512MiB"
        )
    return int(size)
