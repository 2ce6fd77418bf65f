"""Copy and move runs between experiments and between workspaces, with all they logged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from interlock.core.errors import Conflict, Corrupt, InvalidInput
from interlock.loop.importing.records import RECORDED, ForeignFile, ForeignRun
from interlock.loop.importing.report import ExperimentCount, ImportReport
from interlock.loop.importing.run_ids import run_id_for
from interlock.loop.importing.writing import RunWriter
from interlock.ports.metric_columns import MetricColumns
from interlock.ports.run_store import ArtifactEntry, Run, RunChange, Series
from interlock.ports.stores import Stores

ORIGIN = "interlock"


class Transferred(msgspec.Struct, frozen=True):
    """One run that was copied or moved: its id before and now, and its experiment now."""

    run: str
    now: str
    experiment: str


def move_within(stores: Stores, run_ids: Sequence[str], *, experiment: str) -> list[Transferred]:
    """Have runs belong to another experiment, created if need be; their ids stay.

    Raises:
        NotFound: There is no such run; those before it were moved.
        Conflict: A run, or the experiment, is deleted.
    """
    moved = []
    for run_id in run_ids:
        stores.runs.update(run_id, RunChange(experiment=experiment))
        moved.append(Transferred(run_id, run_id, experiment))
    return moved


def copy_within(stores: Stores, run_ids: Sequence[str], *, experiment: str) -> list[Transferred]:
    """Copy runs to another experiment, under ids derived from theirs: copied again, they are brought up to date.

    Raises:
        NotFound: There is no such run.
        Corrupt: A copy is not as its run.
    """
    ids = {run_id: run_id_for(run_id, of=f"copy/{experiment}") for run_id in run_ids}
    return _copy(stores, stores, ids, experiment=experiment, origin=f"{ORIGIN}:copy")


def copy_to(
    source: Stores, target: Stores, run_ids: Sequence[str], *, origin: str, experiment: str | None = None
) -> list[Transferred]:
    """Copy runs to another workspace, where they keep their ids; copied again, they are brought up to date.

    Args:
        source: Where they are.
        target: Where they go.
        run_ids: Which runs; parents go before their children.
        origin: What to call the source in the tag `interlock.imported_from`.
        experiment: Another experiment there; by default the one of the same name.

    Raises:
        NotFound: There is no such run.
        Conflict: A run of that id is there, and was not copied.
        Corrupt: A copy is not as its run.
    """
    ids = {run_id: run_id for run_id in run_ids}
    return _copy(source, target, ids, experiment=experiment, origin=f"{ORIGIN}:{origin}")


def move_to(
    source: Stores, target: Stores, run_ids: Sequence[str], *, origin: str, experiment: str | None = None
) -> list[Transferred]:
    """Copy runs to another workspace, compare them, and only then delete them here; restoring brings them back."""
    moved = copy_to(source, target, run_ids, origin=origin, experiment=experiment)
    for one in moved:
        source.runs.update(one.run, RunChange(deleted=True))
    return moved


def _copy(
    source: Stores, target: Stores, ids: dict[str, str], *, experiment: str | None, origin: str
) -> list[Transferred]:
    found = [source.runs.get(run_id) for run_id in ids]
    report = ImportReport(origin, ORIGIN)
    writer = RunWriter(target, origin=origin, report=report)
    done = []
    for run in found:
        place = experiment or run.experiment
        copied = msgspec.structs.replace(
            run, id=ids[run.id], experiment=place, parent=ids.get(run.parent or "", run.parent), deleted_at=None
        )
        writer.write(_foreign(source, run, copied), ExperimentCount(place))
        done.append(Transferred(run.id, copied.id, place))
    writer.write_waiting(parents_or_not=True)
    if report.problems:
        first = report.problems[0]
        raise Corrupt(f"{len(report.problems)} of {len(ids)} runs were not copied", why=f"{first.thing}: {first.why}")
    return done


def _foreign(source: Stores, run: Run, copied: Run) -> ForeignRun:
    """Return a run of a workspace as a thing to be written to another."""
    if run.deleted_at is not None:
        raise Conflict(f"run:{run.id} is deleted", why="only active runs are copied", fix="restore it first")
    stamps = [[one.key, one.count, one.last_step, one.last_time] for one in run.metrics.values()]
    tags = {key: value for key, value in run.tags.items() if key not in RECORDED}
    files = tuple(_file(source, entry) for entry in source.runs.artifacts(run.id))
    plain = msgspec.structs.replace(copied, tags=tags, metrics={})
    return ForeignRun(plain, run.id, tuple(stamps), lambda: _series(source, run), files)


def _series(source: Stores, run: Run) -> Iterator[Series]:
    for key in run.metrics:
        yield MetricColumns.of(source.runs.history(run.id, key)).series(key)


def _file(source: Stores, entry: ArtifactEntry) -> ForeignFile:
    return ForeignFile(entry.path, entry.size_bytes, entry.digest, lambda: source.artifacts.stream(entry.digest))


def check_destination(experiment: str | None, to: str | None) -> None:
    """Refuse to copy or move without a place to go."""
    if experiment is None and to is None:
        raise InvalidInput(
            "it is not said where the runs are to go",
            why="expected another experiment, another workspace, or both",
            fix="--experiment NAME, or --to FOLDER or http://…",
        )
