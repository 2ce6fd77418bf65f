"""Say who holds a claim, in a form from which another process of the same machine can tell whether it is gone."""

from __future__ import annotations

import os

from interlock.core.processes import machine, start_of


def holder_of(run_id: str) -> str:
    """Return the name under which this process works on a run: machine, process, its start, and the run."""
    return f"{machine()}/{os.getpid()}/{start_of(os.getpid())}/{run_id}"


def run_of(holder: str) -> str:
    """Return the run that a holder works on."""
    return holder.rpartition("/")[2]


def is_gone(holder: str) -> bool:
    """Say whether a holder's process has certainly ended; False where nobody can tell."""
    where, pid, started, _ = [*holder.split("/"), "", "", "", ""][:4]
    if where != machine() or not pid.isdigit() or os.name == "nt":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    now = start_of(int(pid))
    return bool(started and now) and now != started  # another process has its number, or it waits to be buried
