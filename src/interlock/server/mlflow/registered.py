"""Look up registered models and versions, and show them as MLflow does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from interlock.core.errors import NotFound
from interlock.ports.model_catalog import RegisteredModel, VersionNotes
from interlock.ports.model_rules import STAGES
from interlock.server.mlflow.key_rules import check_key
from interlock.server.mlflow.refusals import invalid_value
from interlock.server.mlflow.run_records import KeyValue, key_values, to_millis
from interlock.server.mlflow.wire import Ground, invalid, missing, required

IS_PROMPT = "mlflow.prompt.is_prompt"
"""The tag that makes a registered model a prompt."""
LATEST = "latest"
"""What stands for the highest version; no alias may be called so."""
LONGEST_ALIAS = 255
LONGEST_TAG = 100_000

_ALIAS = re.compile(r"[\w\-]*")
_STAGES = {stage.lower(): stage for stage in STAGES}


class AliasRecord(msgspec.Struct, frozen=True):
    """Where an alias points."""

    alias: str
    version: str


class VersionRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version of a registered model."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    current_stage: str
    status: str
    description: str
    source: str = ""
    run_id: str = ""
    run_link: str = ""
    model_id: str = ""
    tags: list[KeyValue] = []
    aliases: list[str] = []


class ModelRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A registered model."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str
    latest_versions: list[VersionRecord] = []
    tags: list[KeyValue] = []
    aliases: list[AliasRecord] = []


class VersionAddress(msgspec.Struct, frozen=True):
    """Which version of a model is meant: by number, by stage (or `latest`), or by alias."""

    model: str
    number: int | None = None
    stage: str = ""
    alias: str = ""


def model_record(model: RegisteredModel, newest: Sequence[VersionNotes]) -> ModelRecord:
    """Return a registered model as MLflow shows it, with the newest version of each stage."""
    return ModelRecord(
        name=model.name,
        creation_timestamp=to_millis(model.created_at),
        last_updated_timestamp=to_millis(model.updated_at),
        description=model.description,
        latest_versions=[version_record(one) for one in newest],
        tags=key_values(model.tags),
        aliases=[AliasRecord(alias, str(version)) for alias, version in model.aliases.items()],
    )


def shown_models(ground: Ground, models: Sequence[RegisteredModel]) -> list[ModelRecord]:
    """Return registered models as MLflow shows them."""
    newest: dict[str, list[VersionNotes]] = {}
    for one in ground.stores.catalog.newest_by_stage([model.name for model in models]):
        newest.setdefault(one.model, []).append(one)
    return [model_record(model, newest.get(model.name, ())) for model in models]


def version_record(notes: VersionNotes) -> VersionRecord:
    """Return a version as MLflow shows it; its files were complete when it was registered."""
    return VersionRecord(
        name=notes.model,
        version=str(notes.version),
        creation_timestamp=to_millis(notes.created_at),
        last_updated_timestamp=to_millis(notes.updated_at),
        current_stage=notes.stage,
        status="READY",
        description=notes.description,
        source=notes.source,
        run_id=notes.run or "",
        run_link=notes.run_link,
        model_id=notes.logged_model,
        tags=key_values(notes.tags),
        aliases=list(notes.aliases),
    )


def known_model(ground: Ground, name: str) -> RegisteredModel:
    """Return a registered model."""
    try:
        return ground.stores.catalog.get(checked_name(name))
    except NotFound:
        raise missing(f"Registered Model with name={name} not found") from None


def known_version(ground: Ground, address: VersionAddress) -> VersionNotes:
    """Return what is said of a version."""
    known_model(ground, address.model)
    found = find_version(ground, address)
    if found is not None:
        return found
    if address.alias and address.alias.lower() != LATEST:
        raise invalid(f"Registered model alias {address.alias} not found.")
    if address.number is None:
        raise missing(f"Latest version not found for model {address.model}.")
    raise missing(f"Model Version (name={address.model}, version={address.number}) not found")


def find_version(ground: Ground, address: VersionAddress) -> VersionNotes | None:
    """Return what is said of a version, or None where the model or the version is not there."""
    catalog = ground.stores.catalog
    try:
        number = address.number
        if address.alias and address.alias.lower() != LATEST:
            number = catalog.get(address.model).aliases.get(address.alias)
            if number is None:
                return None
        if number is not None:
            return catalog.notes(address.model, number)
    except NotFound:
        return None
    stage = address.stage or address.alias
    stages = set(STAGES) if stage.lower() in ("", LATEST) else {canonical_stage(stage)}
    newest = [one for one in catalog.newest_by_stage([address.model]) if one.stage in stages]
    return max(newest, key=lambda one: one.version, default=None)


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Say whether tags make a registered model a prompt."""
    return tags.get(IS_PROMPT, "").lower() == "true"


def canonical_stage(stage: str) -> str:
    """Return the stage that a text means in any spelling."""
    found = _STAGES.get(stage.lower())
    if found is None:
        raise invalid(f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}.")
    return found


def checked_name(name: str, *, path: str = "name") -> str:
    """Return the name of a registered model, if it may be one."""
    if not name.strip():
        raise required(path)
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    if name in (".", ".."):
        raise invalid(invalid_value(path, name, "Names may become paths of files, and as a path this one leads away."))
    return name


def checked_number(version: str | int) -> int:
    """Return the number of a version."""
    text = str(version)
    if text == "":
        raise required("version")
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise invalid(f"Parameter 'version' must be an integer, got '{text[:300]}'.")
    return int(text)


def checked_alias(alias: str, *, is_new: bool = False) -> str:
    """Return an alias, if it may be one."""
    if not alias:
        raise invalid("Registered model alias name cannot be empty.")
    if not _ALIAS.fullmatch(alias):
        raise invalid(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    if len(alias) > LONGEST_ALIAS:
        raise invalid(f"'Registered model alias name' exceeds the maximum length of {LONGEST_ALIAS} characters")
    if is_new and alias.lower() == LATEST:
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if is_new and re.fullmatch(r"[vV]\d+", alias):
        raise invalid(f"Version alias name '{alias}' is reserved.")
    return alias


def checked_tags(tags: Sequence[KeyValue]) -> dict[str, str]:
    """Return the tags of a model or a version by key; of equal keys the last counts."""
    for tag in tags:
        check_key(tag.key, path="key", of="key")
        if len(tag.value) > LONGEST_TAG:
            raise invalid(f"'value' exceeds the maximum length of {LONGEST_TAG} characters")
    return {tag.key: tag.value for tag in tags}
