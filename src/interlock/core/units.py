"""Write sizes, durations and counts for people."""

from __future__ import annotations


def human_bytes(size_bytes: float) -> str:
    """Write a size with a binary unit.

    Example:
        >>> human_bytes(1536)
        '1.5 KiB'
    """
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def human_seconds(seconds: float) -> str:
    """Write a duration with the unit that reads best.

    Example:
        >>> human_seconds(0.0042), human_seconds(75)
        ('4.2 ms', '1 min 15 s')
    """
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def human_count(count: int) -> str:
    """Write a count with thousands separated.

    Example:
        >>> human_count(336776)
        '336,776'
    """
    return f"{count:,}"
