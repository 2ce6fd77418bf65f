"""Turn the loop in a process of its own, so that training costs the server neither memory nor its life."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from datetime import datetime, timedelta

from interlock.core.errors import Conflict
from interlock.ports.stores import Stores
from interlock.server.children import end_with_parent, start_child, stop_child
from interlock.workspace import open_workspace

PAUSE = timedelta(seconds=2)
"""Least time between the end of one turn and the next."""
PATROL = timedelta(seconds=60)
"""After this long the loop is turned even if nothing happened: windows end and schedules come due by themselves."""
ALWAYS = ("alert.opened", "endpoint.routed", "monitor.applied", "rollout.", "trigger.applied")
"""Kinds of event after which there may be something to do, besides those that triggers wait for."""

_logger = logging.getLogger(__name__)


class LoopTurner:
    """A tick for the scheduler that starts a turn of the loop where there may be something to do.

    One turn runs at a time. A look costs two or three small queries.

    Args:
        uri: The workspace, as the turning process opens it.
        stores: The same, as this process has it open.
    """

    def __init__(self, uri: str, stores: Stores) -> None:
        self._uri = uri
        self._stores = stores
        self._seen = 0
        self._last: datetime | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(self, now: datetime) -> None:
        """Start a turn if one is due and none runs."""
        if self._child is not None:
            self._reap(now)
            return
        if self._last is not None and now - self._last < PAUSE:
            return
        if self._is_due(now):
            self._seen = self._stores.journal.last_seq()
            self._child = start_child(__name__, self._uri)

    def close(self) -> None:
        """End a running turn; what it left unfinished is taken up by the next."""
        if self._child is not None:
            stop_child(self._child)
            self._child = None

    def _reap(self, now: datetime) -> None:
        assert self._child is not None
        ended = self._child.poll()
        if ended is None:
            return
        if ended != 0:
            _logger.warning("a turn of the loop ended with %d", ended)
        stop_child(self._child)
        self._child, self._last = None, now

    def _is_due(self, now: datetime) -> bool:
        triggers = self._stores.triggers.triggers()
        if not triggers and not self._stores.deployments.endpoints(limit=1):
            return False
        if self._last is None or now - self._last >= PATROL:
            return True
        kinds = {*ALWAYS, *(trigger.on for trigger in triggers if trigger.on is not None)}
        return bool(self._stores.journal.events(after=self._seen, kinds=sorted(kinds), limit=1))


def main(uri: str) -> None:
    """Turn the loop of a workspace once, up to the present."""
    end_with_parent()
    # where another process turns it, there is nothing left to do for this one
    with open_workspace(uri, actor="loop", create=False) as workspace, contextlib.suppress(Conflict):
        workspace.loop.tick(upto=workspace.clock.now())


if __name__ == "__main__":
    main(*sys.argv[1:])
