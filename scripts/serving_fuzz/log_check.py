"""Hold the prediction log against what was answered: every row that was answered is in it, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from interlock.workspace import Workspace, open_workspace
from scripts.serving_fuzz.fuzzing import Tally
from scripts.serving_fuzz.workspace import ASIDE, COUNTED

_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def logged_ids(workspace: Workspace, endpoint: str) -> set[str]:
    """Return the ids of all rows in the log of an endpoint."""
    found: set[str] = set()
    after: tuple[int, str] | None = None
    while True:
        page = workspace.stores.predictions.window(endpoint, start=_FIRST, end=_LAST, after=after)
        if not page:
            return found
        found.update(one.prediction.id for one in page)
        after = (page[-1].prediction.event_time, page[-1].prediction.id)


def log_faults(folder: Path, tally: Tally) -> Iterator[str]:
    """Yield what is wrong with the log and the store."""
    with open_workspace(folder, create=False) as workspace:
        counted = {name: logged_ids(workspace, name) for name in COUNTED}
        aside = set().union(*(logged_ids(workspace, name) for name in ASIDE))
        for damage in workspace.verify():
            yield f"the store is damaged: {damage}"
    logged = set().union(*counted.values())
    answered = set().union(*tally.ids.values())
    own = set().union(*(tally.ids.get(name, set()) for name in COUNTED))
    tally.logged = len(logged)
    tally.own = len(own & logged)
    if lost := own - logged - aside:
        yield f"{len(lost)} rows were answered and are not in the log: {sorted(lost)[:5]}"
    if extra := logged - answered:
        yield f"{len(extra)} rows are in the log and were not answered: {sorted(extra)[:5]}"
