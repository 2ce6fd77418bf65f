"""Keep runs and what they log in dictionaries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from interlock.adapters.memory.experiment_store import MemoryExperimentStore
from interlock.adapters.memory.journal import MemoryJournal
from interlock.adapters.memory.searching import page_of
from interlock.adapters.numpy.sampling import check_sampling, sampled_columns
from interlock.core.clock import Clock, aware
from interlock.core.errors import Conflict
from interlock.core.plain import pack, unpack
from interlock.ports.checks import check_limit, pointed_at, unknown_name
from interlock.ports.experiment_store import Experiment
from interlock.ports.journal import Edge
from interlock.ports.metric_columns import MetricColumns, by_key
from interlock.ports.record_checks import check_batch, check_new_run, check_status
from interlock.ports.run_rules import (
    changed,
    check_in_use,
    check_run_change,
    ended,
    is_below,
    param_conflict,
    still_active,
)
from interlock.ports.run_store import (
    ArtifactEntry,
    DatasetUse,
    MetricPoint,
    MetricSummary,
    ModelUse,
    Run,
    RunBatch,
    RunChange,
    RunFilter,
    RunPage,
    RunStatus,
    RunStore,
    Sampling,
    Series,
)
from interlock.ports.search import Filter, Lifecycle, OrderBy
from interlock.ports.search_fields import RUNS

_decode_run = msgspec.msgpack.Decoder(Run).decode


@dataclass
class _Entry:
    """A run: what is set once or at its end, as bytes, and what it logs."""

    record: bytes
    params: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: dict[str, list[MetricPoint]] = field(default_factory=dict)
    artifacts: dict[str, ArtifactEntry] = field(default_factory=dict)
    datasets: dict[tuple[str, str], DatasetUse] = field(default_factory=dict)
    models: dict[tuple[str, str], ModelUse] = field(default_factory=dict)
    went_along: bool = False

    def run(self) -> Run:
        return msgspec.structs.replace(
            _decode_run(self.record),
            params={key: unpack(value) for key, value in self.params.items()},
            tags=dict(self.tags),
            metrics={key: _summary(key, points) for key, points in self.points.items()},
            datasets=tuple(self.datasets.values()),
            models=tuple(self.models.values()),
        )


class MemoryRunStore(RunStore):
    """Runs in memory; a summary is computed from its series whenever it is read."""

    def __init__(self, journal: MemoryJournal, clock: Clock, experiments: MemoryExperimentStore) -> None:
        self._journal = journal
        self._clock = clock
        self._experiments = experiments
        self._runs: dict[str, _Entry] = {}
        self.forgetters: list[Callable[[str], object]] = []
        """Called with the id of each run that is forgotten for good."""
        experiments.followers.append(self._follow)

    def create(self, run: Run, *, edges: Sequence[Edge] = ()) -> Run:
        check_new_run(run)
        entry = _Entry(
            record=pack(msgspec.structs.replace(run, params={}, tags={}, datasets=(), models=())),
            params={key: pack(value) for key, value in run.params.items()},
            tags=dict(run.tags),
            datasets={(one.name, one.digest): one for one in run.datasets},
            models={(one.model, one.role): one for one in run.models},
        )
        ref = f"run:{run.id}"
        links = pointed_at(edges, ref)
        with self._journal.lock:
            if run.id in self._runs:
                raise Conflict(f"{ref} exists", why="an id is used once", fix="use a new id: new_id()")
            if run.parent is not None:
                self._entry(run.parent)
                links.append(Edge(f"run:{run.parent}", ref, "contains"))
            check_in_use(self._experiments.ensure(run.experiment))
            self._runs[run.id] = entry
            payload = {"experiment": run.experiment, "kind": run.kind, "name": run.name}
            self._journal.append("run.started", ref, payload=payload, edges=links)
            return entry.run()

    def get(self, run_id: str) -> Run:
        with self._journal.lock:
            return self._entry(run_id).run()

    def end(self, run_id: str, *, status: RunStatus, ended_at: datetime, error: str | None = None) -> Run:
        check_status(status)
        moment = aware(ended_at)
        with self._journal.lock:
            entry = self._entry(run_id)
            before = _decode_run(entry.record)
            check_in_use(before)
            after, told = ended(before, status=status, ended_at=moment, error=error)
            if told is not None:
                entry.record = pack(after)
                self._journal.append(f"run.{told.what}", f"run:{run_id}", payload=told.payload)
            return entry.run()

    def update(self, run_id: str, change: RunChange) -> Run:
        check_run_change(change)
        with self._journal.lock:
            entry = self._entry(run_id)
            run = entry.run()
            after, events = changed(run, change, now=self._clock.now())
            if after.experiment != run.experiment or run.deleted_at is not None and after.deleted_at is None:
                check_in_use(self._experiments.ensure(after.experiment))
            entry.record = pack(msgspec.structs.replace(after, params={}, tags={}, metrics={}, datasets=(), models=()))
            entry.tags = dict(after.tags)
            entry.went_along = False
            for path in change.remove_artifacts:
                entry.artifacts = {at: one for at, one in entry.artifacts.items() if not is_below(at, path)}
            for told in events:
                self._journal.append(f"run.{told.what}", f"run:{run_id}", payload=told.payload)
            return entry.run()

    def runs(
        self,
        *,
        where: RunFilter = RunFilter(),  # noqa: B008 (frozen)
        before: str | None = None,
        limit: int = 100,
    ) -> list[Run]:
        check_limit(limit)
        with self._journal.lock:
            found = [run for run in self._matching(where) if before is None or run.id < before]
            return sorted(found, key=lambda run: run.id, reverse=True)[:limit]

    def search(
        self,
        *,
        experiments: tuple[str, ...] = (),
        where: Filter | None = None,
        order: tuple[OrderBy, ...] = (),
        lifecycle: Lifecycle = "active",
        limit: int = 1000,
        after: str | None = None,
    ) -> RunPage:
        with self._journal.lock:
            runs = [entry.run() for entry in self._runs.values()]
        if experiments:
            runs = [run for run in runs if run.experiment in experiments]
        found, following = page_of(
            runs, of=RUNS, where=where, order=order, lifecycle=lifecycle, limit=limit, after=after
        )
        return RunPage(tuple(found), following)

    def count(self, *, where: RunFilter = RunFilter()) -> int:  # noqa: B008 (frozen)
        with self._journal.lock:
            return len(self._matching(where))

    def log(self, run_id: str, batch: RunBatch) -> None:
        check_batch(batch)
        columns = by_key(batch.metrics, batch.series)
        params = {key: pack(value) for key, value in batch.params.items()}
        with self._journal.lock:
            entry = self._entry(run_id)
            check_in_use(_decode_run(entry.record))
            for key, value in params.items():
                if entry.params.get(key, value) != value:
                    raise param_conflict(run_id, key, unpack(entry.params[key]), batch.params[key])
            entry.params |= params
            entry.tags |= batch.tags
            entry.artifacts |= {one.path: one for one in batch.artifacts}
            entry.datasets |= {(one.name, one.digest): one for one in batch.datasets}
            entry.models |= {(one.model, one.role): one for one in batch.models}
            for key, series in columns.items():
                known = {_identity(point): point for point in entry.points.get(key, ())}
                for point in series.points(key):
                    known.setdefault(_identity(point), point)
                entry.points[key] = list(known.values())
            self._journal.link(pointed_at(batch.edges, f"run:{run_id}"))

    def history(self, run_id: str, key: str) -> list[MetricPoint]:
        with self._journal.lock:
            return sorted(self._entry(run_id).points.get(key, ()), key=_place)

    def sampled(self, run_id: str, key: str, *, points: int = 2000, by: Sampling = "minmax") -> Series:
        check_sampling(points, by)
        return sampled_columns(key, MetricColumns.of(self.history(run_id, key)), points=points, by=by)

    def artifacts(self, run_id: str) -> list[ArtifactEntry]:
        with self._journal.lock:
            return [entry for _, entry in sorted(self._entry(run_id).artifacts.items())]

    def delete(self, run_id: str) -> bool:
        with self._journal.lock:
            if run_id not in self._runs:
                return False
            run = _decode_run(self._runs[run_id].record)
            if run.deleted_at is None:
                raise still_active(run)
            self._forget(run_id)
            self._journal.append("run.purged", f"run:{run_id}", payload={"experiment": run.experiment})
            return True

    def knows(self, run_id: str) -> bool:
        """Say whether there is a run of that id."""
        with self._journal.lock:
            return run_id in self._runs

    def check_experiment(self, name: str) -> None:
        """Refuse a deleted experiment."""
        found = self._experiments.find(name)
        if found is not None:
            check_in_use(found)

    def _forget(self, run_id: str) -> None:
        del self._runs[run_id]
        for forget in self.forgetters:
            forget(run_id)

    def _follow(self, before: Experiment, after: Experiment | None) -> int:
        """Go with an experiment that was renamed, deleted, restored or forgotten."""
        followed = 0
        for run_id, entry in list(self._runs.items()):
            run = _decode_run(entry.record)
            if run.experiment != before.name:
                continue
            followed += 1
            if after is None:
                self._forget(run_id)
                continue
            deleted_at = run.deleted_at
            if after.deleted_at is not None and run.deleted_at is None:
                deleted_at, entry.went_along = after.deleted_at, True
            elif after.deleted_at is None and entry.went_along:
                deleted_at, entry.went_along = None, False
            entry.record = pack(msgspec.structs.replace(run, experiment=after.name, deleted_at=deleted_at))
        return followed

    def _matching(self, where: RunFilter) -> list[Run]:
        return [
            run
            for run in (entry.run() for entry in self._runs.values())
            if run.deleted_at is None
            and where.experiment in (None, run.experiment)
            and where.kind in (None, run.kind)
            and where.status in (None, run.status)
            and where.parent in (None, run.parent)
            and where.tags.items() <= run.tags.items()
        ]

    def _entry(self, run_id: str) -> _Entry:
        if run_id not in self._runs:
            raise unknown_name("run", run_id, sorted(self._runs)[-20:])
        return self._runs[run_id]


def _identity(point: MetricPoint) -> tuple[float, int, str]:
    """Return what tells a point from another of its series; NaN equals NaN, and 0.0 is not -0.0."""
    return point.step, point.time, repr(point.value)


def _place(point: MetricPoint) -> tuple[float, int]:
    return point.step, point.time


def _summary(key: str, points: Sequence[MetricPoint]) -> MetricSummary:
    ordered = sorted(points, key=_place)
    numbers = [point.value for point in points if not math.isnan(point.value)]
    return MetricSummary(
        key=key,
        last=ordered[-1].value,
        first=ordered[0].value,
        min=min(numbers, default=math.nan),
        max=max(numbers, default=math.nan),
        mean=_mean(numbers),
        count=len(points),
        last_step=ordered[-1].step,
        last_time=ordered[-1].time,
    )


def _mean(numbers: Sequence[float]) -> float:
    if not numbers:
        return math.nan
    infinite = [number for number in numbers if math.isinf(number)]
    try:
        return (sum(infinite) if infinite else math.fsum(numbers)) / len(numbers)
    except OverflowError:
        return sum(numbers) / len(numbers)
