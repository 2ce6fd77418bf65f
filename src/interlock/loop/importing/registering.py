"""Write the logged and registered models of a foreign source, under the numbers their versions had."""

from __future__ import annotations

import msgspec

from interlock.core.clock import from_micros
from interlock.core.errors import Conflict, Corrupt, InvalidInput, NotFound
from interlock.core.hashing import digest_of
from interlock.core.plain import pack
from interlock.loop.importing.files import keep
from interlock.loop.importing.records import (
    FROM,
    NUMBER,
    RECORDED,
    STATE,
    ForeignLoggedModel,
    ForeignModel,
    ForeignVersion,
)
from interlock.loop.importing.report import ImportReport, ModelCount
from interlock.ports.file_index import FileEntry
from interlock.ports.journal import Edge
from interlock.ports.logged_model_rules import ref_of_logged_model
from interlock.ports.logged_model_store import LoggedModel, LoggedModelChange
from interlock.ports.model_catalog import RegisteredModelChange, VersionChange
from interlock.ports.model_store import ModelVersion, PackageFile
from interlock.ports.run_rules import is_below
from interlock.ports.stores import Stores
from interlock.registry.mlmodel import LARGEST_BYTES, MLMODEL, PackageKind, kind_of_package

LARGEST_GAP = 1000
"""Numbers of versions deleted in the source that are used up here, so that the next ones keep theirs."""
_PAGE = 1000
_DESCRIBED = ("name", "experiment", "run", "kind", "status", "params", "tags")


def write_logged_model(stores: Stores, foreign: ForeignLoggedModel, *, origin: str, report: ImportReport) -> int:
    """Have a logged model here with its files and figures; return 1, or 0 if it cannot be brought."""
    thing = f"logged model {foreign.model.id}"
    try:
        _bring_logged_model(stores, foreign, origin=origin)
    except (Conflict, InvalidInput, NotFound, Corrupt) as error:
        report.note(thing, str(error))
        return 0
    for why in foreign.left_out:
        report.note(thing, why)
    return 1


def _bring_logged_model(stores: Stores, foreign: ForeignLoggedModel, *, origin: str) -> None:
    models, target = stores.logged_models, foreign.model
    files = [[one.path, one.size_bytes, one.stamp] for one in foreign.files]
    described = [getattr(target, name) for name in _DESCRIBED]
    figures = [msgspec.to_builtins(one) for one in target.metrics]
    state = digest_of(pack([described, figures, files, target.deleted_at is not None]))
    try:
        known: LoggedModel | None = models.get(target.id)
    except NotFound:
        known = None
    if known is not None and known.tags.get(STATE) == state:
        return
    tags = {key: value for key, value in target.tags.items() if key not in RECORDED} | {FROM: f"{origin}#{target.id}"}
    if known is None:
        begun = msgspec.structs.replace(target, status="pending", metrics=(), deleted_at=None, tags=tags)
        try:
            models.create(begun)
        except Conflict:  # deleted in the source, brought here before and deleted again
            if target.deleted_at is not None:
                return
            raise
    entries = [keep(stores, file) for file in foreign.files]
    root = f"models/{target.id}"
    time = target.updated_at
    for start in range(0, len(entries), _PAGE):
        part = entries[start : start + _PAGE]
        stores.files.put([FileEntry(f"{root}/{one.path}", one.digest, one.size_bytes, time) for one in part])
    if target.metrics:
        models.log_metrics(target.id, target.metrics)
    status = target.status if known is None or known.status != target.status else None
    models.update(target.id, LoggedModelChange(status=status, params=target.params, tags=tags))
    here = {one.path: one.digest for one in _files_below(stores, root)}
    if any(here.get(f"{root}/{one.path}") != one.digest for one in entries):
        raise Corrupt(f"the files of logged model {target.id} differ from their source", why="import again")
    models.update(target.id, LoggedModelChange(tags={STATE: state}))
    if target.deleted_at is not None:
        models.update(target.id, LoggedModelChange(deleted=True))


def write_model(stores: Stores, foreign: ForeignModel, *, origin: str, report: ImportReport) -> ModelCount:
    """Have a registered model here with its versions, aliases, stages and tags."""
    count = ModelCount(foreign.name)
    thing = f"model {foreign.name}"
    state = _state(foreign)
    try:
        tags = {key: value for key, value in foreign.tags.items() if key not in RECORDED}
        tags[FROM] = f"{origin}#{foreign.name}"
        try:
            known = stores.catalog.get(foreign.name)
            if known.tags.get(STATE) == state:
                count.versions, count.aliases = len(foreign.versions), len(foreign.aliases)
                return count
            stores.catalog.update(foreign.name, RegisteredModelChange(description=foreign.description, tags=tags))
        except NotFound:
            stores.catalog.create(foreign.name, description=foreign.description, tags=tags)
        numbers = {}
        for version in foreign.versions:
            numbers[version.number] = _bring_version(stores, foreign, version, origin=origin, count=count)
            made = stores.models.get(foreign.name, version=numbers[version.number])
            if not made.files and (version.of_logged_model or version.of_run):
                report.note(
                    f"{thing} version {version.number}", "the run or logged model it was made of has no files here"
                )
            for why in version.left_out:
                report.note(f"{thing} version {version.number}", why)
        for alias, number in foreign.aliases.items():
            if number not in numbers:
                report.note(f"{thing} alias '{alias}'", f"there is no version {number} in the source")
            elif stores.models.aliases(foreign.name).get(alias) != numbers[number]:
                stores.models.set_alias(foreign.name, alias, version=numbers[number], reason="imported")
            count.aliases += number in numbers
        stores.catalog.update(foreign.name, RegisteredModelChange(tags={STATE: state}))
    except (Conflict, InvalidInput, NotFound, Corrupt) as error:
        report.note(thing, str(error))
    return count


def _state(foreign: ForeignModel) -> str:
    versions = [
        [one.number, msgspec.to_builtins(one.notes), one.run, [[f.path, f.size_bytes, f.stamp] for f in one.files]]
        for one in foreign.versions
    ]
    return digest_of(pack([foreign.name, foreign.description, foreign.tags, foreign.aliases, versions]))


def _bring_version(
    stores: Stores, foreign: ForeignModel, version: ForeignVersion, *, origin: str, count: ModelCount
) -> int:
    """Have a version here; return its number."""
    mark = f"{origin}#{foreign.name}@{version.number}"
    count.versions += 1
    here = _known_versions(stores, foreign.name).get(mark)
    gap = version.number - (here or 0)
    if here is not None and 0 < gap <= LARGEST_GAP and here not in {one.number for one in foreign.versions}:
        # an import was broken off right after it had used up the number of a version that was deleted in the source
        stores.catalog.delete_version(foreign.name, here)
        here = None
    if here is None:
        here = _add_version(stores, foreign, version, mark=mark, count=count)
    notes = stores.catalog.notes(foreign.name, here)
    change = msgspec.structs.replace(version.notes, tags=_tags(version, mark))
    stores.catalog.annotate(foreign.name, here, change)
    count.renumbered += here != version.number
    if notes.model != foreign.name:
        raise Corrupt(f"version {here} of model '{foreign.name}' is not what was written")
    return here


def _add_version(
    stores: Stores, foreign: ForeignModel, version: ForeignVersion, *, mark: str, count: ModelCount
) -> int:
    """Add a version under its number where that is free; numbers of versions deleted in the source are used up."""
    files = _package_files(stores, version)
    draft = ModelVersion(
        model=foreign.name,
        version=0,
        created_at=from_micros(version.created_micros),
        files=files,
        signature=(kind := _kind(stores, files)).signature,
        flavor=kind.flavor,
        engine=kind.engine,
        run=version.run,
        metrics=_figures(stores, version),
        tags=_tags(version, mark),
    )
    edges = [Edge(ref_of_logged_model(version.of_logged_model), "", "derived_from")] if version.of_logged_model else []
    notes = VersionChange(
        description=version.notes.description,
        source=version.notes.source,
        run_link=version.notes.run_link,
        logged_model=version.notes.logged_model,
    )
    taken = {one.number for one in foreign.versions}
    while True:
        made = stores.models.add_version(draft, edges=edges, notes=notes)
        stored = stores.models.get(foreign.name, version=made.version)
        if stored.files != files:
            raise Corrupt(f"{made.ref} differs from its source", why="its files are others", fix="import again")
        is_gap = made.version < version.number <= made.version + LARGEST_GAP and made.version not in taken
        if not is_gap:
            count.written += 1
            count.files += len(files)
            count.bytes += sum(one.size_bytes for one in files)
            return made.version
        stores.catalog.delete_version(foreign.name, made.version)


def _package_files(stores: Stores, version: ForeignVersion) -> tuple[PackageFile, ...]:
    """Return the files of a version: those of its logged model or run, which are here by now, or its own."""
    if version.of_logged_model is not None:
        root = f"models/{version.of_logged_model}"
        found = [(one.path.removeprefix(root + "/"), one) for one in _files_below(stores, root)]
        return tuple(PackageFile(path, one.digest, one.size_bytes) for path, one in found)
    if version.of_run is not None:
        run_id, prefix = version.of_run
        entries = [one for one in stores.runs.artifacts(run_id) if not prefix or is_below(one.path, prefix)]
        return tuple(PackageFile(one.path[len(prefix) :].lstrip("/"), one.digest, one.size_bytes) for one in entries)
    kept = [keep(stores, file) for file in version.files]
    return tuple(PackageFile(one.path, one.digest, one.size_bytes) for one in kept)


def _files_below(stores: Stores, root: str) -> list[FileEntry]:
    found: list[FileEntry] = []
    while page := stores.files.files(root, after=found[-1].path if found else "", limit=_PAGE):
        found += page
    return found


def _kind(stores: Stores, files: tuple[PackageFile, ...]) -> PackageKind:
    described = next((file for file in files if file.path == MLMODEL and file.size_bytes <= LARGEST_BYTES), None)
    if described is None:
        return PackageKind()
    return kind_of_package(stores.artifacts.get(described.digest), {file.path for file in files})


def _figures(stores: Stores, version: ForeignVersion) -> dict[str, float]:
    """Return what the logged model scored, or else the run, as far as that is known."""
    try:
        if version.of_logged_model:
            found = {one.key: one.value for one in stores.logged_models.get(version.of_logged_model).metrics}
            if found:
                return found
        if version.run is not None:
            return {key: summary.last for key, summary in stores.runs.get(version.run).metrics.items()}
    except NotFound:
        return {}
    return {}


def _known_versions(stores: Stores, model: str) -> dict[str, int]:
    """Return the numbers of the versions that are here, by what they were brought from."""
    found: dict[str, int] = {}
    before: int | None = None
    while page := stores.models.versions(model, before=before, limit=_PAGE):
        found |= {one.tags[FROM]: one.version for one in page if FROM in one.tags}
        before = page[-1].version
    return found


def _tags(version: ForeignVersion, mark: str) -> dict[str, str]:
    tags = {key: value for key, value in version.notes.tags.items() if key not in RECORDED}
    return {**tags, FROM: mark, NUMBER: str(version.number)}
