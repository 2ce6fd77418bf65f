"""Say of an exception what it is and which line of the user's own code it came from."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path, PurePath

from interlock.core.libraries import is_installed_file

_OURS = str(Path(__file__).resolve().parents[1])
_DEMO = str(Path(_OURS) / "demo")
_STANDARD = sysconfig.get_paths()["stdlib"]
_LONGEST = 300


def blame(error: BaseException) -> str:
    """Return an exception in one line: its type, its message, and the innermost line of the user's code.

    Example:
        >>> blame(KeyError("ZZ"))
        "KeyError: 'ZZ'"
    """
    message = " ".join(str(error).split())[:_LONGEST]
    said = f"{type(error).__name__}: {message}" if message else type(error).__name__
    theirs = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    if not theirs:
        return said
    last = theirs[-1]
    return f"{said} (in {last.name}, {PurePath(last.filename).name}:{last.lineno})"


def _is_users(path: str) -> bool:
    if is_installed_file(path) or path.startswith((_STANDARD, "<frozen")):
        return False
    return not path.startswith(_OURS) or path.startswith(_DEMO)
