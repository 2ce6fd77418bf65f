"""What every model catalog says of names, stages and routed models, and what a change comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from interlock.core.errors import Conflict, InvalidInput, NotFound, did_you_mean
from interlock.core.refs import Ref, ref_of
from interlock.ports.checks import check_tags, check_text
from interlock.ports.deployment_store import Endpoint
from interlock.ports.model_catalog import RegisteredModel, RegisteredModelChange, VersionChange, VersionNotes
from interlock.ports.model_store import AliasMove, ModelVersion, Verdict

STAGES = ("None", "Staging", "Production", "Archived")
"""The stages of a version."""

ARCHIVE = VersionChange(stage="Archived")
"""What becomes of the versions that another takes the place of in its stage."""


def check_version_change(change: VersionChange) -> None:
    """Refuse a change of a version's notes of which a part cannot be kept."""
    check_tags(change.tags)
    for name in ("description", "source", "run_link", "logged_model"):
        check_text(getattr(change, name) or "", of=f"{name} of a version")
    if change.stage is not None and change.stage not in STAGES:
        raise InvalidInput(f"'{change.stage}' is not a stage", why=f"expected one of {', '.join(STAGES)}")
    if change.archive_others and change.stage in (None, STAGES[0], ARCHIVE.stage):
        raise InvalidInput(
            "other versions can be archived only by one that takes their place",
            why=f"the stage is {change.stage}",
            fix="VersionChange(stage='Production', archive_others=True)",
        )


def check_model_change(change: RegisteredModelChange) -> None:
    """Refuse a change of a registered model of which a part cannot be kept."""
    check_tags(change.tags)
    check_text(change.description or "", of="description of a model")


def first_notes(version: ModelVersion, said: VersionChange) -> VersionNotes:
    """Return what is said of a version as it is registered."""
    return VersionNotes(
        model=version.model,
        version=version.version,
        created_at=version.created_at,
        updated_at=version.created_at,
        description=said.description or "",
        stage=said.stage or STAGES[0],
        tags={**version.tags, **said.tags},
        source=said.source or "",
        run=version.run,
        run_link=said.run_link or "",
        logged_model=said.logged_model or "",
    )


def changed_model(
    before: RegisteredModel, change: RegisteredModelChange, *, now: datetime
) -> tuple[RegisteredModel, dict[str, Any]]:
    """Return a model as a change leaves it, and what changed, in the words of its event; nothing where nothing does."""
    tags, told = changed_tags(before.tags, change.tags, change.remove_tags, of=f"model '{before.name}'")
    if change.description not in (None, before.description):
        told["description"] = change.description
    if not told:
        return before, told
    description = before.description if change.description is None else change.description
    return msgspec.structs.replace(before, tags=tags, description=description, updated_at=now), told


def changed_version(
    before: VersionNotes, change: VersionChange, *, now: datetime
) -> tuple[VersionNotes, dict[str, Any]]:
    """Return the notes on a version as a change leaves them, and what changed, in the words of its event."""
    ref = f"{ref_of('model', before.model)}@{before.version}"
    tags, told = changed_tags(before.tags, change.tags, change.remove_tags, of=ref)
    fields = {
        name: value
        for name in ("description", "stage", "source", "run_link", "logged_model")
        if (value := getattr(change, name)) not in (None, getattr(before, name))
    }
    if "stage" in fields:
        told["previous_stage"] = before.stage
    told |= fields
    if not told:
        return before, told
    return msgspec.structs.replace(before, tags=tags, updated_at=now, **fields), told


def refuse_routed(
    endpoints: Iterable[Endpoint], model: str, *, version: int | None = None, verb: str = "deleted"
) -> None:
    """Refuse to delete or rename what an endpoint routes to.

    Raises:
        Conflict: An endpoint routes to the version, or to any version of the model.
    """
    for endpoint in endpoints:
        for deployment in endpoint.deployments:
            ref = Ref.parse(deployment.model, kind="model")
            if ref.name == model and version in (None, ref.number):
                raise Conflict(
                    f"model '{model}' cannot be {verb}",
                    why=f"endpoint '{endpoint.name}' routes to {deployment.model}",
                    fix=f"interlock endpoint route {endpoint.name} with another version first",
                )


def alias_gone(model: str, alias: str, version: int, *, now: datetime) -> AliasMove:
    """Return how the alias of a version moves when the version is deleted."""
    return AliasMove(model, alias, None, version, now, reason=f"version {version} was deleted")


def told_of_move(move: AliasMove) -> dict[str, Any]:
    """Return what the event of a move says."""
    return {
        "alias": move.alias,
        "version": move.version,
        "previous": move.previous,
        "reason": move.reason,
        "verdict": move.verdict,
    }


def renamed_verdict(verdict: Verdict, name: str, new_name: str) -> Verdict:
    """Return a verdict as it reads after a model was renamed."""
    if verdict.model != name:
        return verdict
    ref, new_ref = ref_of("model", name), ref_of("model", new_name)
    champion = verdict.champion
    if champion is not None and (champion == ref or champion.startswith(ref + "@")):
        champion = new_ref + champion[len(ref) :]
    number = Ref.parse(verdict.candidate, kind="model").version
    return msgspec.structs.replace(verdict, model=new_name, candidate=f"{new_ref}@{number}", champion=champion)


def model_taken(name: str) -> Conflict:
    """Build the error for the name of a registered model that is in use."""
    return Conflict(f"model '{name}' exists", why="a name is used once", fix="choose another name, or use that model")


def changed_tags(
    before: Mapping[str, str], added: Mapping[str, str], removed: Iterable[str], *, of: str
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return tags as a change leaves them, and the keys that changed."""
    gone = sorted(set(removed))
    absent = [key for key in gone if key not in before]
    if absent:
        raise NotFound(f"{of} has no tag '{absent[0]}'", why=did_you_mean(absent[0], before))
    after = {**{key: value for key, value in before.items() if key not in gone}, **added}
    told: dict[str, Any] = {}
    if new := sorted(key for key, value in after.items() if before.get(key) != value):
        told["tags"] = new
    if lost := [key for key in gone if key not in after]:
        told["removed_tags"] = lost
    return after, told
