"""Say who holds a claim, in a form from which another process of the same machine can tell whether it is gone."""

from __future__ import annotations

import os
import socket
import sys
from functools import lru_cache
from pathlib import Path


def holder_of(run_id: str) -> str:
    """Return the name under which this process works on a run: machine, process, its start, and the run."""
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid())}/{run_id}"


def run_of(holder: str) -> str:
    """Return the run that a holder works on."""
    return holder.rpartition("/")[2]


def is_gone(holder: str) -> bool:
    """Say whether a holder's process has certainly ended; False where nobody can tell."""
    machine, pid, started, _ = [*holder.split("/"), "", "", "", ""][:4]
    if machine != _machine() or not pid.isdigit() or os.name == "nt":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    now = _started(int(pid))
    return bool(started and now) and now != started  # another process has its number, or it waits to be buried


@lru_cache(maxsize=1)
def _machine() -> str:
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


def _started(pid: int) -> str:
    """Return when a process started, in ticks since the machine did; `ended` if it has, empty where nobody tells."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = facts.rpartition(")")[2].split()
    return "ended" if state in "ZX" else rest[18]
