"""Keep experiments, runs and metric points in dictionaries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from interlock.adapters.memory.journal import MemoryJournal
from interlock.core.clock import Clock, aware
from interlock.core.errors import Conflict
from interlock.core.plain import pack, unpack
from interlock.core.refs import check_name
from interlock.ports.checks import check_limit, check_tags, pointed_at, unknown_name
from interlock.ports.journal import Edge
from interlock.ports.metric_columns import by_key
from interlock.ports.record_checks import check_batch, check_new_run, check_status
from interlock.ports.run_store import (
    ArtifactEntry,
    Experiment,
    MetricPoint,
    MetricSummary,
    Run,
    RunBatch,
    RunFilter,
    RunStatus,
    RunStore,
)

_decode_run = msgspec.msgpack.Decoder(Run).decode
_decode_experiment = msgspec.msgpack.Decoder(Experiment).decode


@dataclass
class _Entry:
    """A run: what is set once or at its end, as bytes, and what it logs."""

    record: bytes
    params: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: dict[str, list[MetricPoint]] = field(default_factory=dict)
    artifacts: dict[str, ArtifactEntry] = field(default_factory=dict)

    def run(self) -> Run:
        return msgspec.structs.replace(
            _decode_run(self.record),
            params={key: unpack(value) for key, value in self.params.items()},
            tags=dict(self.tags),
            metrics={key: _summary(key, points) for key, points in self.points.items()},
        )


class MemoryRunStore(RunStore):
    """Runs in memory; a summary is computed from its series whenever it is read."""

    def __init__(self, journal: MemoryJournal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._experiments: dict[str, bytes] = {}
        self._runs: dict[str, _Entry] = {}

    def create_experiment(self, name: str, *, tags: dict[str, str] | None = None) -> Experiment:
        check_name(name, of="experiment")
        check_tags(tags or {})
        with self._journal.lock:
            if name not in self._experiments:
                self._experiments[name] = pack(Experiment(name, self._clock.now(), tags or {}))
                self._journal.append("experiment.created", f"experiment:{name}")
            return _decode_experiment(self._experiments[name])

    def experiments(self, *, after: str = "", limit: int = 100) -> list[Experiment]:
        with self._journal.lock:
            names = sorted(name for name in self._experiments if name > after)[: check_limit(limit)]
            return [_decode_experiment(self._experiments[name]) for name in names]

    def create(self, run: Run, *, edges: Sequence[Edge] = ()) -> Run:
        check_new_run(run)
        entry = _Entry(
            record=pack(msgspec.structs.replace(run, params={}, tags={})),
            params={key: pack(value) for key, value in run.params.items()},
            tags=dict(run.tags),
        )
        ref = f"run:{run.id}"
        links = pointed_at(edges, ref)
        with self._journal.lock:
            if run.id in self._runs:
                raise Conflict(f"{ref} exists", why="an id is used once", fix="use a new id: new_id()")
            if run.parent is not None:
                self._entry(run.parent)
                links.append(Edge(f"run:{run.parent}", ref, "contains"))
            self.create_experiment(run.experiment)
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
            reopened = status == "running"
            after = msgspec.structs.replace(
                before,
                status=status,
                ended_at=None if reopened else moment,
                error=None if reopened else error,
            )
            if after != before:
                entry.record = pack(after)
                payload = {"experiment": after.experiment, "kind": after.kind, "name": after.name}
                if after.error is not None:
                    payload["error"] = after.error
                kind = "run.started" if reopened else f"run.{status}"
                self._journal.append(kind, f"run:{run_id}", payload=payload)
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

    def count(self, *, where: RunFilter = RunFilter()) -> int:  # noqa: B008 (frozen)
        with self._journal.lock:
            return len(self._matching(where))

    def log(self, run_id: str, batch: RunBatch) -> None:
        check_batch(batch)
        columns = by_key(batch.metrics)
        params = {key: pack(value) for key, value in batch.params.items()}
        with self._journal.lock:
            entry = self._entry(run_id)
            for key, value in params.items():
                if entry.params.get(key, value) != value:
                    raise Conflict(
                        f"param '{key}' of run:{run_id} is set",
                        why=f"it is {unpack(entry.params[key])!r}, and was to become {batch.params[key]!r}",
                        fix="start a new run for other params",
                    )
            entry.params |= params
            entry.tags |= batch.tags
            entry.artifacts |= {one.path: one for one in batch.artifacts}
            for key, series in columns.items():
                entry.points.setdefault(key, []).extend(series.points(key))
            self._journal.link(pointed_at(batch.edges, f"run:{run_id}"))

    def history(self, run_id: str, key: str) -> list[MetricPoint]:
        with self._journal.lock:
            return sorted(self._entry(run_id).points.get(key, ()), key=_place)

    def artifacts(self, run_id: str) -> list[ArtifactEntry]:
        with self._journal.lock:
            return [entry for _, entry in sorted(self._entry(run_id).artifacts.items())]

    def _matching(self, where: RunFilter) -> list[Run]:
        return [
            run
            for run in (entry.run() for entry in self._runs.values())
            if where.experiment in (None, run.experiment)
            and where.kind in (None, run.kind)
            and where.status in (None, run.status)
            and where.parent in (None, run.parent)
            and where.tags.items() <= run.tags.items()
        ]

    def _entry(self, run_id: str) -> _Entry:
        if run_id not in self._runs:
            raise unknown_name("run", run_id, sorted(self._runs)[-20:])
        return self._runs[run_id]


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
    )


def _mean(numbers: Sequence[float]) -> float:
    if not numbers:
        return math.nan
    infinite = [number for number in numbers if math.isinf(number)]
    try:
        return (sum(infinite) if infinite else math.fsum(numbers)) / len(numbers)
    except OverflowError:
        return sum(numbers) / len(numbers)
