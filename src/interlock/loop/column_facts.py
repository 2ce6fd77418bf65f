"""Say what the data that a model is trained on shows of its columns: their range, their values, their gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from interlock.core.errors import NotFound
from interlock.core.refs import Ref
from interlock.experiments.open_runs import current_run
from interlock.loop.ground import Ground

if TYPE_CHECKING:
    from interlock.data.profiles import ColumnProfile

MOST_VALUES = 50
"""A column of text with more different values is no category."""


def training_inputs(ground: Ground, run: str | None, given: Sequence[str]) -> list[str]:
    """Return the Refs of what a model was trained on: those given, else those that its run names."""
    if given or run is None:
        return list(given)
    edges = ground.stores.journal.walk(f"run:{run}", direction="back", depth=1)
    return sorted({edge.source for edge in edges if edge.source.startswith("dataset:")})


def current_run_id() -> str | None:
    """Return the id of the run that this code belongs to, if there is one."""
    run = current_run()
    return run.id if run is not None else None


def column_facts(ground: Ground, inputs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what the snapshots among some Refs show of their columns, by column; the first to name one counts."""
    found: dict[str, dict[str, Any]] = {}
    for ref in inputs:
        if Ref.parse(ref).kind != "dataset":
            continue
        try:
            profile = ground.data.profile(ref)
        except NotFound:
            continue
        for column in profile.columns if profile is not None else ():
            found.setdefault(column.name, _facts(column))
    return found


def _facts(column: ColumnProfile) -> dict[str, Any]:
    rows = column.count + column.nulls
    facts: dict[str, Any] = {"missing": column.nulls / rows if rows else 0.0}
    if column.min is not None and column.type != "string":
        facts |= {"min": column.min, "max": column.max}
    if column.top and not column.other and len(column.top) <= MOST_VALUES:
        facts["values"] = sorted(column.top)
    return facts
