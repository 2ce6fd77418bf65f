"""What every experiment store says of names in use, and what a change comes to."""

from __future__ import annotations

from datetime import datetime

import msgspec

from interlock.core.errors import Conflict, NotFound, did_you_mean
from interlock.core.refs import check_title
from interlock.ports.checks import check_tags
from interlock.ports.experiment_store import Experiment, ExperimentChange

DEFAULT = "Default"
"""The experiment of those who name none; its id is 0."""


def changed(before: Experiment, change: ExperimentChange, *, now: datetime) -> tuple[Experiment, str | None]:
    """Return an experiment as a change leaves it, and what happened to it, None where nothing changes.

    Raises:
        Conflict: It is deleted, and is to be changed without being restored.
        NotFound: A tag that is to be removed is not there.
        InvalidInput: A name or tag cannot be kept.
    """
    if change.name is not None:
        check_title(change.name, of="experiment")
    check_tags(change.tags)
    rest = msgspec.structs.replace(change, deleted=None) != ExperimentChange()
    if before.deleted_at is not None and (change.deleted is None or change.deleted) and rest:
        raise Conflict(f"experiment '{before.name}' is deleted", why="it takes no changes", fix="restore it first")
    absent = [key for key in change.remove_tags if key not in before.tags]
    if absent:
        why = did_you_mean(absent[0], before.tags)
        raise NotFound(f"experiment '{before.name}' has no tag '{absent[0]}'", why=why)
    kept = {key: value for key, value in before.tags.items() if key not in change.remove_tags}
    deleted_at = before.deleted_at
    if change.deleted is not None:
        deleted_at = (before.deleted_at or now) if change.deleted else None
    after = msgspec.structs.replace(
        before,
        name=before.name if change.name is None else change.name,
        tags={**kept, **change.tags},
        deleted_at=deleted_at,
    )
    if after == before:
        return before, None
    what = "updated" if deleted_at == before.deleted_at else "restored" if deleted_at is None else "deleted"
    return msgspec.structs.replace(after, updated_at=now), what


def name_taken(known: Experiment) -> Conflict:
    """Build the error for a name that is in use."""
    state = "it was deleted, and may be restored" if known.deleted_at is not None else "a name is used once"
    return Conflict(f"experiment '{known.name}' exists", why=state, fix="choose another name, or use that one")


def still_active(known: Experiment) -> Conflict:
    """Build the error for what is to be forgotten and is in use."""
    return Conflict(f"experiment '{known.name}' is active", why="only what was deleted can be forgotten for good")
