"""Answer what the home page shows, and what happened lately."""

from __future__ import annotations

from interlock.server.view_routes import NoQuery, Source, View
from interlock.server.views import LoopView

RECENT = 50


def get_loop(source: Source, query: NoQuery) -> LoopView:
    """Return the stations of the loop and the newest events."""
    journal = source.stores.journal
    # the log's end is read first: an event that arrives meanwhile is sent again rather than missed
    last_seq = journal.last_seq()
    return LoopView(
        workspace=source.uri,
        stations=tuple(source.stations()),
        recent=tuple(journal.events(newest_first=True, limit=RECENT)),
        last_seq=last_seq,
    )


VIEWS = (View(path="/loop", read=get_loop),)
