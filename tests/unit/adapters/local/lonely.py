"""What runs in environments that have next to nothing installed."""

from __future__ import annotations

import sys


def version_here() -> tuple[str, str]:
    """Return the version of the library in this process, and where its Python is."""
    import lonely_library

    return lonely_library.VERSION, sys.prefix


def lacks(module: str) -> bool:
    """Say whether a module is not there."""
    try:
        __import__(module)
    except ModuleNotFoundError:
        return True
    return False


def add(left: int, right: int = 0) -> int:
    """Return a sum."""
    return left + right
