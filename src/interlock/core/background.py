"""Start threads that the end of the program need not wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable


def in_background(work: Callable[[], object], *, name: str) -> threading.Thread | None:
    """Start a thread that dies with the program; None where the program is ending and takes no new ones.

    Python 3.12 refuses new threads while handlers of `atexit` run; who needs the work done then does it itself.

    Example:
        >>> thread = in_background(lambda: None, name="example")
        >>> thread.join()
    """
    thread = threading.Thread(target=work, daemon=True, name=name)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
