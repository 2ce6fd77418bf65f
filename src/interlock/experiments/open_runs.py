"""Know the runs that this process has open: to end them with it, and to find the one that code belongs to."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import traceback
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from interlock.core.active_run import active_run
from interlock.core.errors import InterlockError
from interlock.experiments.buffers import flusher

if TYPE_CHECKING:
    from interlock.experiments.active import ActiveRun

_log = logging.getLogger("interlock.experiments")
_open: dict[str, ActiveRun] = {}
_waiting: weakref.WeakValueDictionary[str, ActiveRun] = weakref.WeakValueDictionary()


def prepare(run: ActiveRun) -> None:
    """Know a run that is to open by itself."""
    _waiting[run.id] = run
    flusher.watch(run)


def open_waiting(run_id: str | None) -> None:
    """Open a run that waits to be, since another needs it."""
    run = _waiting.pop(run_id, None) if run_id is not None else None
    if run is not None:
        run.start()


def add(run: ActiveRun) -> None:
    """Know a run that is open."""
    _waiting.pop(run.id, None)
    _open[run.id] = run


def remove(run: ActiveRun) -> None:
    """Know a run no more."""
    _waiting.pop(run.id, None)
    _open.pop(run.id, None)


def current_run() -> ActiveRun | None:
    """Return the run that this code belongs to: that of the innermost `with` block, else the last one opened."""
    run_id = active_run.get()
    if run_id is not None:
        return _open.get(run_id)
    own = [run for run in (*_open.values(), *_waiting.values()) if not run.is_inside_another]
    return own[-1] if own else None


def flush_at_exit_of_child(flush: Callable[[], None]) -> None:
    """Call something when a child that `multiprocessing` forked ends, which no exit handler of Python sees."""
    pool = sys.modules.get("multiprocessing.util")
    if pool is not None:
        pool.Finalize(None, flush, exitpriority=100)


@atexit.register
def _end_all() -> None:
    """End what nobody ended: as failed if the program ends by an exception that nobody caught."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    interactive = hasattr(sys, "ps1") or "IPython" in sys.modules
    for run in reversed([*_waiting.values(), *_open.values()]):
        try:
            if error is None or interactive:
                run.end("finished")
            else:
                run.end("failed", error="".join(traceback.format_exception(error)))
        except InterlockError as refusal:
            _log.warning("%s could not be ended: %s", run.ref, refusal)


def _inherit() -> None:
    for run in _open.values():
        run.inherit()


os.register_at_fork(after_in_child=_inherit)
