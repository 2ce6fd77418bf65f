"""Name the machine, and tell one process from another that has its number later."""

from __future__ import annotations

import os
import socket
import sys
from functools import lru_cache
from pathlib import Path

ENDED = "ended"


@lru_cache(maxsize=1)
def machine() -> str:
    """Return what differs between machines, between their starts, and between containers on one."""
    parts = [socket.gethostname()]
    if sys.platform == "linux":
        boot = Path("/proc/sys/kernel/random/boot_id")
        parts.append(boot.read_text().strip()[:8] if boot.exists() else "")
        try:
            parts.append(os.readlink("/proc/self/ns/pid").strip("pid:[]"))  # noqa: PTH115 (it is no path)
        except OSError:
            parts.append("")
    return ":".join(parts).replace("/", "_")


def start_of(pid: int) -> str:
    """Return when a process started, in ticks since the machine did; `ended` if it has, empty where nobody tells.

    A process that ended and was not waited for by its parent yet has ended too.
    """
    try:
        facts = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = facts.rpartition(")")[2].split()
    return ENDED if state in "ZX" else rest[18]


def is_running(pid: int, start: str) -> bool:
    """Say whether the process that had a number when it started then still runs.

    Args:
        pid: Its number.
        start: What `start_of` said of it.

    Example:
        >>> is_running(os.getpid(), start_of(os.getpid())), is_running(os.getpid(), "before")
        (True, False)
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return start_of(pid) in (start, "")
