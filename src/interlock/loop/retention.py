"""Free what nobody needs: runs and experiments deleted long ago, their files, unfinished uploads, loose contents."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from interlock.core.errors import InvalidInput
from interlock.core.refs import Ref
from interlock.loop.ground import Ground
from interlock.loop.references import PAGE, all_runs, of_run, references
from interlock.ports.artifact_store import Blob
from interlock.ports.experiment_store import Experiment
from interlock.ports.file_index import FileEntry
from interlock.ports.run_store import Run, RunChange
from interlock.ports.stores import Stores

PIN = "interlock.pin"
"""A run with this tag is never deleted or forgotten by a policy."""

UPLOADS = "uploads"
MODELS = "models"
_CANDIDATES = "gc"
_SAMPLE = 5


class Policy(msgspec.Struct, frozen=True):
    """What may go; None means never.

    Runs with the tag `interlock.pin`, and runs that made a registered model version, always stay.

    Args:
        deleted_days: Forget runs and experiments that were deleted longer ago; an experiment goes with its traces and
            logged models, and only once none of its runs stays.
        failed_days: Delete runs that failed or were killed longer ago; they are forgotten `deleted_days` later.
        keep_newest: Of each experiment delete all finished runs but so many of the newest.
        uploads_days: Forget the parts of uploads begun longer ago and never finished.
        grace_h: Free contents only if an earlier collection, so long ago, found them without reference too: a content
            is stored before what refers to it.
    """

    deleted_days: float | None = 30.0
    failed_days: float | None = None
    keep_newest: int | None = None
    uploads_days: float | None = 1.0
    grace_h: float = 1.0


class Cause(msgspec.Struct, frozen=True):
    """What goes for one reason.

    Args:
        cause: The reason.
        things: How many go.
        size_bytes: What that frees; 0 for what only makes something else free.
        sample: Some of their names.
    """

    cause: str
    things: int
    size_bytes: int
    sample: tuple[str, ...] = ()


class Collection(msgspec.Struct, frozen=True):
    """What a collection did, or would do.

    Args:
        causes: What went, by reason.
        freed_bytes: What that freed altogether.
        waiting: Contents that go once the grace is over.
        waiting_bytes: Their size.
        dry_run: Whether nothing was changed.
    """

    causes: tuple[Cause, ...]
    freed_bytes: int
    waiting: int
    waiting_bytes: int
    dry_run: bool


def collect(ground: Ground, policy: Policy = Policy(), *, dry_run: bool = True) -> Collection:  # noqa: B008 (frozen)
    """Free what a policy lets go; with `dry_run` only say what that would be.

    Raises:
        InvalidInput: The policy has a negative number.
    """
    _check(policy)
    stores, now = ground.stores, ground.clock.now()
    pinned = {version_run for version_run in _runs_of_versions(stores) if version_run}
    to_delete = _to_delete(stores, policy, now, pinned)
    to_forget = [
        run
        for run in all_runs(stores, lifecycle="deleted")
        if policy.deleted_days is not None and _older(run.deleted_at, policy.deleted_days, now) and _free(run, pinned)
    ]
    uploads = [
        entry
        for entry in _files(stores, UPLOADS)
        if policy.uploads_days is not None and _older(entry.time, policy.uploads_days, now)
    ]
    forgotten = {run.id for run in to_forget}
    experiments = _experiments_to_forget(stores, policy, now, forgotten)
    models = [entry for one in experiments for entry in _files_of_models(stores, one)]
    gone_paths = {entry.path for entry in (*uploads, *models)}
    kept = {
        digest
        for owner, digest in references(stores, without_runs=forgotten)
        if owner not in gone_paths and not owner.startswith(f"{_CANDIDATES}/")
    }
    of_forgotten = {one.digest for run_id in forgotten for one in of_run(stores, run_id)}
    of_forgotten |= {entry.digest for entry in models}
    of_uploads = {entry.digest for entry in uploads}
    loose = [blob for blob in _blobs(stores) if blob.digest not in kept]
    ripe, waiting = _ripe(stores, loose, policy, now)
    causes = [
        _runs_cause("runs that failed, or are beyond the newest to keep: deleted", to_delete),
        _runs_cause("runs deleted long ago: forgotten", to_forget),
        Cause(
            "experiments deleted long ago: forgotten, with their traces",
            len(experiments),
            0,
            tuple(str(Ref("experiment", one.name)) for one in experiments[:_SAMPLE]),
        ),
        _blobs_cause("files of forgotten runs and models", [one for one in ripe if one.digest in of_forgotten]),
        _blobs_cause("unfinished uploads", [one for one in ripe if one.digest in of_uploads - of_forgotten]),
        _blobs_cause(
            "contents that nothing refers to",
            [one for one in ripe if one.digest not in of_forgotten and one.digest not in of_uploads],
        ),
    ]
    if not dry_run:
        _forget(stores, to_delete, to_forget, experiments, [*uploads, *models])
        _free_contents(stores, ripe, waiting, now)
    return Collection(
        causes=tuple(cause for cause in causes if cause.things),
        freed_bytes=sum(blob.size_bytes for blob in ripe),
        waiting=len(waiting),
        waiting_bytes=sum(blob.size_bytes for blob in waiting),
        dry_run=dry_run,
    )


def _forget(
    stores: Stores,
    to_delete: list[Run],
    to_forget: list[Run],
    experiments: list[Experiment],
    files: list[FileEntry],
) -> None:
    for run in to_delete:
        stores.runs.update(run.id, RunChange(deleted=True))
    for run in to_forget:
        stores.runs.delete(run.id)
    for entry in files:
        stores.files.delete(entry.path)
    for experiment in experiments:
        # the traces first: broken off in between, the experiment is still there for the next collection
        stores.traces.delete(experiment.id)
        stores.experiments.delete(experiment.id)


def _free_contents(stores: Stores, ripe: list[Blob], waiting: list[Blob], now: datetime) -> None:
    for blob in ripe:
        stores.artifacts.delete(blob.digest)
    since = {entry.digest: entry.time for entry in _files(stores, _CANDIDATES)}
    stores.files.delete(_CANDIDATES)
    stores.files.put(
        [FileEntry(_candidate(one), one.digest, one.size_bytes, since.get(one.digest, now)) for one in waiting]
    )


def _experiments_to_forget(stores: Stores, policy: Policy, now: datetime, forgotten: set[str]) -> list[Experiment]:
    """Return the experiments deleted long ago of whose runs none stays."""
    if policy.deleted_days is None:
        return []
    found: list[Experiment] = []
    after: str | None = None
    while True:
        page = stores.experiments.search(lifecycle="deleted", limit=PAGE, after=after)
        found += [one for one in page.experiments if _older(one.deleted_at, policy.deleted_days, now)]
        after = page.after
        if after is None:
            break
    if not found:
        return []
    staying = {run.experiment for run in all_runs(stores, lifecycle="all") if run.id not in forgotten}
    return [one for one in found if one.name not in staying]


def _files_of_models(stores: Stores, experiment: Experiment) -> Iterator[FileEntry]:
    """Yield the files of the logged models of an experiment."""
    after: str | None = None
    while True:
        page = stores.logged_models.search(experiments=(experiment.name,), lifecycle="all", limit=PAGE, after=after)
        for model in page.models:
            yield from _files(stores, f"{MODELS}/{model.id}")
        after = page.after
        if after is None:
            return


def _ripe(stores: Stores, loose: list[Blob], policy: Policy, now: datetime) -> tuple[list[Blob], list[Blob]]:
    """Part contents that may go now from those that have to wait."""
    if policy.grace_h == 0:
        return loose, []
    seen = {entry.digest: entry.time for entry in _files(stores, _CANDIDATES)}
    ripe = [blob for blob in loose if blob.digest in seen and _older(seen[blob.digest], policy.grace_h / 24, now)]
    known = {blob.digest for blob in ripe}
    return ripe, [blob for blob in loose if blob.digest not in known]


def _candidate(blob: Blob) -> str:
    return f"{_CANDIDATES}/{blob.digest.replace(':', '-')}"


def _to_delete(stores: Stores, policy: Policy, now: datetime, pinned: set[str]) -> list[Run]:
    if policy.failed_days is None and policy.keep_newest is None:
        return []
    found: list[Run] = []
    kept: dict[str, int] = {}
    for run in all_runs(stores, lifecycle="active"):
        if run.status in ("running", "scheduled") or not _free(run, pinned):
            continue
        failed = run.status in ("failed", "killed")
        if failed and policy.failed_days is not None and _older(run.ended_at, policy.failed_days, now):
            found.append(run)
        elif not failed and policy.keep_newest is not None:
            kept[run.experiment] = kept.get(run.experiment, 0) + 1
            if kept[run.experiment] > policy.keep_newest:
                found.append(run)
    return found


def _free(run: Run, pinned: set[str]) -> bool:
    return PIN not in run.tags and run.id not in pinned


def _runs_of_versions(stores: Stores) -> Iterator[str | None]:
    after = ""
    while latest := stores.models.models(after=after, limit=PAGE):
        for model in latest:
            before: int | None = None
            while versions := stores.models.versions(model.model, before=before, limit=PAGE):
                yield from (version.run for version in versions)
                before = versions[-1].version
        after = latest[-1].model


def _files(stores: Stores, prefix: str) -> Iterator[FileEntry]:
    after = ""
    while page := stores.files.files(prefix, after=after, limit=PAGE):
        yield from page
        after = page[-1].path


def _blobs(stores: Stores) -> Iterator[Blob]:
    after = ""
    while page := stores.artifacts.blobs(after=after, limit=PAGE):
        yield from page
        after = page[-1].digest


def _older(moment: datetime | None, days: float, now: datetime) -> bool:
    return moment is not None and now - moment >= timedelta(days=days)


def _runs_cause(cause: str, runs: list[Run]) -> Cause:
    return Cause(cause, len(runs), 0, tuple(f"run:{run.id}" for run in runs[:_SAMPLE]))


def _blobs_cause(cause: str, blobs: list[Blob]) -> Cause:
    return Cause(cause, len(blobs), sum(one.size_bytes for one in blobs), tuple(one.digest for one in blobs[:_SAMPLE]))


def _check(policy: Policy) -> None:
    for name in policy.__struct_fields__:
        value = getattr(policy, name)
        if value is not None and value < 0:
            raise InvalidInput(f"{name}={value} is no policy", why="expected a number from 0 up, or nothing for never")
