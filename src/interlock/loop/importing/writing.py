"""Write foreign runs into a workspace so that it can be broken off anywhere and run again: nothing is there twice.

A run's id is kept, or derived from what the source calls it. What is written may be written again (points, params,
files and ends are the same the second time), what was written is read back and compared with the source, and only
then the tag `interlock.imported_state` is set, by which the next import knows that there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from interlock.core.errors import Conflict, Corrupt, InvalidInput, NotFound
from interlock.core.plain import pack
from interlock.loop.importing.files import keep
from interlock.loop.importing.records import FROM, RECORDED, STATE, ForeignExperiment, ForeignRun, Source
from interlock.loop.importing.registering import write_logged_model, write_model
from interlock.loop.importing.report import ExperimentCount, ImportReport
from interlock.ports.experiment_store import Experiment, ExperimentChange
from interlock.ports.metric_columns import MetricColumns, by_key
from interlock.ports.run_store import ArtifactEntry, Run, RunBatch, RunChange, Series
from interlock.ports.stores import Stores

POINTS_AT_ONCE = 100_000
_OPEN = ("running", "scheduled")
Told = Callable[[str], None]
"""Called with a line about what is being done now."""


class _Waiting(NamedTuple):
    """A run whose parent has not been written yet."""

    foreign: ForeignRun
    counted_in: ExperimentCount


def import_source(source: Source, stores: Stores, *, told: Told = lambda line: None) -> ImportReport:
    """Bring everything of a source into a workspace, and say what is here in the end.

    What one run or model cannot be brought for is noted, and the others go on. An outage of the workspace or of the
    source is raised; the next call goes on where this one stopped.
    """
    report = ImportReport(source.uri, source.kind)
    writer = RunWriter(stores, origin=f"{source.kind}:{source.uri}", report=report)
    deleted: list[Experiment] = []
    for foreign in source.experiments():
        try:
            experiment = _experiment(stores, foreign, origin=f"{source.kind}:{source.uri}#{foreign.key}")
        except (Conflict, InvalidInput) as error:
            report.note(f"experiment '{foreign.name}'", str(error))
            continue
        count = ExperimentCount(foreign.name)
        report.experiments.append(count)
        for run in source.runs(foreign):
            count.runs += 1
            told(f"{foreign.name}: run {count.runs}")
            writer.write(run, count)
        writer.write_waiting()
        for model in source.logged_models(foreign):
            told(f"{foreign.name}: logged model {count.logged_models + 1}")
            count.logged_models += write_logged_model(stores, model, origin=writer.origin, report=report)
        if foreign.deleted:
            deleted.append(experiment)
    writer.write_waiting(parents_or_not=True)
    for registered in source.models():
        told(f"model {registered.name}")
        report.models.append(write_model(stores, registered, origin=writer.origin, report=report))
    for experiment in deleted:
        stores.experiments.update(experiment.id, ExperimentChange(deleted=True))
    return report


def _experiment(stores: Stores, foreign: ForeignExperiment, *, origin: str) -> Experiment:
    """Return the experiment to write to, active."""
    found = stores.experiments.ensure(foreign.name)
    if found.deleted_at is not None:
        if not foreign.deleted:
            raise Conflict(
                f"experiment '{foreign.name}' is deleted here", why="the source has it", fix="restore it first"
            )
        found = stores.experiments.update(found.id, ExperimentChange(deleted=False))
    tags = {**foreign.tags, FROM: origin}
    return stores.experiments.update(found.id, ExperimentChange(tags=tags))


class RunWriter:
    """Writes foreign runs, parents before their children.

    Args:
        stores: The workspace.
        origin: What the tag `interlock.imported_from` begins with.
        report: Takes what could not be written.
    """

    def __init__(self, stores: Stores, *, origin: str, report: ImportReport) -> None:
        self.origin = origin
        self._stores = stores
        self._report = report
        self._waiting: list[_Waiting] = []

    def write(self, foreign: ForeignRun, count: ExperimentCount) -> None:
        """Write a run, or have it wait for its parent."""
        parent = foreign.run.parent
        if parent is not None and self._find(parent) is None:
            self._waiting.append(_Waiting(foreign, count))
            return
        self._write(foreign, count)

    def write_waiting(self, *, parents_or_not: bool = False) -> None:
        """Write the runs whose parent is here by now, or all of them, if need be without a parent."""
        progressed = True
        while progressed:
            progressed = False
            for one in self._waiting[:]:
                if self._find(one.foreign.run.parent or "") is not None:
                    self._waiting.remove(one)
                    self._write(one.foreign, one.counted_in)
                    progressed = True
        if parents_or_not:
            for one in self._waiting:
                run = msgspec.structs.replace(one.foreign.run, parent=None)
                self._write(_with_run(one.foreign, run), one.counted_in)
            self._waiting.clear()

    def _write(self, foreign: ForeignRun, count: ExperimentCount) -> None:
        thing = f"run {foreign.key}"
        try:
            was_here = self._bring(foreign, count)
        except (Conflict, InvalidInput, NotFound, Corrupt) as error:
            count.failed += 1
            self._report.note(thing, str(error))
            return
        count.unchanged += was_here
        count.written += not was_here
        for why in foreign.left_out:
            self._report.note(thing, why)

    def _bring(self, foreign: ForeignRun, count: ExperimentCount) -> bool:
        """Have a run here as the source has it; return whether it was."""
        runs, target, state = self._stores.runs, foreign.run, foreign.state()
        known = self._find(target.id)
        if known is not None:
            if FROM not in known.tags:
                raise Conflict(f"run:{known.id} is here already", why="it was not imported", fix="leave it as it is")
            if known.tags.get(STATE) == state and (known.deleted_at is None) == (target.deleted_at is None):
                return True
            if known.deleted_at is not None:
                runs.update(known.id, RunChange(deleted=False))
        tags = {key: value for key, value in target.tags.items() if key not in RECORDED}
        tags[FROM] = f"{self.origin}#{foreign.key}"
        if known is None:
            begun = "scheduled" if target.status == "scheduled" else "running"
            runs.create(
                msgspec.structs.replace(
                    target, status=begun, ended_at=None, error=None, deleted_at=None, metrics={}, tags=tags
                )
            )
        elif (known.name, known.experiment) != (target.name, target.experiment):
            runs.update(known.id, RunChange(name=target.name, experiment=target.experiment))
        points = self._log_series(target.id, foreign.series())
        entries = tuple(keep(self._stores, file) for file in foreign.files)
        used = RunBatch(
            params=target.params, tags=tags, artifacts=entries, datasets=target.datasets, models=target.models
        )
        runs.log(target.id, used)
        if target.status in _OPEN:
            runs.end(target.id, status=target.status, ended_at=target.started_at)
        else:
            over = target.ended_at or target.started_at
            runs.end(target.id, status=target.status, ended_at=over, error=target.error)
        self._compare(target, tags, points, entries)
        runs.log(target.id, RunBatch(tags={STATE: state}))
        if target.deleted_at is not None:
            runs.update(target.id, RunChange(deleted=True))
        count.points += sum(points.values())
        count.params += len(target.params)
        count.tags += len(tags)
        count.files += len(entries)
        count.bytes += sum(entry.size_bytes for entry in entries)
        return False

    def _find(self, run_id: str) -> Run | None:
        try:
            return self._stores.runs.get(run_id)
        except NotFound:
            return None

    def _log_series(self, run_id: str, series: Iterator[Series]) -> dict[str, int]:
        """Write metric series in parts; return how many different points each has."""
        parts: dict[str, list[Series]] = {}
        batch: list[Series] = []
        size = 0
        for one in series:
            for part in split_series(one):
                parts.setdefault(part.key, []).append(part)
                batch.append(part)
                size += len(part.values) // 8
                if size >= POINTS_AT_ONCE:
                    self._stores.runs.log(run_id, RunBatch(series=tuple(batch)))
                    batch, size = [], 0
        if batch:
            self._stores.runs.log(run_id, RunBatch(series=tuple(batch)))
        return {
            key: different_points(all_of_it) for key, all_of_it in parts.items() if any(p.values for p in all_of_it)
        }

    def _compare(
        self, target: Run, tags: dict[str, str], points: dict[str, int], entries: Sequence[ArtifactEntry]
    ) -> None:
        """Read a run back and hold it against the source.

        Raises:
            Corrupt: It is not what was written.
        """
        here = self._stores.runs.get(target.id)
        files = {one.path: one for one in self._stores.runs.artifacts(target.id)}
        wrong = [f"metric '{key}'" for key, count in points.items() if _points(here, key) < count]
        wrong += [f"param '{key}'" for key, value in target.params.items() if not _is(here.params, key, value)]
        wrong += [f"tag '{key}'" for key, value in tags.items() if here.tags.get(key) != value]
        wrong += [f"file '{one.path}'" for one in entries if files.get(one.path) != one]
        if here.status != target.status:
            wrong.append(f"status '{here.status}'")
        if wrong:
            raise Corrupt(f"run:{target.id} differs from its source", why=f"in {', '.join(wrong[:5])}")


def split_series(series: Series) -> Iterator[Series]:
    """Yield a series in parts of up to `POINTS_AT_ONCE` points."""
    size = POINTS_AT_ONCE * 8
    for start in range(0, len(series.values), size):
        end = start + size
        yield Series(series.key, series.values[start:end], series.steps[start:end], series.times[start:end])


def different_points(parts: Sequence[Series]) -> int:
    """Return how many points differ in step, time or value; a store keeps each of those once."""
    rows: set[tuple[int, ...]] = set()
    for columns in by_key((), parts).values():
        bits = MetricColumns(*columns)
        rows.update(zip(*(memoryview(column).cast("B").cast("q") for column in bits.each()), strict=True))
    return len(rows)


def _points(run: Run, key: str) -> int:
    return run.metrics[key].count if key in run.metrics else 0


def _is(params: dict[str, object], key: str, value: object) -> bool:
    return key in params and pack(params[key]) == pack(value)


def _with_run(foreign: ForeignRun, run: Run) -> ForeignRun:
    return ForeignRun(run, foreign.key, foreign.stamps, foreign.series, foreign.files, foreign.left_out)
