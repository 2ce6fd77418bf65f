"""Ask for a library only where somebody has imported it: no value of its types exists otherwise."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def loaded(name: str) -> Any:
    """Return a module that has been imported, whole, or None.

    Example:
        >>> loaded("sys").__name__, loaded("a_library_that_nobody_imported")
        ('sys', None)
    """
    # the import waits for another thread that is in the middle of it
    return importlib.import_module(name) if name in sys.modules else None


def is_arrow(value: Any, *kinds: str) -> bool:
    """Say whether a value is of one of pyarrow's types, without importing pyarrow."""
    pa = loaded("pyarrow")
    return pa is not None and isinstance(value, tuple(getattr(pa, kind) for kind in kinds))


def is_array(value: Any) -> bool:
    """Say whether a value is a NumPy array, without importing NumPy."""
    np = loaded("numpy")
    return np is not None and isinstance(value, np.ndarray)
