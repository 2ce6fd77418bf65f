"""Read the log of everything that happened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from cyclopts import App

from interlock.cli.noun import Here
from interlock.cli.output import Answer, Stream, cell, listing
from interlock.ports.journal import Event
from interlock.workspace import Workspace, open_workspace

app = App(name="event", help="Read the log of everything that happened.")

POLL_S = 0.5
COLUMNS = {
    "seq": lambda event: event.seq,
    "time": lambda event: event.time,
    "kind": lambda event: event.kind,
    "subject": lambda event: event.subject,
    "actor": lambda event: event.actor,
    "payload": lambda event: event.payload,
}


@app.command(name="list")
def list_(
    *, kind: list[str] | None = None, subject: str | None = None, after: int = 0, limit: int = 50, session: Here
) -> Answer:
    """List events, newest first.

    Args:
        kind: Only these kinds; one that ends in a dot means all that begin so (`run.`).
        subject: Only those about this Ref.
        after: Only those later than this `seq`.
        limit: At most so many.
    """
    with open_workspace(session.uri, create=False) as workspace:
        events = workspace.stores.journal.events(
            kinds=kind or (), subject=subject, after=after, limit=limit, newest_first=True
        )
    return listing(events, COLUMNS, empty="no such events")


@app.command
def tail(*, kind: list[str] | None = None, lines: int = 10, follow: bool = True, session: Here) -> Stream:
    """Print the last events, then each new one as it happens, until interrupted.

    Args:
        kind: Only these kinds; one that ends in a dot means all that begin so (`run.`).
        lines: How many past events to begin with.
        follow: Whether to wait for more.
    """
    workspace = open_workspace(session.uri, create=False)
    return Stream(_tail(workspace, tuple(kind or ()), lines=lines, follow=follow))


def _tail(workspace: Workspace, kinds: tuple[str, ...], *, lines: int, follow: bool) -> Iterator[tuple[Any, str]]:
    with workspace:
        journal = workspace.stores.journal
        past = journal.events(kinds=kinds, limit=lines, newest_first=True) if lines > 0 else []
        seen = past[0].seq if past else journal.last_seq()
        yield from map(_line, reversed(past))
        while follow:
            fresh = journal.events(after=seen, kinds=kinds, limit=1000)
            for event in fresh:
                seen = event.seq
                yield _line(event)
            if not fresh:
                time.sleep(POLL_S)


def _line(event: Event) -> tuple[Any, str]:
    text = f"{cell(event.time)}  {event.kind:<22} {event.subject}  {cell(event.payload)}"
    return event, text.rstrip()
