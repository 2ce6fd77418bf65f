"""What every run store makes of a change to a run, and says of one that takes no more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from interlock.core.errors import Conflict, NotFound, did_you_mean
from interlock.core.refs import check_title
from interlock.ports.checks import check_key, check_path, check_text
from interlock.ports.experiment_store import Experiment
from interlock.ports.run_store import Run, RunChange, RunStatus

_OPEN = ("running", "scheduled")


class Told(msgspec.Struct, frozen=True):
    """An event that tells of a change; its kind is `run.<what>`."""

    what: str
    payload: dict[str, Any]


def check_run_change(change: RunChange) -> None:
    """Refuse a change that no run can take."""
    if change.name is not None:
        check_text(change.name, of="name of a run")
    if change.experiment is not None:
        check_title(change.experiment, of="experiment")
    for key in change.remove_tags:
        check_key(key, of="key of a tag")
    for path in change.remove_artifacts:
        check_path(path, of="path of an artifact")


def check_in_use(thing: Run | Experiment) -> None:
    """Refuse to write to what was deleted."""
    if thing.deleted_at is not None:
        name = f"run:{thing.id}" if isinstance(thing, Run) else f"experiment '{thing.name}'"
        raise Conflict(f"{name} is deleted", why="it takes nothing more", fix="restore it first")


def ended(before: Run, *, status: RunStatus, ended_at: datetime, error: str | None) -> tuple[Run, Told | None]:
    """Return a run as its end, or its being opened again, leaves it, and the event that tells it if it changed."""
    reopened = status in _OPEN
    after = msgspec.structs.replace(
        before, status=status, ended_at=None if reopened else ended_at, error=None if reopened else error
    )
    if after == before:
        return before, None
    payload = {"experiment": after.experiment, "kind": after.kind, "name": after.name}
    if after.error is not None:
        payload["error"] = after.error
    return after, Told("started" if reopened else status, payload)


def changed(before: Run, change: RunChange, *, now: datetime) -> tuple[Run, list[Told]]:
    """Return a run as a change leaves it, and the events that tell it.

    Raises:
        Conflict: It is deleted, and is not to be restored.
        NotFound: A tag that is to be removed is not there.
    """
    if msgspec.structs.replace(change, deleted=None) != RunChange() and change.deleted is not False:
        check_in_use(before)
    absent = [key for key in change.remove_tags if key not in before.tags]
    if absent:
        raise NotFound(f"run:{before.id} has no tag '{absent[0]}'", why=did_you_mean(absent[0], before.tags))
    deleted_at = before.deleted_at
    if change.deleted is not None:
        deleted_at = (before.deleted_at or now) if change.deleted else None
    after = msgspec.structs.replace(
        before,
        name=before.name if change.name is None else change.name,
        experiment=before.experiment if change.experiment is None else change.experiment,
        tags={key: value for key, value in before.tags.items() if key not in change.remove_tags},
        deleted_at=deleted_at,
    )
    events = []
    if after.experiment != before.experiment:
        events.append(Told("moved", {"experiment": after.experiment, "previous": before.experiment}))
    if deleted_at != before.deleted_at:
        what = "restored" if deleted_at is None else "deleted"
        events.append(Told(what, {"experiment": after.experiment}))
    return after, events


def is_below(path: str, prefix: str) -> bool:
    """Say whether a path is the prefix, or lies in the folder of that name."""
    return path == prefix or path.startswith(prefix + "/")


def param_conflict(run_id: str, key: str, known: Any, given: Any) -> Conflict:
    """Build the error for a param that has another value."""
    return Conflict(
        f"param '{key}' of run:{run_id} is set",
        why=f"it is {known!r}, and was to become {given!r}",
        fix="start a new run for other params",
    )


def still_active(run: Run) -> Conflict:
    """Build the error for a run that is to be forgotten and is in use."""
    return Conflict(
        f"run:{run.id} is active", why="only what was deleted can be forgotten for good", fix="delete it first"
    )
